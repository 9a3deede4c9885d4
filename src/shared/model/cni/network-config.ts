// The configuration that a runtime writes to a plugin's standard input. Two steps, because their
// errors differ: what any plugin asks of it (spec cni 1.3), and what `multi-nic` asks of it (2.2).
// Unknown keys are kept.
import * as v from 'valibot';
import { isCniIdentifier } from './environment.ts';
import { type CniError, cniError } from './error.ts';

/** A JSON object whose members nobody has looked at. */
export type JsonObject = Record<string, unknown>;

/** An object of which we describe some members. Lists are refused first: valibot takes them too. */
function object<const T extends v.ObjectEntries>(entries: T) {
  return v.pipe(
    v.unknown(),
    v.check((value) => !Array.isArray(value), 'must be an object, not a list'),
    v.looseObject(entries),
  );
}

const Dns = object({
  nameservers: v.optional(v.array(v.string())),
  domain: v.optional(v.string()),
  search: v.optional(v.array(v.string())),
  options: v.optional(v.array(v.string())),
});

/** Integers that fit the wire's 32 bits. */
const Count = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(2 ** 31 - 1));

const Attachment = object({ containerID: v.string(), ifname: v.string() });

/** What a pod's annotation says about NICs (`args.cni`). */
export const NicArgs = object({
  nics: v.optional(Count),
  masters: v.optional(v.nullable(v.array(v.string()))),
  target: v.optional(v.string()),
  class: v.optional(v.string()),
});
export type NicArgs = v.InferOutput<typeof NicArgs>;

/**
 * Configuration of `multi-nic`. Null for a list means the same as none: the original's controller
 * writes it.
 */
export const CniNetworkConfig = object({
  cniVersion: v.optional(v.string()),
  name: v.string(),
  type: v.optional(v.string()),
  plugin: object({
    cniVersion: v.optional(v.string()),
    type: v.pipe(v.string(), v.nonEmpty('must not be empty')),
  }),
  ipam: v.optional(
    v.nullable(
      object({
        type: v.optional(v.string()),
        routes: v.optional(v.nullable(v.array(object({ dst: v.optional(v.string()) })))),
      }),
    ),
  ),
  multiNICIPAM: v.optional(v.boolean()),
  subnet: v.optional(v.string()),
  masterNets: v.optional(v.nullable(v.array(v.string()))),
  masters: v.optional(v.nullable(v.array(v.string()))),
  deviceIDs: v.optional(v.nullable(v.array(v.string()))),
  daemonIP: v.optional(v.string()),
  daemonPort: v.optional(Count),
  args: v.optional(v.nullable(object({ cni: v.optional(v.nullable(NicArgs)) }))),
  dns: v.optional(v.nullable(Dns)),
  capabilities: v.optional(v.nullable(v.record(v.string(), v.boolean()))),
  runtimeConfig: v.optional(v.nullable(object({}))),
  prevResult: v.optional(v.nullable(object({}))),
  'cni.dev/valid-attachments': v.optional(v.nullable(v.array(Attachment))),
  'cni.dev/attachments': v.optional(v.nullable(v.array(Attachment))),
});
export type CniNetworkConfig = v.InferOutput<typeof CniNetworkConfig>;

/** What every plugin needs of its configuration. */
export interface RequestConfig {
  readonly name: string;
  readonly cniVersion: string | undefined;
  readonly value: JsonObject;
}

/** A parse that cannot throw. */
export type Parsed<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: CniError };

/** Step 4 of the dispatch order: JSON with a network name. Codes 6 and 7. */
export function parseRequestConfig(stdin: string): Parsed<RequestConfig> {
  const decoded = decodeJson(stdin);
  if (!decoded.ok) return decoded;
  const { name, cniVersion } = decoded.value;
  if (name !== undefined && typeof name !== 'string') return undecodable('name is not a string');
  if (cniVersion !== undefined && typeof cniVersion !== 'string') {
    return undecodable('cniVersion is not a string');
  }
  if (name === undefined || name === '') return refused('missing network name');
  if (!isCniIdentifier(name)) return refused('invalid characters found in network name', name);
  return { ok: true, value: { name, cniVersion, value: decoded.value } };
}

/**
 * The configuration of `multi-nic`; a wrong type or a missing `plugin` is code 7 with the issues in
 * the details.
 */
export function parseNetworkConfig(value: unknown): Parsed<CniNetworkConfig> {
  const parsed = v.safeParse(CniNetworkConfig, value);
  if (parsed.success) return { ok: true, value: parsed.output };
  const details = issueTexts(parsed.issues).join('\n');
  return refused('failed to load netconf: invalid network configuration', details);
}

/** The attachments that a GC keeps: the specified key, or that of an earlier draft. */
export function validAttachments(
  config: CniNetworkConfig,
): { containerId: string; ifName: string }[] | undefined {
  const list = config['cni.dev/valid-attachments'] ?? config['cni.dev/attachments'];
  return list?.map(({ containerID, ifname }) => ({ containerId: containerID, ifName: ifname }));
}

/** Issues of one error; a list can be wrong in each of its items. */
const ISSUES_MAX = 100;
/** Of each: it repeats what was received. */
const ISSUE_CHARS_MAX = 256;

/** The first issues as texts, and how many more there are. */
export function issueTexts(issues: readonly v.BaseIssue<unknown>[]): string[] {
  const texts = issues.slice(0, ISSUES_MAX).map(issueText);
  const more = issues.length - texts.length;
  return more > 0 ? [...texts, `and ${more} more`] : texts;
}

/** One valibot issue as `path: what is wrong`. */
function issueText(issue: v.BaseIssue<unknown>): string {
  const text = `${v.getDotPath(issue) ?? 'value'}: ${issue.message}`;
  return text.length > ISSUE_CHARS_MAX ? `${text.slice(0, ISSUE_CHARS_MAX)}…` : text;
}

function decodeJson(text: string): Parsed<JsonObject> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return undecodable(error instanceof Error ? error.message : String(error));
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return { ok: true, value: { ...value } };
  }
  return undecodable('not a JSON object');
}

function undecodable(reason: string): Parsed<never> {
  return { ok: false, error: cniError(6, `error unmarshall network config: ${reason}`) };
}

function refused(msg: string, details = ''): Parsed<never> {
  return { ok: false, error: cniError(7, msg, details) };
}
