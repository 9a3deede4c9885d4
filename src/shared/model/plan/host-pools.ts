// Which pools a host has in a network: a pure function of the network, the interface indices, the
// host's NICs and its host indices (design D6). Daemons use it for themselves and for their peers,
// the controller for the CIDR object.
import { addressBits, parseAddress } from '../ip/address.ts';
import {
  type Cidr,
  canonicalCidr,
  cidrOf,
  containsAddress,
  containsCidr,
  parseAddressInCidr,
  parseCidr,
} from '../ip/cidr.ts';
import type { InterfaceInfo } from '../objects/host-interface.ts';
import { POD_BITS_MIN } from '../objects/network-rules.ts';
import type { NetworkDefinition } from './network-definition.ts';
import { poolName } from './pool-name.ts';

/** What planning needs of the WASM core. */
export interface DivisionCore {
  subnetAt(
    parent: Cidr,
    index: number,
    bits: number,
  ): { readonly ok: true; readonly cidr: Cidr } | { readonly ok: false; readonly reason: string };
}

/**
 * A host as its HostInterface shows it. `hostIndices` is about one network, keyed by canonical net
 * address.
 */
export interface PlanHost {
  readonly hostName: string;
  readonly interfaces: readonly InterfaceInfo[];
  readonly hostIndices: ReadonlyMap<string, number>;
  /**
   * Addresses of other machines in the host's subnets, from `hostAddressBlocks`; only used in
   * host-subnet mode, where a pool can contain them (W-13).
   */
  readonly reserved?: readonly Cidr[];
}

/** The addresses of one host on one NIC in one network and family. */
export interface HostPool {
  /** Name of the IPPool object. */
  readonly name: string;
  readonly network: string;
  readonly hostName: string;
  readonly interfaceName: string;
  /** Address of the NIC in the pool's family; empty if it has none. */
  readonly hostIp: string;
  /** Canonical. */
  readonly netAddress: string;
  readonly interfaceIndex: number;
  readonly hostIndex: number;
  readonly vlanCidr: Cidr;
  readonly podCidr: Cidr;
  /**
   * Blocks strictly inside the pod CIDR, in order. The pod CIDR itself if the network excludes all
   * of it: no new index is given there, but pods that have addresses of it keep them and their
   * routes.
   */
  readonly excludes: Cidr[];
  readonly family: 4 | 6;
}

/** Why a NIC has no pool. */
export interface SkippedInterface {
  readonly interfaceName: string;
  readonly netAddress: string;
  readonly reason: string;
}

/** One block of a host: its place in the division. */
export interface HostBlock {
  readonly nic: InterfaceInfo;
  /** Canonical. */
  readonly netAddress: string;
  readonly interfaceIndex: number;
  readonly hostIndex: number;
  readonly vlanCidr: Cidr;
  readonly podCidr: Cidr;
}

/** Blocks in the order of the host's NICs, and why NICs have none. */
export interface HostDivision {
  readonly blocks: HostBlock[];
  readonly skipped: SkippedInterface[];
}

/** Pools in the order of the host's NICs, IPv4 and IPv6 as the subnets are; and what has none. */
export interface HostPoolPlan {
  readonly pools: HostPool[];
  readonly skipped: SkippedInterface[];
}

/** The pools of a host; see `explainHostPools` for what is left out. */
export function planHostPools(
  core: DivisionCore,
  network: NetworkDefinition,
  interfaceIndices: ReadonlyMap<string, number>,
  host: PlanHost,
): HostPool[] {
  return explainHostPools(core, network, interfaceIndices, host).pools;
}

/**
 * The pools of a host, and for every NIC without one the reason. Keys of the maps are canonical net
 * addresses.
 */
export function explainHostPools(
  core: DivisionCore,
  network: NetworkDefinition,
  interfaceIndices: ReadonlyMap<string, number>,
  host: PlanHost,
): HostPoolPlan {
  const { blocks, skipped } = divideHost(core, network, interfaceIndices, host);
  const taken = network.hostSubnetMode ? takenAddresses(network, host) : [];
  const excludes = [...network.excludes, ...taken];
  const pools = blocks.map((block) => toPool(network, host.hostName, block, excludes));
  return { pools, skipped };
}

/**
 * The blocks of a host without what makes them pools: the part that is needed for each of thousands
 * of peers.
 */
