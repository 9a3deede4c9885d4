// Which routes a host needs to reach the pods of the other hosts, and which positions two hosts
// claim at once. Pure: the daemon compares the answer with the kernel's table.
import { formatAddress, type IpAddress, parseAddress } from '../ip/address.ts';
import { type Cidr, containsAddress, parseAddressInCidr, parseCidr } from '../ip/cidr.ts';
import type { InterfaceInfo } from '../objects/host-interface.ts';
import { type DivisionCore, divideHost, type HostBlock, type PlanHost } from './host-pools.ts';
import type { NetworkDefinition } from './network-definition.ts';

/** A route to the pods of one peer over one NIC. */
export interface PeerRoute {
  readonly destination: Cidr;
  /** Address of the peer's NIC in the same net address. */
  readonly via: string;
  /** Own NIC. */
  readonly interfaceName: string;
}

/** A position that two or more hosts hold; nobody may use it. */
export interface DuplicateIndex {
  readonly netAddress: string;
  readonly hostIndex: number;
  /** Sorted. */
  readonly hostNames: readonly string[];
}

/** Why a peer cannot be reached over a NIC. */
export interface UnreachablePeer {
  readonly hostName: string;
  readonly netAddress: string;
  readonly reason: string;
}

/** Routes sorted by NIC and destination; `duplicates` among all hosts given. */
export interface PeerRoutePlan {
  readonly routes: PeerRoute[];
  readonly duplicates: DuplicateIndex[];
  readonly unreachable: UnreachablePeer[];
}

/**
 * The routes that `self` needs in a network with routes between hosts. No route leads to a
 * duplicate position.
 */
export function planPeerRoutes(
  core: DivisionCore,
  network: NetworkDefinition,
  interfaceIndices: ReadonlyMap<string, number>,
  self: PlanHost,
  peers: Iterable<PlanHost>,
): PeerRoutePlan {
  const others = [...peers].filter(({ hostName }) => hostName !== self.hostName);
  const duplicates = findDuplicateIndices([self, ...others]);
  const plan: PeerRoutePlan = { routes: [], duplicates, unreachable: [] };
  if (!network.routed) return plan;
  const refused = new Set(duplicates.map(positionKey));
  const links = ownLinks(divideHost(core, network, interfaceIndices, self).blocks);
  for (const peer of others) {
    for (const block of divideHost(core, network, interfaceIndices, peer).blocks) {
      const link = links.get(block.netAddress);
      const isRefused = refused.size > 0 && refused.has(positionKey(block));
      if (link !== undefined && !isRefused) addRoute(plan, link, peer, block);
    }
  }
  plan.routes.sort(compareRoutes);
  return plan;
}

/**
 * Positions that more than one host holds. Which of them was first cannot be known, so all are
 * named.
 */
export function findDuplicateIndices(
  hosts: Iterable<Pick<PlanHost, 'hostName' | 'hostIndices'>>,
): DuplicateIndex[] {
  const nets = new Map<string, Map<number, Set<string> | string>>();
  for (const { hostName, hostIndices } of hosts) {
    for (const [netAddress, hostIndex] of hostIndices) {
      const holders = nets.get(netAddress) ?? new Map<number, Set<string> | string>();
      nets.set(netAddress, holders);
      addHolder(holders, hostIndex, hostName);
    }
  }
  return [...nets]
    .flatMap(([netAddress, holders]) => duplicatesIn(netAddress, holders))
    .sort((a, b) => compareText(a.netAddress, b.netAddress) || a.hostIndex - b.hostIndex);
}

/** Hint: a set per index would be one per host and NIC; almost all indices have one holder. */
function addHolder(
  holders: Map<number, Set<string> | string>,
  hostIndex: number,
  hostName: string,
): void {
  const holder = holders.get(hostIndex);
  if (holder === undefined) holders.set(hostIndex, hostName);
  else if (typeof holder !== 'string') holder.add(hostName);
  else if (holder !== hostName) holders.set(hostIndex, new Set([holder, hostName]));
}

function duplicatesIn(
  netAddress: string,
  holders: ReadonlyMap<number, Set<string> | string>,
): DuplicateIndex[] {
  return [...holders].flatMap(([hostIndex, holder]) =>
    typeof holder === 'string' ? [] : [{ netAddress, hostIndex, hostNames: [...holder].sort() }],
  );
}

/** An own NIC with the networks that are on its link. */
interface OwnLink {
  readonly interfaceName: string;
  readonly nets: readonly Cidr[];
  /** Own addresses on it: a route by one of them would lead nowhere. */
  readonly addresses: readonly IpAddress[];
}

/** Own NICs that serve the network, by net address. */
function ownLinks(blocks: readonly HostBlock[]): Map<string, OwnLink> {
  const links = new Map<string, OwnLink>();
  for (const { nic, netAddress } of blocks) {
    const { interfaceName, hostIP = '', addresses = [] } = nic;
    const own = addresses.map((text) => parseAddressInCidr(text)).filter(isPresent);
    links.set(netAddress, {
      interfaceName,
      nets: [parseCidr(netAddress), ...own.map(({ cidr }) => cidr)].filter(isPresent),
      addresses: [parseAddress(hostIP), ...own.map(({ address }) => address)].filter(isPresent),
    });
  }
  return links;
}

function addRoute(plan: PeerRoutePlan, link: OwnLink, peer: PlanHost, block: HostBlock): void {
  const { interfaceName } = link;
  const { family } = block.podCidr;
  const { netAddress } = block;
  const unreachable = (reason: string): void => {
    plan.unreachable.push({ hostName: peer.hostName, netAddress, reason });
  };
  const via = nextHop(link, block.nic, family);
  if (via === undefined) {
    unreachable(`no IPv${family} address of the peer is on a link with ${interfaceName}`);
  } else if (link.addresses.some((own) => isSameAddress(own, via))) {
    unreachable(`its address ${formatAddress(via)} is this host's own on ${interfaceName}`);
  } else {
    plan.routes.push({ destination: block.podCidr, via: formatAddress(via), interfaceName });
  }
}

/** The peer's address in the family: in the shared net address, or in a network of both NICs. */
function nextHop(link: OwnLink, peer: InterfaceInfo, family: 4 | 6): IpAddress | undefined {
  const { hostIP = '', addresses = [] } = peer;
  return [hostIP, ...addresses.map((text) => text.slice(0, text.indexOf('/')))]
    .map((text) => parseAddress(text))
    .filter(isPresent)
    .find((one) => one.family === family && link.nets.some((net) => containsAddress(net, one)));
}

function isSameAddress(a: IpAddress, b: IpAddress): boolean {
  return a.family === b.family && a.value === b.value;
}

function isPresent<T>(value: T | undefined): value is T {
  return value !== undefined;
}

function positionKey(o: { readonly netAddress: string; readonly hostIndex: number }): string {
  return `${o.netAddress} ${o.hostIndex}`;
}

function compareRoutes(a: PeerRoute, b: PeerRoute): number {
  const [left, right] = [a.destination, b.destination];
  return (
    compareText(a.interfaceName, b.interfaceName) ||
    left.family - right.family ||
    (left.base < right.base ? -1 : left.base > right.base ? 1 : left.prefix - right.prefix)
  );
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
