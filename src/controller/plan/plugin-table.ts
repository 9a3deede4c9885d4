// What each `plugin.type` becomes in a NetworkAttachmentDefinition: one row per type. An argument
// that a row does not know, or a value that it does not accept, is refused with a message (design
// D10, W-64).

/** `spec.plugin` of a network. */
export interface PluginSpec {
  readonly cniVersion: string;
  readonly type: string;
  readonly args?: Readonly<Record<string, string>> | undefined;
  readonly capabilities?: Readonly<Record<string, boolean>> | undefined;
  readonly dns?: Readonly<Record<string, unknown>> | undefined;
}

export type PluginOutcome =
  | {
      readonly ok: true;
      /** The `plugin` object of the NAD. */
      readonly config: Readonly<Record<string, unknown>>;
      readonly annotations: Readonly<Record<string, string>>;
    }
  | {
      readonly ok: false;
      readonly reason: 'UnsupportedPlugin' | 'InvalidPlugin';
      readonly issues: readonly string[];
    };

/** Turns the text of one argument into the NAD's value; `undefined` refuses it. */
interface ArgumentRule {
  readonly expected: string;
  readonly parse: (text: string) => string | number | boolean | undefined;
}

interface PluginRow {
  readonly args: Readonly<Record<string, ArgumentRule>>;
}

const anyText: ArgumentRule = {
  expected: 'a NIC name of at most 15 characters',
  parse: (text) => (/^[^\s/:]{1,15}$/.test(text) ? text : undefined),
};

const MTU_MAX = 65_535;
const mtu: ArgumentRule = {
  expected: `0 (as the NIC) or an integer from 68 to ${MTU_MAX}`,
  parse: (text) => {
    if (!/^\d{1,5}$/.test(text)) return undefined;
    const value = Number(text);
    return value === 0 || (value >= 68 && value <= MTU_MAX) ? value : undefined;
  },
};

const flag: ArgumentRule = {
  expected: 'true or false',
  parse: (text) => (text === 'true' || text === 'false' ? text === 'true' : undefined),
};

function oneOf(...values: readonly string[]): ArgumentRule {
  return {
    expected: `one of ${values.join(', ')}`,
    parse: (text) => (values.includes(text) ? text : undefined),
  };
}

/**
 * `delegate` is ours: it forces the reference plugin where the daemon would make the link itself
 * (D7).
 */
const table: Readonly<Record<string, PluginRow>> = {
  ipvlan: { args: { master: anyText, mode: oneOf('l2', 'l3', 'l3s'), mtu, delegate: flag } },
  macvlan: {
    args: {
      master: anyText,
      mode: oneOf('bridge', 'private', 'vepa', 'passthru'),
      mtu,
      delegate: flag,
    },
  },
};

/** Types that networks of the original may have and that have no row yet. */
const PLANNED: readonly string[] = ['sriov', 'mellanox', 'aws-ipvlan'];

export function planPlugin(plugin: PluginSpec): PluginOutcome {
  const row = Object.hasOwn(table, plugin.type) ? table[plugin.type] : undefined;
  if (row === undefined) {
    const known = PLANNED.includes(plugin.type) ? 'is not supported yet' : 'is not known';
    const supported = Object.keys(table).join(', ');
    return {
      ok: false,
      reason: 'UnsupportedPlugin',
      issues: [`plugin type ${plugin.type} ${known} (supported: ${supported})`],
    };
  }
  const issues = unusedFields(plugin);
  const config: Record<string, unknown> = { cniVersion: plugin.cniVersion, type: plugin.type };
  for (const [name, text] of Object.entries(plugin.args ?? {})) {
    const rule = Object.hasOwn(row.args, name) ? row.args[name] : undefined;
    const value = rule?.parse(text);
    if (rule === undefined) {
      const known = Object.keys(row.args).sort().join(', ');
      issues.push(`plugin.args.${name} is not an argument of ${plugin.type} (known: ${known})`);
    } else if (value === undefined) {
      issues.push(`plugin.args.${name} is "${text}", expected ${rule.expected}`);
    } else config[name] = value;
  }
  if (plugin.cniVersion === '') issues.push('plugin.cniVersion is empty');
  if (issues.length > 0) return { ok: false, reason: 'InvalidPlugin', issues };
  return { ok: true, config, annotations: {} };
}

/** The original accepted these two and never used them (W-65); an empty one says nothing. */
function unusedFields(plugin: PluginSpec): string[] {
  return (['capabilities', 'dns'] as const)
    .filter((field) => Object.keys(plugin[field] ?? {}).length > 0)
    .map((field) => `plugin.${field} is not supported`);
}
