// Networks, NICs and hosts for the tests of planning: what they share, with one thing changed at a time.
import * as v from 'valibot';
import { addressBits, parseAddress } from '../../src/shared/model/ip/address.ts';
import { type Cidr, cidrOf, formatCidr, parseCidr } from '../../src/shared/model/ip/cidr.ts';
import type { InterfaceInfo } from '../../src/shared/model/objects/host-interface.ts';
import { MultiNicNetwork } from '../../src/shared/model/objects/multi-nic-network.ts';
import type { HostPool, PlanHost } from '../../src/shared/model/plan/host-pools.ts';
import {
  type NetworkDefinition,
  parseNetworkDefinition,
} from '../../src/shared/model/plan/network-definition.ts';

/** The meaning of an object that must be in order. */
export function define(object: unknown): NetworkDefinition {
  const parsed = parseNetworkDefinition(v.parse(MultiNicNetwork, object));
  if (!parsed.ok) throw new Error(parsed.issues.join('\n'));
  return parsed.network;
}

/** A network with pools, but for what is changed in its spec and its IPAM section. */
export function network(
  spec: Record<string, unknown> = {},
  ipam: Record<string, unknown> = {},
): NetworkDefinition {
  const section = { type: 'multi-nic-ipam', hostBlock: 8, interfaceBlock: 2, vlanMode: 'l3' };
  return define({
    metadata: { name: 'net', uid: 'u' },
    spec: {
      subnet: '192.168.0.0/16',
      ipam: JSON.stringify({ ...section, ...ipam }),
      multiNICIPAM: true,
      plugin: { cniVersion: '0.3.0', type: 'ipvlan' },
      ...spec,
    },
  });
}

/** A block, or an address as a block of one. */
export function block(text: string): Cidr {
  const address = parseAddress(text);
  if (address !== undefined) return cidrOf(address, addressBits[address.family]);
  const cidr = parseCidr(text, { allowHostBits: true });
  if (cidr === undefined) throw new Error(`${text} is no block`);
  return cidr;
}

/** A NIC with no more than it needs. */
export const nic = (interfaceName: string, netAddress: string, hostIP = ''): InterfaceInfo => ({
  interfaceName,
  netAddress,
  hostIP,
});

/** Two NICs in two nets. */
export const eth1 = nic('eth1', '10.0.1.0/24', '10.0.1.5');
export const eth2 = nic('eth2', '10.0.2.0/24', '10.0.2.5');
/** Their interface indices. */
export const indices = new Map([
  ['10.0.1.0/24', 0],
  ['10.0.2.0/24', 1],
]);

/** A host with these NICs and one host index in all nets. */
export function host(
  o: { interfaces?: InterfaceInfo[]; at?: number; reserved?: Cidr[] } = {},
): PlanHost {
  const { interfaces = [eth1, eth2], at = 0, reserved = [] } = o;
  const hostIndices = new Map([...indices.keys()].map((net) => [net, at]));
  return { hostName: 'h0', interfaces, hostIndices, reserved };
}

/** NIC, vlan CIDR and pod CIDR of each pool. */
export function brief(pools: readonly HostPool[]): string[] {
  return pools.map((p) => `${p.interfaceName} ${formatCidr(p.vlanCidr)} ${formatCidr(p.podCidr)}`);
}
