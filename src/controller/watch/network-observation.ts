// What a network's definition means in this cluster: read once per version of the object, and
// compared with what other networks and the hosts use.
import { addressBits, parseAddress } from '../../shared/model/ip/address.ts';
import {
  type Cidr,
  cidrOf,
  formatCidr,
  overlapsCidr,
  parseCidr,
} from '../../shared/model/ip/cidr.ts';
import type { MultiNicNetwork } from '../../shared/model/objects/multi-nic-network.ts';
import {
  type NetworkDefinition,
  type NetworkDefinitionResult,
  parseNetworkDefinition,
} from '../../shared/model/plan/network-definition.ts';
import { type Footprint, type Overlap, planOverlaps } from '../plan/footprints.ts';
import type { IndexNetwork } from '../plan/index-input.ts';
import type { Division } from '../plan/ledger.ts';
import { listNames } from '../plan/problem.ts';
import type { NetworkView } from './views.ts';
import type { World } from './world.ts';

/** Objects are never changed once they are read, so their meaning need not be computed again. */
const definitions = new WeakMap<MultiNicNetwork, NetworkDefinitionResult>();

export function definitionOf(view: NetworkView): NetworkDefinitionResult {
  const known = definitions.get(view.object);
  if (known !== undefined) return known;
  const result = parseNetworkDefinition(view.object);
  definitions.set(view.object, result);
  return result;
}

/** The division as planning of indices takes it. */
export function toIndexNetwork(definition: NetworkDefinition): IndexNetwork {
  const { subnets, hostBits, excludes, masterNets, uid } = definition;
  const interfaceBits = definition.hostSubnetMode ? 0 : definition.interfaceBits;
  const subnet = subnets.map(formatCidr).join(',');
  const division = { subnet, interfaceBits, hostBits };
  return { uid, subnets, interfaceBits, hostBits, excludes, masterNets, division };
}

/** What indices of the network were given for, as long as a host holds one. */
export function givenDivision(
  world: World,
  name: string,
): { readonly division: Division; readonly source: string } | undefined {
  const reading = world.ledger(name)?.reading;
  if (reading?.ok === true) {
    const { division, nets } = reading.ledger;
    const isHeld = nets.some(({ hosts }) => !hosts.isEmpty);
    return isHeld && division !== undefined ? { division, source: 'the ledger' } : undefined;
  }
  const spec = world.cidr(name)?.object.spec;
  if (spec?.cidr.some(({ hosts }) => hosts.length > 0) !== true) return undefined;
  const { subnet, interfaceBlock, hostBlock } = spec.config;
  const canonical = subnet.split(',').map((part) => canonicalSubnet(part));
  const division = {
    subnet: canonical.join(','),
    interfaceBits: subnet === '' ? 0 : interfaceBlock,
    hostBits: hostBlock,
  };
  return { division, source: 'the CIDR object' };
}

function canonicalSubnet(text: string): string {
  const cidr = parseCidr(text, { allowHostBits: true });
  return cidr === undefined ? text : formatCidr(cidr);
}

/** What the network overlaps with, if it has to give way. */
export function overlapOf(world: World, name: string): Overlap | undefined {
  const footprints = [...world.networks.values()].flatMap((view): Footprint[] => {
    const result = definitionOf(view);
    if (!result.ok || !result.network.managedIpam) return [];
    const isInUse = givenDivision(world, view.name) !== undefined;
    const { createdAt } = view;
    return [{ name: view.name, createdAt, isInUse, blocks: blocksOf(world, result.network) }];
  });
  return planOverlaps(footprints).get(name);
}

/** In host-subnet mode pods have addresses of the hosts' own networks. */
function blocksOf(world: World, definition: NetworkDefinition): readonly Cidr[] {
  if (!definition.hostSubnetMode) return definition.subnets;
  const { masterNets } = definition;
  const nets = masterNets.length > 0 ? masterNets : world.hostNetAddresses();
  return nets.flatMap((net) => parseCidr(net) ?? []);
}

/**
 * Other users of the network's addresses that are not networks of ours: named, not refused (W-17).
 */
export function addressWarnings(world: World, definition: NetworkDefinition): string[] {
  if (definition.hostSubnetMode || !definition.managedIpam) return [];
  const { subnets } = definition;
  const isHit = (block: Cidr | undefined): boolean =>
    block !== undefined && subnets.some((subnet) => overlapsCidr(subnet, block));
  const nics = world.hostNetAddresses().filter((net) => isHit(parseCidr(net)));
  const pods: string[] = [];
  const nodes: string[] = [];
  for (const node of world.nodes()) {
    if (node.podCidrs.some((text) => isHit(parseCidr(text)))) pods.push(node.name);
    if (node.addresses.some((text) => isHit(toBlock(text)))) nodes.push(node.name);
  }
  return [
    ...(nics.length === 0 ? [] : [`subnet overlaps the host networks ${listNames(nics)}`]),
    ...(pods.length === 0 ? [] : [`subnet overlaps the pod CIDRs of nodes ${listNames(pods)}`]),
    ...(nodes.length === 0 ? [] : [`subnet holds the addresses of nodes ${listNames(nodes)}`]),
  ];
}

function toBlock(text: string): Cidr | undefined {
  const address = parseAddress(text);
  return address === undefined ? undefined : cidrOf(address, addressBits[address.family]);
}
