// Reads older records of indices: the CIDR object and the IPPools of a network, as the original or
// we ourselves wrote them. A podCIDR is what pods have addresses of, so it decides over index
// numbers.
import { addressBits } from '../../shared/model/ip/address.ts';
import { type Cidr, parseCidr } from '../../shared/model/ip/cidr.ts';
import type { CidrObjectSpec } from '../../shared/model/objects/cidr-object.ts';
import type { IndexRecord } from './host-claims.ts';
import type { IndexNetwork } from './index-input.ts';
import type { InterfaceRecord } from './interface-indices.ts';
import type { Problem } from './problem.ts';

/** An IPPool as far as indices matter. */
export interface PoolRecord {
  readonly name: string;
  readonly hostName: string;
  readonly interfaceName: string;
  readonly podCidr: string;
  readonly vlanCidr: string;
  readonly allocationCount: number;
}

export interface Records {
  readonly interfaces: readonly InterfaceRecord[];
  readonly hosts: readonly IndexRecord[];
  readonly problems: readonly Problem[];
}

export type BlockNetwork = Pick<IndexNetwork, 'subnets' | 'interfaceBits' | 'hostBits'>;

/**
 * Position of `block` among the blocks of its length in `parent`; undefined when it is none of
 * them.
 */
export function indexOfBlock(parent: Cidr, block: Cidr, bits: number): number | undefined {
  if (parent.family !== block.family || block.prefix !== parent.prefix + bits) return undefined;
  const size = BigInt(addressBits[block.family] - block.prefix);
  const index = (block.base - parent.base) >> size;
  return index < 0n || index >= 1n << BigInt(bits) ? undefined : Number(index);
}

/** What the CIDR object says. In two-family networks both entries of a net address say the same. */
export function readCidrObject(network: BlockNetwork, spec: CidrObjectSpec): Records {
  const interfaces: InterfaceRecord[] = [];
  const hosts: IndexRecord[] = [];
  const problems: Problem[] = [];
  for (const entry of spec.cidr) {
    const vlan = parseCidr(entry.vlanCIDR);
    const interfaceIndex = vlan && interfaceIndexOf(network, vlan, entry.interfaceIndex);
    if (vlan === undefined || interfaceIndex === undefined) {
      problems.push({ kind: 'record-unreadable', record: `CIDR entry ${entry.vlanCIDR}` });
      continue;
    }
    interfaces.push({ netAddress: entry.netAddress, interfaceIndex });
    for (const host of entry.hosts) {
      const pod = parseCidr(host.podCIDR);
      const hostIndex = pod && indexOfBlock(vlan, pod, network.hostBits);
      if (hostIndex === undefined) {
        const record = `CIDR record ${host.podCIDR} of ${host.hostName}`;
        problems.push({ kind: 'record-unreadable', record });
        continue;
      }
      const { netAddress } = entry;
      hosts.push({ hostName: host.hostName, netAddress, hostIndex, source: 'CIDR object' });
    }
  }
  return { interfaces, hosts, problems };
}

/**
 * What IPPools say. `netAddressOf` names the net address of a host's NIC, if the host still has it;
 * `netAddressAt` names the one that is known to have an interface index.
 */
export function readPools(
  network: BlockNetwork,
  pools: readonly PoolRecord[],
  o: {
    netAddressAt: (interfaceIndex: number) => string | undefined;
    netAddressOf: (hostName: string, interfaceName: string) => string | undefined;
  },
): Records {
  const interfaces: InterfaceRecord[] = [];
  const hosts: IndexRecord[] = [];
  const problems: Problem[] = [];
  for (const pool of pools) {
    const place = placeOf(network, pool);
    if (place === undefined) {
      problems.push({ kind: 'record-unreadable', record: `IPPool ${pool.name}` });
      continue;
    }
    const known = place.netAddress ?? o.netAddressAt(place.interfaceIndex);
    const netAddress = known ?? o.netAddressOf(pool.hostName, pool.interfaceName);
    if (netAddress === undefined) continue; // whose blocks these are is not known either
    if (known === undefined) interfaces.push({ netAddress, interfaceIndex: place.interfaceIndex });
    const { hostName } = pool;
    const { hostIndex } = place;
    const isInUse = pool.allocationCount > 0 ? { isInUse: true } : {};
    hosts.push({ hostName, netAddress, hostIndex, source: `IPPool ${pool.name}`, ...isInUse });
  }
  return { interfaces, hosts, problems };
}

interface Place {
  /** Known by itself in host-subnet mode only, where the vlan CIDR is the net address. */
  readonly netAddress: string | undefined;
  readonly interfaceIndex: number;
  readonly hostIndex: number;
}

function placeOf(network: BlockNetwork, pool: PoolRecord): Place | undefined {
  const vlan = parseCidr(pool.vlanCidr);
  const pod = parseCidr(pool.podCidr);
  if (vlan === undefined || pod === undefined) return undefined;
  const isHostSubnetMode = network.subnets.length === 0;
  const interfaceIndex = interfaceIndexOf(network, vlan, 0);
  const hostIndex = indexOfBlock(vlan, pod, network.hostBits);
  if (interfaceIndex === undefined || hostIndex === undefined) return undefined;
  return { netAddress: isHostSubnetMode ? pool.vlanCidr : undefined, interfaceIndex, hostIndex };
}

/**
 * From the block where a subnet is divided; as recorded in host-subnet mode, where it divides
 * nothing.
 */
function interfaceIndexOf(network: BlockNetwork, vlan: Cidr, recorded: number): number | undefined {
  if (network.subnets.length === 0) return recorded;
  for (const subnet of network.subnets) {
    const index = indexOfBlock(subnet, vlan, network.interfaceBits);
    if (index !== undefined) return index;
  }
  return undefined;
}
