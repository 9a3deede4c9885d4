// Which routes a host needs to reach the pods of the other hosts, and which positions two hosts
// claim at once. Pure: the daemon compares the answer with the kernel's table.
import { parseAddress } from '../ip/address.ts';
import {
  type Cidr,
  containsAddress,
  formatCidr,
  parseAddressInCidr,
  parseCidr,
} from '../ip/cidr.ts';
import type { InterfaceInfo } from '../objects/host-interface.ts';
import { type DivisionCore, type HostPool, type PlanHost, planHostPools } from './host-pools.ts';
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
  const ownNics = nicsByNet(self, planHostPools(core, network, interfaceIndices, self));
  for (const peer of others) {
    for (const pool of planHostPools(core, network, interfaceIndices, peer)) {
      const nic = ownNics.get(pool.netAddress);
      if (nic !== undefined && !refused.has(positionKey(pool))) addRoute(plan, nic, peer, pool);
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
  const holders = new Map<string, { netAddress: string; hostIndex: number; names: Set<string> }>();
  for (const { hostName, hostIndices } of hosts) {
    for (const [netAddress, hostIndex] of hostIndices) {
      const key = positionKey({ netAddress, hostIndex });
      const holder = holders.get(key) ?? { netAddress, hostIndex, names: new Set() };
      holder.names.add(hostName);
      holders.set(key, holder);
    }
  }
  return [...holders.values()]
    .filter(({ names }) => names.size > 1)
    .map(({ netAddress, hostIndex, names }) => ({
      netAddress,
      hostIndex,
      hostNames: [...names].sort(),
    }))
    .sort((a, b) => compareText(a.netAddress, b.netAddress) || a.hostIndex - b.hostIndex);
}

function addRoute(plan: PeerRoutePlan, own: InterfaceInfo, peer: PlanHost, pool: HostPool): void {
  const peerNic = peer.interfaces.find(({ interfaceName }) => interfaceName === pool.interfaceName);
  const via = peerNic === undefined ? undefined : nextHop(own, peerNic, pool);
  if (via === undefined) {
    const { netAddress, family } = pool;
    const reason = `no IPv${family} address of the peer is on a link with ${own.interfaceName}`;
    plan.unreachable.push({ hostName: peer.hostName, netAddress, reason });
  } else {
    const { interfaceName } = own;
    plan.routes.push({ destination: pool.podCidr, via, interfaceName });
  }
}

/**
 * The peer's address in the pool's family: in the shared net address, or in a network of both NICs.
 */
function nextHop(own: InterfaceInfo, peer: InterfaceInfo, pool: HostPool): string | undefined {
  const net = parseCidr(pool.netAddress);
  const links = [
    ...(net === undefined ? [] : [net]),
    ...(own.addresses ?? []).flatMap((text) => parseAddressInCidr(text)?.cidr ?? []),
  ].filter(({ family }) => family === pool.family);
  const candidates = [
    peer.hostIP ?? '',
    ...(peer.addresses ?? []).map((text) => text.slice(0, text.indexOf('/'))),
  ];
  return candidates.find((text) => {
    const address = parseAddress(text);
    return address !== undefined && links.some((link) => containsAddress(link, address));
  });
}

/** Own NICs that serve the network, by net address. */
function nicsByNet(self: PlanHost, pools: readonly HostPool[]): Map<string, InterfaceInfo> {
  const nics = new Map<string, InterfaceInfo>();
  for (const { netAddress, interfaceName } of pools) {
    const nic = self.interfaces.find((one) => one.interfaceName === interfaceName);
    if (nic !== undefined) nics.set(netAddress, nic);
  }
  return nics;
}

function positionKey(o: { readonly netAddress: string; readonly hostIndex: number }): string {
  return `${o.netAddress} ${o.hostIndex}`;
}

function compareRoutes(a: PeerRoute, b: PeerRoute): number {
  return (
    compareText(a.interfaceName, b.interfaceName) ||
    compareText(formatCidr(a.destination), formatCidr(b.destination))
  );
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
