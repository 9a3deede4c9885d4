// The arguments of each main plugin in `spec.plugin.args`, as data: reading them
// (plan/plugin-block.ts) and refusing wrong ones at admission (network-rules.ts) follow from this
// one table.

/**
 * Plugin types that we know arguments of. Others run as delegates where `args.delegate` says so.
 */
export const PLUGIN_TYPES = [
  'ipvlan',
  'macvlan',
  'sriov',
  'aws-ipvlan',
  'mellanox',
  'host-device',
] as const;
export type PluginType = (typeof PLUGIN_TYPES)[number];

/** How the text of an argument is read. */
export type ArgKind = 'text' | 'integer' | 'boolean' | 'json';

/** One argument. */
export interface ArgRule {
  readonly kind: ArgKind;
  /** Member of the plugin block; without it the argument is for dependent objects only. */
  readonly member?: string;
  /** Values that make sense; all where absent. */
  readonly values?: readonly string[];
  /** Numbers that make sense, and 0; all where absent. */
  readonly range?: { readonly first: number; readonly last: number };
  /** Texts that make sense, for Go and JavaScript alike; all where absent. */
  readonly pattern?: { readonly source: string; readonly says: string };
  /** What the block gets where the value cannot be read; without it the member is left out. */
  readonly fallback?: number | null;
}

/** Texts that mean true and false, as the original reads them. */
export const TRUE_TEXTS = ['1', 't', 'T', 'TRUE', 'true', 'True'] as const;
export const FALSE_TEXTS = ['0', 'f', 'F', 'FALSE', 'false', 'False'] as const;

const IPVLAN_MODES = ['', 'l2', 'l3', 'l3s'];
const MACVLAN_MODES = ['', 'bridge', 'private', 'vepa', 'passthru'];

/** What IPv4 needs, and what the kernel can hold. 0 is the NIC's own. */
const MTU_RANGE = { first: 68, last: 65_535 };
const NIC_NAME = { source: '^[^/:\\s]{0,15}$', says: 'a NIC name of at most 15 characters' };

const delegate: ArgRule = { kind: 'boolean', member: 'delegate' };
const minTxRate: ArgRule = { kind: 'integer', member: 'min_tx_rate' };
const maxTxRate: ArgRule = { kind: 'integer', member: 'max_tx_rate' };
const vlanQoS: ArgRule = { kind: 'integer', member: 'vlanQoS' };

function linkArgs(modes: readonly string[]): Record<string, ArgRule> {
  return {
    delegate,
    master: { kind: 'text', member: 'master', pattern: NIC_NAME },
    mode: { kind: 'text', member: 'mode', values: modes },
    mtu: { kind: 'integer', member: 'mtu', fallback: 0, range: MTU_RANGE },
  };
}

/** The table. Of two spellings the second is what the original's documentation says. */
export const pluginArgs: Readonly<Record<PluginType, Readonly<Record<string, ArgRule>>>> = {
  ipvlan: linkArgs(IPVLAN_MODES),
  macvlan: linkArgs(MACVLAN_MODES),
  'aws-ipvlan': {
    ...linkArgs(IPVLAN_MODES),
    primaryIP: { kind: 'json', member: 'primaryIP', fallback: null },
    podIP: { kind: 'text', member: 'podIP' },
  },
  sriov: {
    resourceName: { kind: 'text' },
    priority: { kind: 'integer' },
    mtu: { kind: 'integer', range: MTU_RANGE },
    numVfs: { kind: 'integer' },
    isRdma: { kind: 'boolean' },
    needVhostNet: { kind: 'boolean' },
    vlan: { kind: 'integer', member: 'vlan' },
    vlanQoS,
    vlanQos: vlanQoS,
    spoofchk: { kind: 'boolean', member: 'spoofchk' },
    trust: { kind: 'boolean', member: 'trust' },
    minTxRate,
    min_tx_rate: minTxRate,
    maxTxRate,
    max_tx_rate: maxTxRate,
  },
  mellanox: {},
  'host-device': {},
};
