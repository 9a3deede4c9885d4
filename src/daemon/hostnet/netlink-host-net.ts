// HostNet over rtnetlink. Links and routes of the host namespace; pods' namespaces are opened
// here and worked on in netlink-netns.ts.
import { DomainError } from '../../shared/model/errors.ts';
import { changeHostRoutes } from './change-routes.ts';
import type {
  FailedRoute,
  HostLink,
  HostNet,
  HostNetEvent,
  HostRoute,
  NetnsHandle,
} from './host-net.ts';
import { LinkIoctl } from './link-ioctl.ts';
import * as k from './netlink/constants.ts';
import { dumpAddresses, dumpLinks, dumpRoutes } from './netlink/dumps.ts';
import type { LinkRecord } from './netlink/link.ts';
import { createReceiveBuffer, NetlinkSocket } from './netlink/socket.ts';
import { openNetlinkNetns } from './netlink-netns.ts';
import { createNetlinkRouteWriter, listRoutes } from './netlink-routes.ts';
import { watchNetlink } from './netlink-watch.ts';
import { inNetns, NetnsFile, OWN_NETNS_PATH } from './netns-file.ts';
import { openRehearsalNetns } from './rehearsal-netns.ts';

/** HostNet on the calling thread's namespace, or on that at `netnsPath`. */
export function openNetlinkHostNet(o: { netnsPath?: string } = {}): HostNet {
  return new NetlinkHostNet(o.netnsPath ?? OWN_NETNS_PATH);
}

class NetlinkHostNet implements HostNet {
  /** Where this thread lives and always returns to. */
  readonly #home: NetnsFile;
  /** The namespace called the host's; the same as home but for tests and simulated hosts. */
  readonly #host: NetnsFile;
  readonly #buffer = createReceiveBuffer();
  readonly #socket: NetlinkSocket;
  readonly #links: LinkIoctl;

  constructor(netnsPath: string) {
    this.#home = NetnsFile.open(OWN_NETNS_PATH);
    this.#host = NetnsFile.open(netnsPath);
    this.#socket = this.#openSocket(this.#host);
    this.#links = new LinkIoctl(this.#socket.descriptor);
  }

  links(): HostLink[] {
    const addresses = dumpAddresses(this.#socket);
    return dumpLinks(this.#socket)
      .map((link) => ({ ...toHostLink(link), addresses: addresses.get(link.index) ?? [] }))
      .sort((a, b) => a.index - b.index);
  }

  routes({ protocol, table = k.RT_TABLE_MAIN }: { protocol: number; table?: number }): HostRoute[] {
    return listRoutes(this.#socket, { protocol, table });
  }

  defaultRoutes(): { family: 4 | 6; interfaceIndex: number; metric: number }[] {
    const records = dumpRoutes(this.#socket, { protocol: 0, table: k.RT_TABLE_MAIN });
    return records
      .filter((record) => record.destination.endsWith('/0'))
      .flatMap(({ destination, metric, nexthops }) => {
        const family = destination.includes(':') ? 6 : 4;
        return nexthops.map(({ interfaceIndex }) => ({ family, interfaceIndex, metric }) as const);
      });
  }

  changeRoutes(o: { add: readonly HostRoute[]; remove: readonly HostRoute[] }): {
    failed: FailedRoute[];
  } {
    return changeHostRoutes(createNetlinkRouteWriter(this.#socket), o);
  }

  openNetns(path: string): NetnsHandle {
    const netns = NetnsFile.open(path);
    if (netns.id === this.#host.id || netns.id === this.#home.id) {
      netns[Symbol.dispose]();
      const details = { netns: path };
      throw new DomainError('netns-invalid', `${path} is the host's own namespace`, { details });
    }
    const openSocket = (): NetlinkSocket => this.#openSocket(netns);
    return openNetlinkNetns({
      netns,
      openSocket,
      hostSocket: this.#socket,
      hostLinks: this.#links,
    });
  }

  openRehearsal(): NetnsHandle {
    return openRehearsalNetns({ socket: this.#socket, links: this.#links });
  }

  watch(onEvent: (what: HostNetEvent) => void, signal: AbortSignal): Promise<void> {
    const groups = [
      k.RTNLGRP_LINK,
      k.RTNLGRP_IPV4_IFADDR,
      k.RTNLGRP_IPV6_IFADDR,
      k.RTNLGRP_IPV4_ROUTE,
      k.RTNLGRP_IPV6_ROUTE,
    ];
    return watchNetlink(() => this.#openSocket(this.#host, groups), onEvent, signal);
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
    this.#host[Symbol.dispose]();
    this.#home[Symbol.dispose]();
  }

  #openSocket(target: NetnsFile, groups: readonly number[] = []): NetlinkSocket {
    const open = (): NetlinkSocket => new NetlinkSocket({ groups, buffer: this.#buffer });
    return target.id === this.#home.id ? open() : inNetns({ target, home: this.#home }, open);
  }
}

function toHostLink(link: LinkRecord): Omit<HostLink, 'addresses'> {
  // A veth's IFLA_LINK is its other end, and what is elsewhere has no index here.
  const isParent = link.kind !== 'veth' && !link.isLinkElsewhere;
  return {
    index: link.index,
    name: link.name,
    kind: link.kind,
    mtu: link.mtu,
    mac: link.mac,
    up: (link.flags & k.IFF_UP) !== 0,
    running: (link.flags & k.IFF_RUNNING) !== 0,
    loopback: (link.flags & k.IFF_LOOPBACK) !== 0,
    parentIndex: isParent ? link.linkIndex : 0,
    masterIndex: link.masterIndex,
    group: link.group,
  };
}
