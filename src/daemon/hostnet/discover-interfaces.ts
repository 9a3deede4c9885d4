// Which NICs of the host may carry pod interfaces. Candidates are hardware NICs and VLANs on bonds;
// each one is reported, usable or with the reasons why not. Nothing is cached.
import { parseAddress } from '../../shared/model/ip/address.ts';
import { cidrOf, formatCidr } from '../../shared/model/ip/cidr.ts';
import { canonicalAddress } from './canonical-address.ts';
import type { HostLink, HostNet, LinkAddress } from './host-net.ts';
import { type NicDevice, readNicDevice } from './sysfs-device.ts';

/** A NIC as it is published in HostInterface, and why it is not if it is not. */
export interface DiscoveredInterface {
  readonly interfaceName: string;
  /** Subnet of the NIC in canonical CIDR form; '' if it has no usable address. */
  readonly netAddress: string;
  /** The NIC's address in that subnet. */
  readonly hostIP: string;
  readonly vendor: string;
  readonly product: string;
  readonly pciAddress: string;
  /** All global addresses with their length, primary ones first. */
  readonly addresses: readonly string[];
  /** Why the NIC is not offered to pods; empty if it is. */
  readonly skipped: readonly string[];
}

/** What discovery looks at. */
export interface DiscoveryOptions {
  readonly hostNet: Pick<HostNet, 'links' | 'defaultRoutes'>;
  /** Where sysfs of the host's namespace is mounted; /sys unless given. */
  readonly sysRoot?: string;
  /** Addresses of the node in the cluster; the NIC that has one is never offered. */
  readonly nodeAddresses?: readonly string[];
  /** Takes veths, dummies and other virtual links for NICs too, for test clusters. */
  readonly includeVirtual?: boolean;
}

/** Parent whose VLANs counted before bonds were recognised by kind (daemon 2.2 B). */
const TENANT_BOND = 'tenant-bond';
const virtualKinds = new Set(['veth', 'dummy', 'macvlan', 'ipvlan', 'vlan', 'bond', 'team']);
/** Names that pods' interfaces have: what CNI calls them and what we make of it. */
const podInterfaceName = /^net1$|^net\d+-\d+$/;
const NETWORK_CLASS = '02';

interface Candidate {
  readonly link: HostLink;
  readonly device: NicDevice | undefined;
}

/** The primary NICs and their subnets, which pods shall not share. */
interface Primary {
  readonly indices: ReadonlySet<number>;
  readonly subnets: ReadonlySet<string>;
}

/**
 * All candidates: PCI devices by PCI address and name, then other hardware by name, then VLANs and
 * virtual links by index.
 */
export function discoverInterfaces(o: DiscoveryOptions): DiscoveredInterface[] {
  const links = o.hostNet.links();
  const primary = findPrimary(links, o);
  return findCandidates(links, o)
    .sort(compareCandidates)
    .map((candidate) => describe(candidate, primary, o));
}

function findCandidates(links: readonly HostLink[], o: DiscoveryOptions): Candidate[] {
  const byIndex = new Map(links.map((link) => [link.index, link]));
  const candidates: Candidate[] = [];
  for (const link of links) {
    if (link.loopback) continue;
    // A virtual link can have the name of hardware elsewhere if sysfs is another namespace's.
    const device = link.kind === '' ? readNicDevice(o.sysRoot ?? '/sys', link.name) : undefined;
    const isVirtual = virtualKinds.has(link.kind) || link.kind === '';
    const isCandidate =
      device !== undefined ||
      isVlanOnBond(link, byIndex) ||
      (o.includeVirtual === true && isVirtual);
    if (isCandidate) candidates.push({ link, device });
  }
  return candidates;
}

function isVlanOnBond(link: HostLink, byIndex: ReadonlyMap<number, HostLink>): boolean {
  if (link.kind !== 'vlan') return false;
  const parent = byIndex.get(link.parentIndex);
  return parent?.kind === 'bond' || parent?.name === TENANT_BOND;
}

function compareCandidates(a: Candidate, b: Candidate): number {
  return compareKeys(orderKey(a), orderKey(b));
}

/** Rank of the candidate's class, then PCI address or index, then name. */
function orderKey({ link, device }: Candidate): (string | number)[] {
  if (device === undefined) return [2, link.index];
  return device.pciAddress === '' ? [1, link.name] : [0, device.pciAddress, link.name];
}

