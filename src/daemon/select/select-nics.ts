// Chooses the host NICs of an attachment. Pure. Every NIC that was considered comes back with the
// reason for or against it, for the error, for `/v1/why` and for the log.

/** A NIC of this host that pods may be attached to, with what decides about it. */
export interface HostNic {
  readonly interfaceName: string;
  readonly netAddress: string;
  readonly hostIp: string;
  readonly vendor: string;
  readonly product: string;
  readonly pciAddress: string;
  /** Kernel index; 0 if the kernel has no such link (an interface listed by hand). */
  readonly index: number;
  readonly isUp: boolean;
  readonly mtu: number;
}

/** Vendors and their products, as in a DeviceClass: 4 hex digits each (or names such as `efa1`). */
export type DeviceIds = readonly {
  readonly vendor: string;
  readonly products: readonly string[];
}[];

/** What the network and the pod ask for. */
export interface NicDemand {
  /** Net addresses of the network in their order; empty means every net address of the host. */
  readonly masterNets: readonly string[];
  /** Number of NICs, if the pod asked for one. */
  readonly nics: number | undefined;
  /** NICs by name, if the pod asked for some. */
  readonly masters: readonly string[];
  /** NICs by identity, if the pod named a device class. */
  readonly deviceIds: DeviceIds | undefined;
}

/** A NIC and the verdict on it: chosen when `reason` is undefined. */
export interface Considered {
  readonly interfaceName: string;
  readonly netAddress: string;
  readonly reason: string | undefined;
}

/** The outcome; `reason` says why there is no choice. */
export type Selection =
  | { readonly ok: true; readonly nics: readonly HostNic[]; readonly considered: Considered[] }
  | { readonly ok: false; readonly reason: string; readonly considered: Considered[] };

/** Facts about this host. */
export interface NicSupply {
  readonly nics: readonly HostNic[];
  /** Interfaces that discovery left out, with its reasons. */
  readonly skipped: readonly { readonly interfaceName: string; readonly reason: string }[];
  /** Net addresses in which this host holds a host index: a NIC there is expected to exist. */
  readonly plannedNets: ReadonlySet<string>;
  /** Why a pod cannot get an address or a link on this NIC, or undefined if it can. */
  readonly unsuitable: (nic: HostNic) => string | undefined;
}

interface Judged {
  readonly nic: HostNic;
  readonly reason: string | undefined;
  /** The demand itself excludes it: no loss. Otherwise a reason means a NIC less than wanted. */
  readonly isUnwanted: boolean;
}

/**
 * Without a wanted number every wanted NIC must be usable, so that a pod never starts with fewer
 * than its network has here (design D10); with one, so many of the usable ones are taken in order.
 */
export function selectNics(demand: NicDemand, supply: NicSupply): Selection {
  const judged = orderNics(demand, supply.nics).map((nic) => judge(nic, demand, supply));
  const missing = findMissing(demand, supply);
  const wanted = judged.filter((entry) => !entry.isUnwanted);
  const usable = wanted.filter((entry) => entry.reason === undefined);
  const considered = [...judged.map(toConsidered), ...missing];
  const count = demand.nics ?? wanted.length;
  const lost = wanted.length - usable.length + missing.length;
  if (usable.length === 0) {
    return { ok: false, reason: 'no NIC of this node is suitable', considered };
  }
  if (demand.nics === undefined && lost > 0) {
    return { ok: false, reason: `${lost} of the network's NICs cannot be used`, considered };
  }
  if (usable.length < count) {
    const reason = `${count} NICs are wanted, ${usable.length} are suitable`;
    return { ok: false, reason, considered };
  }
  const chosen = usable.slice(0, count).map((entry) => entry.nic);
  const names = new Set(chosen.map((nic) => nic.interfaceName));
  const surplus = considered.map((entry) =>
    entry.reason === undefined && !names.has(entry.interfaceName)
      ? { ...entry, reason: `not needed: ${count} NICs are wanted` }
      : entry,
  );
  return { ok: true, nics: chosen, considered: surplus };
}

