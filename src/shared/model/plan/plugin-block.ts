// Turns the plugin of a network into the block that CNI configurations carry: strings become
// numbers and booleans, and only members that the plugin knows are kept (spec api 4.5 to 4.9).

import { CNI_TYPE } from '../names.ts';
import type { NetworkPlugin } from '../objects/multi-nic-network.ts';
import {
  type ArgKind,
  type ArgRule,
  FALSE_TEXTS,
  PLUGIN_TYPES,
  type PluginType,
  pluginArgs,
  TRUE_TEXTS,
} from '../objects/plugin-args.ts';
import { type Findings, quote } from './findings.ts';

/** Executables that differ from the type users write. */
const executables: Readonly<Record<string, string>> = { mellanox: 'host-device' };

const PATH = 'spec.plugin';
/** The original replaced it for each NIC as well. Definitions carry it, so it is not refused. */
const MASTER_IGNORED =
  'not used: interfaces are made on the NICs of masterNets, and pods choose with cni-args masters';

/** The block with its members in alphabetical order, as stored configurations have them. */
export function parsePluginBlock(
  plugin: NetworkPlugin,
  findings: Findings,
): Record<string, unknown> {
  const { cniVersion, type, args = {} } = plugin;
  checkUnused(plugin, findings);
  const block: Record<string, unknown> = { type: executables[type] ?? type };
  if (cniVersion !== '') block.cniVersion = cniVersion;
  const known = PLUGIN_TYPES.find((one) => one === type);
  if (known === undefined) {
    checkUnknownType(type, args, findings);
    for (const [name, value] of Object.entries(args)) block[name] = guessValue(value);
    return sortMembers(block);
  }
  for (const [name, value] of Object.entries(args)) {
    const rule = Object.hasOwn(pluginArgs[known], name) ? pluginArgs[known][name] : undefined;
    if (rule === undefined) findings.refusal(argPath(name), unknownArg(known));
    else addMember(block, { name, value, rule }, findings);
  }
  const hasMaster = Object.hasOwn(pluginArgs[known], 'master') && (args.master ?? '') !== '';
  if (hasMaster) findings.warning(argPath('master'), MASTER_IGNORED);
  return sortMembers(block);
}

/** The original accepted these two and never used them (W-65); an empty one says nothing. */
function checkUnused(plugin: NetworkPlugin, findings: Findings): void {
  if (plugin.cniVersion === '') findings.refusal(`${PATH}.cniVersion`, 'is empty');
  for (const field of ['capabilities', 'dns'] as const) {
    const isUsed = Object.keys(plugin[field] ?? {}).length > 0;
    if (isUsed) findings.refusal(`${PATH}.${field}`, 'not supported');
  }
}

function unknownArg(type: PluginType): string {
  const known = Object.keys(pluginArgs[type]).sort().join(', ');
  return `not an argument of ${type} (known: ${known === '' ? 'none' : known})`;
}

/**
 * A type that we do not know is run as it is where the user says so: a typing error must not look
 * like a plugin.
 */
function checkUnknownType(type: string, args: Record<string, string>, findings: Findings): void {
  if (type === '' || type === CNI_TYPE || type.includes('/')) {
    findings.issue(`${PATH}.type`, `${quote(type)} cannot be a main plugin`);
  } else if (args.delegate !== 'true') {
    findings.issue(
      `${PATH}.type`,
      `${quote(type)} is none of ${PLUGIN_TYPES.join(', ')}; ` +
        'to run another CNI plugin of the nodes set args.delegate to "true"',
    );
  }
}

function addMember(
  block: Record<string, unknown>,
  { name, value, rule }: { name: string; value: string; rule: ArgRule },
  findings: Findings,
): void {
  const path = argPath(name);
  const parsed = parseValue(value, rule.kind);
  if (parsed === undefined) {
    findings.refusal(path, `${quote(value)} is not ${articles[rule.kind]}`);
  } else if (typeof parsed === 'number' && parsed < 0) {
    findings.issue(path, `${value} is negative`);
  } else if (typeof parsed === 'number' && !isInRange(parsed, rule)) {
    findings.refusal(path, `${value} is neither 0 nor ${rule.range?.first} to ${rule.range?.last}`);
  } else if (rule.pattern !== undefined && !new RegExp(rule.pattern.source).test(value)) {
    findings.refusal(path, `${quote(value)} is not ${rule.pattern.says}`);
  } else if (rule.values !== undefined && !rule.values.includes(value)) {
    const values = rule.values.filter((one) => one !== '').join(', ');
    findings.issue(path, `${quote(value)} is none of ${values}`);
  }
  const kept = parsed ?? rule.fallback;
  if (rule.member !== undefined && kept !== undefined) block[rule.member] = kept;
}

function isInRange(value: number, { range }: ArgRule): boolean {
  return range === undefined || value === 0 || (range.first <= value && value <= range.last);
}

const articles: Readonly<Record<ArgKind, string>> = {
  text: 'a text',
  integer: 'a whole number',
  boolean: 'true or false',
  json: 'a JSON object',
};

/** Reads a value as the original does; undefined where it cannot be read. */
function parseValue(value: string, kind: ArgKind): unknown {
  switch (kind) {
    case 'text':
      return value;
    case 'integer':
      return /^[+-]?[0-9]{1,10}$/.test(value) ? Number(value) : undefined;
    case 'boolean':
      return booleans.get(value);
    case 'json':
      return parseJsonObject(value);
    default:
      return kind satisfies never;
  }
}

const booleans = new Map<string, boolean>([
  ...TRUE_TEXTS.map((text) => [text, true] as const),
  ...FALSE_TEXTS.map((text) => [text, false] as const),
]);

function parseJsonObject(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined; // the caller reports it
    throw error;
  }
}

/**
 * Arguments of a plugin that we know nothing about: what reads as JSON but for text is passed as
 * JSON.
 */
function guessValue(text: string): unknown {
  if (text === 'true' || text === 'false') return text === 'true';
  if (/^-?(0|[1-9][0-9]{0,14})$/.test(text)) return Number(text);
  return parseJsonObject(text) ?? text;
}

function sortMembers(block: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(block).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function argPath(name: string): string {
  return `${PATH}.args.${name}`;
}
