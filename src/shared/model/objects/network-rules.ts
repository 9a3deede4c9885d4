// What the API server refuses in a MultiNicNetwork beyond types and patterns, as CEL. The IPAM section is JSON inside a
// string, which CEL cannot parse, so its numbers are found by regular expression; the controller parses it exactly.
import type { CelRule } from './admission.ts';

/** CNI versions that can be asked for. */
export const CNI_VERSIONS = [
  '0.1.0',
  '0.2.0',
  '0.3.0',
  '0.3.1',
  '0.4.0',
  '1.0.0',
  '1.1.0',
] as const;

/** Attach strategies; the empty one is written by the original where the user named none. */
export const ATTACH_STRATEGIES = [
  '',
  'none',
  'costOpt',
  'perfOpt',
  'devClass',
  'topology',
] as const;

/** Plugin types that we know arguments of. Others run as delegates where `args.delegate` says so. */
export const PLUGIN_TYPES = [
  'ipvlan',
  'macvlan',
  'sriov',
  'aws-ipvlan',
  'mellanox',
  'host-device',
] as const;

/** Values of vlanMode. */
export const VLAN_MODES = ['', 'l2', 'l3', 'l3s'] as const;

/** Greatest interfaceBlock and hostBlock: a million positions. */
export const BLOCK_BITS_MAX = 20;
/** Bits that must be left for pods below subnet prefix, interfaceBlock and hostBlock. */
export const POD_BITS_MIN = 2;

export const argsRules: readonly CelRule[] = [];
export const pluginRules: readonly CelRule[] = [];
export const subnetRules: readonly CelRule[] = [];
export const ipamRules: readonly CelRule[] = [];
export const specRules: readonly CelRule[] = [];
export const networkRules: readonly CelRule[] = [];
