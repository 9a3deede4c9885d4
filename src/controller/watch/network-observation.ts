// What a network's definition means in this cluster: read once per version of the object, and
// compared with what other networks and the hosts use.
import { type Cidr, overlapsCidr, parseCidr } from '../../shared/model/ip/cidr.ts';
import type { MultiNicNetwork } from '../../shared/model/objects/multi-nic-network.ts';
import { divisionOf, isExtendedDivision } from '../../shared/model/plan/division.ts';
import {
  type NetworkDefinition,
  type NetworkDefinitionResult,
  parseNetworkDefinition,
} from '../../shared/model/plan/network-definition.ts';
import { type Footprint, type Overlap, planOverlaps } from '../plan/footprints.ts';
import type { IndexNetwork } from '../plan/index-input.ts';
import { listNames } from '../plan/problem.ts';
import type { GivenDivision } from './given-division.ts';
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
  const { subnets, excludes, masterNets, uid } = definition;
  const division = divisionOf(definition);
  const { interfaceBits, hostBits } = division;
  return { uid, subnets, interfaceBits, hostBits, excludes, masterNets, division };
}

type Overlaps = ReadonlyMap<string, Overlap>;
/** The answer is about all networks at once, and all of them ask for it one after another. */
const overlapsKnown = new WeakMap<World, { version: number; overlaps: Overlaps }>();

/** What the network overlaps with, if it has to give way. */
export function overlapOf(world: World, name: string): Overlap | undefined {
  const version = world.addressesVersion;
  let known = overlapsKnown.get(world);
  if (known?.version !== version) {
    const footprints = [...world.networkNames()].map((other) => footprintOf(world, other));
    known = { version, overlaps: planOverlaps(footprints) };
    overlapsKnown.set(world, known);
  }
  return known.overlaps.get(name);
}

/**
 * What a network wants, and what its hosts hold: that stays in use when the definition changes, can
 * no longer be read, or is gone.
 */
function footprintOf(world: World, name: string): Footprint {
  const view = world.networks.get(name);
  const result = view && definitionOf(view);
  const given = world.given(name);
  const isWanted = result?.ok === true && isPossible(result.network, given);
  const wanted = isWanted ? blocksOf(world, result.network) : [];
  const held = given === undefined ? [] : heldBlocks(given);
  return { name, createdAt: view?.createdAt ?? '', held, wanted };
}

/** A change that is refused takes nothing from others. */
function isPossible(definition: NetworkDefinition, given: GivenDivision | undefined): boolean {
  if (!definition.managedIpam) return false;
  return given === undefined || isExtendedDivision(given.division, divisionOf(definition));
}

/** In host-subnet mode pods have addresses of the hosts' own networks. */
function blocksOf(world: World, definition: NetworkDefinition): readonly Cidr[] {
  if (!definition.hostSubnetMode) return definition.subnets;
  const { masterNets } = definition;
  return toBlocks(masterNets.length > 0 ? masterNets : world.hostNetAddresses());
}

function heldBlocks({ division, netAddresses }: GivenDivision): readonly Cidr[] {
  return toBlocks(division.subnet === '' ? netAddresses : division.subnet.split(','));
}

function toBlocks(texts: readonly string[]): Cidr[] {
  return texts.flatMap((text) => parseCidr(text, { allowHostBits: true }) ?? []);
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
    if (node.podBlocks.some(isHit)) pods.push(node.name);
    if (node.addresses.some(isHit)) nodes.push(node.name);
  }
  return [
    ...(nics.length === 0 ? [] : [`subnet overlaps the host networks ${listNames(nics)}`]),
    ...(pods.length === 0 ? [] : [`subnet overlaps the pod CIDRs of nodes ${listNames(pods)}`]),
    ...(nodes.length === 0 ? [] : [`subnet holds the addresses of nodes ${listNames(nodes)}`]),
  ];
}
