// The least that a program must do to give a pod its links, as a yardstick: for each of ROUNDS
// rounds it enters the pod's namespace for a socket, makes N macvlan links with one address each,
// and one route each if ROUTES is 1, and removes them by group. It records nothing, decides nothing
// and undoes nothing. Prints per round the nanoseconds of both halves.
//
// usage: bare-rtnetlink NETNS ROUNDS GROUP ROUTES MASTER...   (indices of links in this namespace)
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER_BYTES = 32768, LINKS_MAX = 64, MACVLAN_BRIDGE = 4 };

static char out[BUFFER_BYTES];
static size_t out_length;
static struct nlmsghdr *last_message;

static void fail(const char *what) {
  perror(what);
  exit(1);
}

// Starts a message with its fixed header; attributes follow.
static void begin(int type, int flags, const void *header, size_t header_bytes) {
  last_message = (struct nlmsghdr *)(out + out_length);
  memset(last_message, 0, NLMSG_SPACE(header_bytes));
  last_message->nlmsg_type = type;
  last_message->nlmsg_flags = NLM_F_REQUEST | flags;
  last_message->nlmsg_len = NLMSG_LENGTH(header_bytes);
  memcpy(NLMSG_DATA(last_message), header, header_bytes);
  out_length += NLMSG_ALIGN(last_message->nlmsg_len);
}

static struct rtattr *attribute(int type, const void *value, size_t bytes) {
  struct rtattr *attr = (struct rtattr *)(out + out_length);
  memset(attr, 0, RTA_SPACE(bytes));
  attr->rta_type = type;
  attr->rta_len = RTA_LENGTH(bytes);
  if (bytes > 0) memcpy(RTA_DATA(attr), value, bytes);
  out_length += RTA_SPACE(bytes);
  last_message->nlmsg_len = out + out_length - (char *)last_message;
  return attr;
}

static void attribute_u32(int type, unsigned value) { attribute(type, &value, sizeof value); }

static void end_nested(struct rtattr *attr) {
  attr->rta_len = out + out_length - (char *)attr;
}

// Sends what was written and reads answers until the last message is acknowledged.
static void exchange(int sock, int *indices) {
  static char in[BUFFER_BYTES];
  last_message->nlmsg_flags |= NLM_F_ACK;
  if (send(sock, out, out_length, 0) < 0) fail("send");
  out_length = 0;
  for (int count = 0;;) {
    ssize_t got = recv(sock, in, sizeof in, 0);
    if (got < 0) fail("recv");
    for (struct nlmsghdr *m = (void *)in; NLMSG_OK(m, got); m = NLMSG_NEXT(m, got)) {
      if (m->nlmsg_type == RTM_NEWLINK && indices != NULL) {
        indices[count++] = ((struct ifinfomsg *)NLMSG_DATA(m))->ifi_index;
      } else if (m->nlmsg_type == NLMSG_ERROR) {
        errno = -((struct nlmsgerr *)NLMSG_DATA(m))->error;
        if (errno != 0) fail("the kernel refused");
        return;
      }
    }
  }
}

static int open_socket(void) {
  int sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  struct sockaddr_nl address = {.nl_family = AF_NETLINK};
  if (sock < 0 || bind(sock, (void *)&address, sizeof address) < 0) fail("socket");
  return sock;
}

static void add_link(int netns, int n, int master, unsigned group) {
  struct ifinfomsg header = {.ifi_flags = IFF_UP, .ifi_change = IFF_UP};
  char name[IFNAMSIZ];
  int length = snprintf(name, sizeof name, "net1-%d", n);
  begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &header, sizeof header);
  attribute(IFLA_IFNAME, name, length + 1);
  attribute_u32(IFLA_LINK, master);
  attribute_u32(IFLA_NET_NS_FD, netns);
  attribute_u32(IFLA_GROUP, group);
  struct rtattr *info = attribute(IFLA_LINKINFO, NULL, 0);
  attribute(IFLA_INFO_KIND, "macvlan", 8);
  struct rtattr *data = attribute(IFLA_INFO_DATA, NULL, 0);
  attribute_u32(IFLA_MACVLAN_MODE, MACVLAN_BRIDGE);
  end_nested(data);
  end_nested(info);
}

static void ask_link(int n) {
  struct ifinfomsg header = {0};
  char name[IFNAMSIZ];
  int length = snprintf(name, sizeof name, "net1-%d", n);
  begin(RTM_GETLINK, 0, &header, sizeof header);
  attribute(IFLA_IFNAME, name, length + 1);
  attribute_u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
}

static void add_address(int n, int index) {
  struct ifaddrmsg header = {.ifa_family = AF_INET, .ifa_prefixlen = 24, .ifa_index = index};
  unsigned address = htonl(0xc0a80005u | n << 8);
  unsigned broadcast = htonl(0xc0a800ffu | n << 8);
  begin(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &header, sizeof header);
  attribute(IFA_LOCAL, &address, 4);
  attribute(IFA_ADDRESS, &address, 4);
  attribute(IFA_BROADCAST, &broadcast, 4);
}

static void add_route(int n, int index) {
  struct rtmsg header = {.rtm_family = AF_INET,
                         .rtm_dst_len = 24,
                         .rtm_table = RT_TABLE_MAIN,
                         .rtm_protocol = RTPROT_BOOT,
                         .rtm_type = RTN_UNICAST};
  unsigned destination = htonl(0xac100000u | n << 8);
  unsigned gateway = htonl(0xc0a80001u | n << 8);
  begin(RTM_NEWROUTE, NLM_F_CREATE, &header, sizeof header);
  attribute(RTA_DST, &destination, 4);
  attribute(RTA_GATEWAY, &gateway, 4);
  attribute_u32(RTA_OIF, index);
}

static void remove_group(unsigned group) {
  struct ifinfomsg header = {0};
  begin(RTM_DELLINK, 0, &header, sizeof header);
  attribute_u32(IFLA_GROUP, group);
}

static long long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

int main(int argc, char **argv) {
  int count = argc - 5;
  if (count < 1 || count > LINKS_MAX) return 2;
  unsigned group = strtoul(argv[3], NULL, 10);
  int routes = atoi(argv[4]);
  int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  int host = open_socket();
  int indices[LINKS_MAX];
  for (int rounds = atoi(argv[2]); rounds > 0; rounds--) {
    long long start = now();
    int netns = open(argv[1], O_RDONLY | O_CLOEXEC);
    if (netns < 0 || setns(netns, CLONE_NEWNET) < 0) fail("setns");
    int pod = open_socket();
    if (setns(home, CLONE_NEWNET) < 0) fail("setns");
    for (int n = 0; n < count; n++) add_link(netns, n, atoi(argv[5 + n]), group);
    exchange(host, NULL);
    for (int n = 0; n < count; n++) ask_link(n);
    exchange(pod, indices);
    for (int n = 0; n < count; n++) add_address(n, indices[n]);
    for (int n = 0; routes && n < count; n++) add_route(n, indices[n]);
    exchange(pod, NULL);
    long long made = now();
    remove_group(group);
    exchange(pod, NULL);
    close(pod);
    close(netns);
    printf("%lld %lld\n", made - start, now() - made);
  }
  return 0;
}