export function divideHost(
  core: DivisionCore,
  network: NetworkDefinition,
  interfaceIndices: ReadonlyMap<string, number>,
  host: PlanHost,
): HostDivision {
  const division: HostDivision = { blocks: [], skipped: [] };
  if (!network.managedIpam) return division;
  const nets = host.interfaces.map((nic) => netKey(nic, host.hostIndices));
  const chosen = chooseByNet(host.interfaces, nets);
  for (const [at, nic] of host.interfaces.entries()) {
    const netAddress = nets[at] ?? '';
    const place = {
      interfaceIndex: interfaceIndices.get(netAddress),
      hostIndex: host.hostIndices.get(netAddress),
    };
    const reason = skipReason(network, { nic, netAddress, ...place }, chosen);
    const { interfaceIndex = 0, hostIndex = 0 } = place; // both are there, or there is a reason
    const position = { nic, netAddress, interfaceIndex, hostIndex };
    if (reason === undefined) divideInterface(core, network, position, division);
    else division.skipped.push({ interfaceName: nic.interfaceName, netAddress, reason });
  }
  return division;
}

/**
 * Net addresses where `hostBits` is 0 and more than one host has a NIC: nobody gets a pool there
 * (W-12, D3).
 */
export function findSharedNets(
  network: NetworkDefinition,
  hosts: Iterable<Pick<PlanHost, 'hostName' | 'interfaces'>>,
): Map<string, string[]> {
  const holders = new Map<string, Set<string>>();
  if (!network.managedIpam || network.hostBits > 0) return new Map();
  for (const { hostName, interfaces } of hosts) {
    for (const { netAddress = '' } of interfaces) {
      const key = canonicalCidr(netAddress);
      if (key === undefined || !takesPart(network, key)) continue;
      const names = holders.get(key) ?? new Set<string>();
      holders.set(key, names.add(hostName));
    }
  }
  const shared = [...holders].filter(([, names]) => names.size > 1);
  return new Map(shared.map(([key, names]) => [key, [...names].sort()]));
}

/**
 * The one NIC of each net address that is used where a host has several (W-11): the lowest PCI
 * address, then the lowest name; NICs without PCI address come last. The order in which they are
 * reported does not matter.
 */
export function chooseInterfaces(
  interfaces: readonly InterfaceInfo[],
): ReadonlyMap<string, InterfaceInfo> {
  return chooseByNet(
    interfaces,
    interfaces.map((nic) => canonicalCidr(nic.netAddress ?? '') ?? ''),
  );
}

function chooseByNet(
  interfaces: readonly InterfaceInfo[],
  nets: readonly string[],
): ReadonlyMap<string, InterfaceInfo> {
  const chosen = new Map<string, InterfaceInfo>();
  for (const [at, nic] of interfaces.entries()) {
    const key = nets[at] ?? '';
    const rival = chosen.get(key);
    if (key !== '' && (rival === undefined || compareInterfaces(nic, rival) < 0)) {
      chosen.set(key, nic);
    }
  }
  return chosen;
}

/** The canonical net address; '' if there is none. One that is a key already need not be parsed. */
function netKey({ netAddress = '' }: InterfaceInfo, known: ReadonlyMap<string, unknown>): string {
  return known.has(netAddress) ? netAddress : (canonicalCidr(netAddress) ?? '');
}

/**
 * The address of a NIC in a family, preferring the one in its net address; empty if there is none.
 */
export function interfaceAddress(nic: InterfaceInfo, family: 4 | 6): string {
  const hostIp = nic.hostIP ?? '';
  if (parseAddress(hostIp)?.family === family) return hostIp;
  const other = (nic.addresses ?? []).find(
    (text) => parseAddressInCidr(text)?.address.family === family,
  );
  return other?.slice(0, other.indexOf('/')) ?? '';
}

/** All addresses of the hosts' NICs, as blocks of one address each. */
export function hostAddressBlocks(hosts: Iterable<Pick<PlanHost, 'interfaces'>>): Cidr[] {
  const blocks: Cidr[] = [];
  for (const { interfaces } of hosts) {
    for (const { hostIP = '', addresses = [] } of interfaces) {
      blocks.push(...toBlock(hostIP));
      for (const text of addresses) blocks.push(...toBlock(text.slice(0, text.indexOf('/'))));
    }
  }
  return blocks;
}

/** What is divided for a NIC: the subnets of the network, or the net address itself. */
function parentsOf(network: NetworkDefinition, netAddress: string): readonly Cidr[] {
  if (!network.hostSubnetMode) return network.subnets;
  const own = parseCidr(netAddress);
  return own === undefined ? [] : [own];
}

/** Adds the blocks of one NIC: one per subnet, or one in its own net address. */
function divideInterface(
  core: DivisionCore,
  network: NetworkDefinition,
  position: Pick<HostBlock, 'nic' | 'netAddress' | 'interfaceIndex' | 'hostIndex'>,
  division: HostDivision,
): void {
  const { netAddress, nic } = position;
  for (const parent of parentsOf(network, netAddress)) {
    const blocks = divide(core, network, parent, position);
    if (typeof blocks !== 'string') division.blocks.push({ ...position, ...blocks });
    else division.skipped.push({ interfaceName: nic.interfaceName, netAddress, reason: blocks });
  }
}

