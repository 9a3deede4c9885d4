// The port between the daemon and the kernel's network configuration: links and routes of the
// host, and links, addresses and routes inside one pod's network namespace. Two back ends
// (netlink, `ip`) and one in-memory fake implement it; none of them decides anything.
import type { LinkFaults } from './link-faults.ts';

/** One address of a link. `prefix` is its length in bits. */
export interface LinkAddress {
  readonly family: 4 | 6;
  readonly address: string;
  readonly prefix: number;
  readonly scope: 'global' | 'link' | 'host' | 'other';
}

/** A link of the host namespace. */
export interface HostLink {
  readonly index: number;
  readonly name: string;
  /** '' for hardware and loopback, else what the kernel calls it: 'veth', 'vlan', 'bond', ... */
  readonly kind: string;
  readonly mtu: number;
  /** Lower case with colons; '' for links without a hardware address. */
  readonly mac: string;
  /** Administratively up. */
  readonly up: boolean;
  /** Up and with a carrier. */
  readonly running: boolean;
  readonly loopback: boolean;
  /** Index of the link this one sits on (a VLAN's bond, a macvlan's NIC), 0 if none is known. */
  readonly parentIndex: number;
  /** Index of the bond, bridge or VRF this link is a member of, 0 if none. */
  readonly masterIndex: number;
  readonly group: number;
  /** Primary addresses first, then secondary and temporary ones, each in kernel order. */
  readonly addresses: readonly LinkAddress[];
}

/** What kind of link a pod gets on a master. */
export type SlaveKind =
  | { readonly kind: 'ipvlan'; readonly mode: 'l2' | 'l3' | 'l3s' }
  | { readonly kind: 'macvlan'; readonly mode: 'bridge' | 'private' | 'vepa' | 'passthru' };

/** A route over one pod link. Without `via` the destination is reached directly on the link. */
export interface PodLinkRoute {
  readonly destination: string;
  readonly via?: string;
}

/** One link to be made in a pod. */
export interface PodLinkRequest {
  /** Final name in the pod, 1 to 15 bytes. */
  readonly name: string;
  readonly parentIndex: number;
  /** If given it must still be the name of `parentIndex`; it also names the NIC in errors. */
  readonly parentName?: string;
  readonly link: SlaveKind;
  /** 0 takes the parent's. */
  readonly mtu: number;
  /** Link group, 1 to 2^31 - 2, the same for all links of one attachment. */
  readonly group: number;
  readonly addresses: readonly {
    readonly family: 4 | 6;
    readonly address: string;
    readonly prefix: number;
  }[];
  readonly routes: readonly PodLinkRoute[];
}

/** A link inside a pod as the kernel reports it. */
export interface PodLink {
  readonly name: string;
  readonly index: number;
  readonly mac: string;
  readonly mtu: number;
  readonly kind: string;
  /** 'l2', 'l3', 'l3s', 'bridge', 'private', 'vepa', 'passthru', or '' for other kinds. */
  readonly mode: string;
  readonly group: number;
  readonly up: boolean;
  /** Index of the master in the host namespace (as the kernel reports it), 0 if none. */
  readonly parentIndex: number;
  readonly addresses: readonly LinkAddress[];
}

/** One unicast route of the host with one next hop. A multipath route is several of these. */
export interface HostRoute {
  /** CIDR without host bits. */
  readonly destination: string;
  /** Next hop, or '' when the destination is on the link. */
  readonly via: string;
  readonly interfaceIndex: number;
  readonly table: number;
  readonly protocol: number;
}

/** A route of a pod that may have several next hops. */
export interface PodRouteRequest {
  readonly destination: string;
  /** Without `interfaceName` the kernel finds the link through which `via` is reached. */
  readonly nexthops: readonly { readonly via: string; readonly interfaceName?: string }[];
}

/** A unicast route in a pod's main table. */
export interface PodRoute {
  readonly destination: string;
  readonly protocol: number;
  /** `via` is '' when the destination is on the link. */
  readonly nexthops: readonly { readonly via: string; readonly interfaceName: string }[];
}

/** A route change that the kernel refused; `errno` is a name such as 'EEXIST'. */
export interface FailedRoute {
  readonly route: HostRoute;
  readonly errno: string;
}

/** What changed in the host namespace. After lost messages all three are reported. */
export type HostNetEvent = 'link' | 'address' | 'route';

/** The kernel's network configuration of one host. All calls but `watch` are synchronous. */
export interface HostNet extends Disposable {
  /** All links with their addresses, by index. */
  links(): HostLink[];
  /** Unicast routes of one protocol number; `table` is the main table (254) unless given. */
  routes(o: { protocol: number; table?: number }): HostRoute[];
  /** Unicast default routes of the main table with their metric, one per next hop. */
  defaultRoutes(): { family: 4 | 6; interfaceIndex: number; metric: number }[];
  /**
   * Adds, then removes. A route to the same destination with the same protocol is replaced
   * without a gap; one of another protocol is never touched: adding reports EEXIST. Removing what
   * is absent, and adding what is there already, succeeds. A default route is refused (EINVAL).
   */
  changeRoutes(o: { add: readonly HostRoute[]; remove: readonly HostRoute[] }): {
    failed: FailedRoute[];
  };
  /**
   * Opens a pod's namespace. Throws DomainError 'netns-gone' if the path leads nowhere and
   * 'netns-invalid' if it is not a network namespace or is the host's own.
   */
  openNetns(path: string): NetnsHandle;
  /**
   * A namespace in which nothing happens, for running the code of an attachment without one. Back
   * ends that have nothing to gain from it do not offer it.
   */
  openRehearsal?(): NetnsHandle;
  /**
   * Reports changes until `signal` aborts, then resolves. Each kind at most once per round. Of the
   * routes that the kernel keeps itself, for an address or a link, only those to IPv4 networks are
   * reported: every pod brings others. When a NIC or its address goes for a moment, that one coming
   * back is all that is heard of the loss of IPv4 routes over it; that of IPv6 routes is reported.
   */
  watch(onEvent: (what: HostNetEvent) => void, signal: AbortSignal): Promise<void>;
}

/** One pod's network namespace. Stays usable when its path is removed, until disposed. */
export interface NetnsHandle extends Disposable {
  /** `<device>:<inode>` of the namespace: equal for every path that leads to it. */
  readonly id: string;
  /** Enters now rather than at the first call that needs it, so that a failure comes before it. */
  enter(): void;
  links(): PodLink[];
  /**
   * Makes all links, gives them their addresses, sets them up and adds their routes. All or
   * nothing: on failure everything made is removed and a DomainError is thrown: 'name-in-use', or
   * 'link-failed' with details `interfaceName`, `master`, `errno` and `step`.
   */
  createLinks(requests: readonly PodLinkRequest[], faults?: LinkFaults): { created: PodLink[] };
  /**
   * Removes every link of `group` in one step, then those of `names` that are left and carry
   * that group. Group 0 is the group of links that nobody grouped: then only ipvlan and macvlan
   * links listed in `names` are removed. Absent links are done.
   */
  deleteLinks(o: { group: number; names: readonly string[] }): { deleted: number };
  /** Adds routes to the main table, all or none; DomainError 'link-failed' if one is refused. */
  addRoutes(routes: readonly PodRouteRequest[]): void;
  /** Unicast routes of the main table, without those that the kernel made by itself. */
  routes(): PodRoute[];
}