function compareKeys(a: readonly (string | number)[], b: readonly (string | number)[]): number {
  for (const [position, left] of a.entries()) {
    const right = b[position] ?? '';
    if (left !== right) return left < right ? -1 : 1;
  }
  return 0;
}

/**
 * The NICs of the best default route (IPv4, else IPv6) and of the node's own addresses. Only the
 * lowest metric counts: a DHCP client gives every NIC a default route with a metric of its own.
 */
function findPrimary(links: readonly HostLink[], o: DiscoveryOptions): Primary | undefined {
  const defaults = o.hostNet.defaultRoutes();
  const ipv4 = defaults.filter((route) => route.family === 4);
  const family = ipv4.length > 0 ? ipv4 : defaults;
  const metric = Math.min(...family.map((route) => route.metric));
  const best = family.filter((route) => route.metric === metric);
  const indices = new Set(best.map((route) => route.interfaceIndex));
  const nodeAddresses = new Set((o.nodeAddresses ?? []).map(canonicalAddress));
  for (const link of links) {
    if (link.addresses.some((a) => nodeAddresses.has(a.address))) indices.add(link.index);
  }
  const primaryLinks = links.filter((link) => indices.has(link.index));
  if (primaryLinks.length === 0) return undefined;
  const subnets = primaryLinks.flatMap((link) =>
    link.addresses.filter((a) => a.scope === 'global' && !isSingleHost(a)).map(subnetOf),
  );
  return { indices, subnets: new Set(subnets) };
}

function describe(
  { link, device }: Candidate,
  primary: Primary | undefined,
  o: DiscoveryOptions,
): DiscoveredInterface {
  const address = chooseAddress(link.addresses);
  const netAddress = address === undefined ? '' : subnetOf(address);
  const global = link.addresses.filter((a) => a.scope === 'global');
  const skipped = [
    podInterfaceName.test(link.name) && 'named like a pod interface: left over from a pod',
    device !== undefined &&
      isOtherClass(device) &&
      `PCI class ${device.pciClass} is no network class`,
    address === undefined && 'has no global IPv4 or IPv6 address',
    !link.up && 'is down',
    primaryReason(link, netAddress, primary, o),
  ];
  return {
    interfaceName: link.name,
    netAddress,
    hostIP: address?.address ?? '',
    vendor: device?.vendor ?? '',
    product: device?.product ?? '',
    pciAddress: device?.pciAddress ?? '',
    addresses: global.map((a) => `${a.address}/${a.prefix}`),
    skipped: skipped.filter((reason) => reason !== false),
  };
}

const isOtherClass = (device: NicDevice): boolean =>
  device.pciClass !== '' && !device.pciClass.startsWith(NETWORK_CLASS);

/** Fails closed: without any sign of the primary NIC, each one could be it. */
function primaryReason(
  link: HostLink,
  netAddress: string,
  primary: Primary | undefined,
  o: DiscoveryOptions,
): string | false {
  if (primary === undefined) {
    const isTest = o.includeVirtual === true;
    return !isTest && 'no default route and no node address tell which NIC is the primary one';
  }
  if (primary.indices.has(link.index)) return "is the node's primary NIC";
  return primary.subnets.has(netAddress) && `is in the primary NIC's subnet ${netAddress}`;
}

/**
 * The address that gives the NIC its net address: the first global IPv4 one, else the first IPv6
 * one, preferring those with a subnet to /32 and /128, which are service addresses mostly.
 */
function chooseAddress(addresses: readonly LinkAddress[]): LinkAddress | undefined {
  const global = addresses.filter((address) => address.scope === 'global');
  const byFamily = [4, 6].flatMap((family) => {
    const all = global.filter((address) => address.family === family);
    return all.find((address) => !isSingleHost(address)) ?? all[0] ?? [];
  });
  return byFamily[0];
}

const isSingleHost = ({ family, prefix }: LinkAddress): boolean =>
  prefix === (family === 4 ? 32 : 128);

function subnetOf({ address, prefix }: LinkAddress): string {
  const parsed = parseAddress(address);
  if (parsed === undefined) throw new RangeError(`no IP address: ${address}`);
  return formatCidr(cidrOf(parsed, prefix));
}
