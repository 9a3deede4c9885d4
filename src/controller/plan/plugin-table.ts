// What each `plugin.type` becomes in a NetworkAttachmentDefinition: one row per type that this
// version attaches. How its arguments are read is model/plan/plugin-block.ts.
import type { NetworkDefinition } from '../../shared/model/plan/network-definition.ts';

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

interface PluginRow {
  /** Of the NADs, for other programs than ours. */
  readonly annotations: Readonly<Record<string, string>>;
}

const table: Readonly<Record<string, PluginRow>> = {
  ipvlan: { annotations: {} },
  macvlan: { annotations: {} },
};

/** `refusals`: what reading the definition found that nothing new is to be built on. */
export function planPlugin(
  definition: Pick<NetworkDefinition, 'pluginType' | 'plugin'>,
  refusals: readonly string[],
): PluginOutcome {
  const { pluginType, plugin: config } = definition;
  const row = Object.hasOwn(table, pluginType) ? table[pluginType] : undefined;
  if (row === undefined) {
    const supported = Object.keys(table).join(', ');
    const issue = `plugin type ${pluginType} is not supported yet (supported: ${supported})`;
    return { ok: false, reason: 'UnsupportedPlugin', issues: [issue, ...refusals] };
  }
  if (refusals.length > 0) return { ok: false, reason: 'InvalidPlugin', issues: refusals };
  return { ok: true, config, annotations: row.annotations };
}