/** The vlan CIDR and the pod CIDR of a position, or why there are none. */
function divide(
  core: DivisionCore,
  network: NetworkDefinition,
  parent: Cidr,
  { interfaceIndex, hostIndex }: { interfaceIndex: number; hostIndex: number },
): { vlanCidr: Cidr; podCidr: Cidr } | string {
  const bits = network.hostSubnetMode ? 0 : network.interfaceBits;
  const left = addressBits[parent.family] - parent.prefix - bits - network.hostBits;
  if (left < POD_BITS_MIN) return `prefix and blocks leave ${left} bits for pods`;
  const vlan = core.subnetAt(parent, network.hostSubnetMode ? 0 : interfaceIndex, bits);
  if (!vlan.ok) return `interface index ${interfaceIndex}: ${vlan.reason}`;
  const pod = core.subnetAt(vlan.cidr, hostIndex, network.hostBits);
  if (!pod.ok) return `host index ${hostIndex}: ${pod.reason}`;
  return { vlanCidr: vlan.cidr, podCidr: pod.cidr };
}

function toPool(
  network: NetworkDefinition,
  hostName: string,
  block: HostBlock,
  excludes: readonly Cidr[],
): HostPool {
  const { nic, podCidr, ...position } = block;
  const isExcluded = network.excludes.some((exclude) => containsCidr(exclude, podCidr));
  return {
    name: poolName(network.name, podCidr),
    network: network.name,
    hostName,
    interfaceName: nic.interfaceName,
    hostIp: interfaceAddress(nic, podCidr.family),
    ...position,
    podCidr,
    excludes: isExcluded ? [podCidr] : poolExcludes(podCidr, excludes),
    family: podCidr.family,
  };
}

/** Excludes strictly inside the block, each once, by address; of one address as they are given. */
export function poolExcludes(podCidr: Cidr, excludes: readonly Cidr[]): Cidr[] {
  const inside = excludes.filter(
    (exclude) => exclude.prefix > podCidr.prefix && containsCidr(podCidr, exclude),
  );
  inside.sort((a, b) => (a.base === b.base ? 0 : a.base < b.base ? -1 : 1));
  return [
    ...new Map(inside.map((exclude) => [`${exclude.base}/${exclude.prefix}`, exclude])).values(),
  ];
}

/**
 * In host-subnet mode: hosts, other machines and the gateways that pods are told of. No pod may get
 * these (W-13).
 */
function takenAddresses(network: NetworkDefinition, host: PlanHost): Cidr[] {
  const { routes } = network.ipam;
  const gateways = (Array.isArray(routes) ? routes : []).flatMap((route: unknown) => {
    const { gw }: { gw?: unknown } = Object(route);
    return typeof gw === 'string' ? toBlock(gw) : [];
  });
  return [...hostAddressBlocks([host]), ...(host.reserved ?? []), ...gateways];
}

/** Why the NIC cannot have a block, or undefined. */
function skipReason(
  network: NetworkDefinition,
  o: {
    readonly nic: InterfaceInfo;
    readonly netAddress: string;
    readonly interfaceIndex: number | undefined;
    readonly hostIndex: number | undefined;
  },
  chosen: ReadonlyMap<string, InterfaceInfo>,
): string | undefined {
  if (o.netAddress === '') return 'it has no net address';
  if (!takesPart(network, o.netAddress)) return 'its net address is not in masterNets';
  const winner = chosen.get(o.netAddress);
  if (winner !== o.nic) return `${winner?.interfaceName} serves the same net address`;
  if (o.interfaceIndex === undefined) return 'its net address has no interface index';
  return o.hostIndex === undefined ? 'this host has no host index there' : undefined;
}

/** Whether the net address belongs to the network. */
function takesPart(network: NetworkDefinition, netAddress: string): boolean {
  return network.masterNets.length === 0 || network.masterNets.includes(netAddress);
}

function toBlock(text: string): Cidr[] {
  const address = parseAddress(text);
  return address === undefined ? [] : [cidrOf(address, addressBits[address.family])];
}

function compareInterfaces(a: InterfaceInfo, b: InterfaceInfo): number {
  const key = ({ pciAddress = '', interfaceName }: InterfaceInfo): [string, string] => [
    pciAddress === '' ? '~' : pciAddress.toLowerCase(),
    interfaceName,
  ];
  const [left, right] = [key(a), key(b)];
  if (left[0] !== right[0]) return left[0] < right[0] ? -1 : 1;
  return left[1] < right[1] ? -1 : left[1] > right[1] ? 1 : 0;
}

/**
 * Whether the address is one that the network may give to a pod of this pool, but for the pool's
 * own first and last.
 */
export function isPoolAddress(pool: HostPool, text: string): boolean {
  const address = parseAddress(text);
  if (address === undefined || !containsAddress(pool.podCidr, address)) return false;
  return !pool.excludes.some((exclude) => containsAddress(exclude, address));
}