/**
 * Order of the pod's interfaces: as the pod named them, else as the network lists net addresses.
 */
function orderNics(demand: NicDemand, nics: readonly HostNic[]): HostNic[] {
  const rank = (list: readonly string[], value: string): number => {
    const index = list.indexOf(value);
    return index < 0 ? list.length : index;
  };
  return [...nics].sort(
    (a, b) =>
      rank(demand.masters, a.interfaceName) - rank(demand.masters, b.interfaceName) ||
      rank(demand.masterNets, a.netAddress) - rank(demand.masterNets, b.netAddress) ||
      compareText(a.netAddress, b.netAddress) ||
      compareText(a.interfaceName, b.interfaceName),
  );
}

/** Byte order, the same on every host whatever its locale. */
function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function judge(nic: HostNic, demand: NicDemand, supply: NicSupply): Judged {
  const unwanted = whyUnwanted(nic, demand);
  if (unwanted !== undefined) return { nic, reason: unwanted, isUnwanted: true };
  return { nic, reason: whyUnusable(nic, supply), isUnwanted: false };
}

function whyUnwanted(nic: HostNic, demand: NicDemand): string | undefined {
  const { masterNets, masters, deviceIds } = demand;
  // A pod may choose among the network's NICs, not add others to them.
  if (masterNets.length > 0 && !masterNets.includes(nic.netAddress)) {
    return 'its net address is not one of the network';
  }
  if (masters.length > 0 && !masters.includes(nic.interfaceName)) return 'not named by the pod';
  if (deviceIds !== undefined && !isOfClass(nic, deviceIds)) return 'not of the device class';
  return undefined;
}

function isOfClass(nic: HostNic, ids: DeviceIds): boolean {
  return ids.some(
    ({ vendor, products }) =>
      isSameId(vendor, nic.vendor) && products.some((product) => isSameId(product, nic.product)),
  );
}

/** Both are written by people where a NIC is listed by hand: `0x15B3` is `15b3`. */
function isSameId(a: string, b: string): boolean {
  const plain = (id: string): string => id.toLowerCase().replace(/^0x/, '');
  return plain(a) === plain(b);
}

function whyUnusable(nic: HostNic, supply: NicSupply): string | undefined {
  if (nic.index === 0) return 'the kernel has no such link';
  if (!nic.isUp) return 'the link is down';
  return supply.unsuitable(nic);
}

/** What was asked for by name, or is planned for this host, and is not among its NICs. */
function findMissing(demand: NicDemand, supply: NicSupply): Considered[] {
  const names = new Set(supply.nics.map((nic) => nic.interfaceName));
  const nets = new Set(supply.nics.map((nic) => nic.netAddress));
  const skipped = new Map(supply.skipped.map((entry) => [entry.interfaceName, entry.reason]));
  const namedButAbsent = demand.masters
    .filter((name) => !names.has(name))
    .map((interfaceName) => ({
      interfaceName,
      netAddress: '',
      reason: skipped.get(interfaceName) ?? 'this node has no such NIC',
    }));
  // The pod chose by name or identity: a vanished NIC that it did not ask for is no loss to it.
  if (demand.masters.length > 0 || demand.deviceIds !== undefined) return namedButAbsent;
  const isWanted = (net: string): boolean =>
    demand.masterNets.length === 0 || demand.masterNets.includes(net);
  return [...supply.plannedNets]
    .filter((net) => isWanted(net) && !nets.has(net))
    .sort(compareText)
    .map((netAddress) => ({
      interfaceName: '',
      netAddress,
      reason: 'this node had a NIC in this net, and has none now',
    }));
}

function toConsidered(entry: Judged): Considered {
  const { interfaceName, netAddress } = entry.nic;
  return { interfaceName, netAddress, reason: entry.reason };
}
