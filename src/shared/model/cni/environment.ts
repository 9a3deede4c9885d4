// What a runtime says by environment variables, and the order in which a call is judged (spec cni
// 1.7, normative for the error that a wrong call gets). Reading standard input lies between
// `parseCniEnvironment` and `checkDispatch`.
import { type CniError, cniError } from './error.ts';
import { effectiveVersion, isAtLeast, isSupported, SUPPORTED_VERSIONS } from './version.ts';

/** The verbs of the protocol. */
export const CNI_COMMANDS = ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION'] as const;
export type CniCommand = (typeof CNI_COMMANDS)[number];

/**
 * A call's parameters. `command` may be a verb that does not exist: that is judged after the input.
 */
export interface CniEnvironment {
  readonly command: string;
  readonly containerId: string;
  readonly netns: string;
  readonly ifName: string;
  /** CNI_ARGS as given. */
  readonly args: string;
  /** CNI_PATH as given. */
  readonly path: string;
  /** The caller knows that CNI_NETNS may be the plugin's own namespace. */
  readonly netnsOverride: boolean;
}

/** `banner`: no verb at all, so a person has run the executable to see what it is. */
export type EnvironmentOutcome =
  | { readonly outcome: 'accepted'; readonly environment: CniEnvironment }
  | { readonly outcome: 'banner' }
  | { readonly outcome: 'refused'; readonly error: CniError };

interface EnvironmentRule {
  readonly name: string;
  readonly requiredFor: readonly string[];
  /** Only asked where the variable is required and given. */
  readonly check?: (value: string) => CniError | undefined;
}

const ADD_DEL_CHECK = ['ADD', 'DEL', 'CHECK'];
const identifier = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;
const utf8 = new TextEncoder();

/** Bytes of the longest interface name (IFNAMSIZ - 1). */
export const IF_NAME_BYTES_MAX = 15;

/** The table of spec cni 1.2; missing variables are named in this order. */
export const environmentRules: readonly EnvironmentRule[] = [
  { name: 'CNI_COMMAND', requiredFor: [] },
  { name: 'CNI_CONTAINERID', requiredFor: ADD_DEL_CHECK, check: checkContainerId },
  { name: 'CNI_NETNS', requiredFor: ['ADD', 'CHECK'], check: checkNetns },
  { name: 'CNI_IFNAME', requiredFor: ADD_DEL_CHECK, check: checkIfName },
  { name: 'CNI_ARGS', requiredFor: [] },
  { name: 'CNI_PATH', requiredFor: [...ADD_DEL_CHECK, 'GC', 'STATUS'] },
  { name: 'CNI_NETNS_OVERRIDE', requiredFor: [] },
];

/**
 * Steps 1 and 2: what is there, whether it is well formed, whether something is missing. Empty
 * means absent.
 */
export function parseCniEnvironment(
  env: Readonly<Record<string, string | undefined>>,
): EnvironmentOutcome {
  const command = env.CNI_COMMAND ?? '';
  if (command === '') return { outcome: 'banner' };
  const missing: string[] = [];
  for (const rule of environmentRules) {
    if (!rule.requiredFor.includes(command)) continue;
    const value = env[rule.name] ?? '';
    if (value === '') missing.push(rule.name);
    const error = value === '' ? undefined : rule.check?.(value);
    if (error !== undefined) return { outcome: 'refused', error };
  }
  if (missing.length > 0) {
    const msg = `required env variables [${missing.join(',')}] missing`;
    return { outcome: 'refused', error: cniError(4, msg) };
  }
  return { outcome: 'accepted', environment: toEnvironment(env) };
}

/** Steps 5 to 7, after the configuration was read: the verb exists, and the version allows it. */
export function checkDispatch(
  command: string,
  cniVersion: string | undefined,
): CniError | undefined {
  if (!isCniCommand(command)) return cniError(4, `unknown CNI_COMMAND: ${command}`);
  const version = effectiveVersion(cniVersion);
  const floor = versionFloors[command];
  if (floor !== undefined) {
    const allowed = isAtLeast(version, floor);
    if (allowed === undefined) return cniError(6, `cannot read version "${version}"`);
    if (!allowed) return cniError(1, `config version does not allow ${command}`);
  }
  if (command === 'VERSION' || isSupported(version)) return undefined;
  const supported = SUPPORTED_VERSIONS.map((one) => `"${one}"`).join(' ');
  const details = `config is "${version}", plugin supports [${supported}]`;
  return cniError(1, 'incompatible CNI versions', details);
}

/** Step 9, which we do before acting: the plugin must not be told to work on its own namespace. */
export function checkOwnNetns(o: {
  readonly command: string;
  readonly isOwnNetns: boolean;
  readonly netnsOverride: boolean;
}): CniError | undefined {
  const judged = o.command === 'ADD' || o.command === 'DEL';
  if (!judged || !o.isOwnNetns || o.netnsOverride) return undefined;
  return cniError(8, "plugin's netns and netns from CNI_NETNS should not be the same");
}

/** Name of the pod's interface on the n-th NIC, counted from 0. */
export function composedIfName(ifName: string, index: number): string {
  return `${ifName}-${index}`;
}

/**
 * Refuses an interface name that leaves no room for the suffixes of `count` NICs, and one that the
 * kernel takes for a pattern: it would make `a0` of `a%d`. Code 4 as for CNI_IFNAME itself.
 */
export function checkComposedIfName(ifName: string, count: number): CniError | undefined {
  if (ifName.includes('%')) return cniError(4, 'interface name contains %', `CNI_IFNAME ${ifName}`);
  const longest = composedIfName(ifName, Math.max(count - 1, 0));
  if (utf8.encode(longest).length <= IF_NAME_BYTES_MAX) return undefined;
  return cniError(
    4,
    'interface name is too long',
    `CNI_IFNAME ${ifName} leaves no room for the suffix: ` +
      `${longest} has more than ${IF_NAME_BYTES_MAX} bytes`,
  );
}

/** Whether it is a verb of the protocol. */
export function isCniCommand(command: string): command is CniCommand {
  return CNI_COMMANDS.some((one) => one === command);
}

/** The rule for container IDs and network names. */
export function isCniIdentifier(text: string): boolean {
  return identifier.test(text);
}

const versionFloors: Partial<Record<CniCommand, string>> = {
  CHECK: '0.4.0',
  GC: '1.1.0',
  STATUS: '1.1.0',
};

function toEnvironment(env: Readonly<Record<string, string | undefined>>): CniEnvironment {
  const override = env.CNI_NETNS_OVERRIDE ?? '';
  return {
    command: env.CNI_COMMAND ?? '',
    containerId: env.CNI_CONTAINERID ?? '',
    netns: env.CNI_NETNS ?? '',
    ifName: env.CNI_IFNAME ?? '',
    args: env.CNI_ARGS ?? '',
    path: env.CNI_PATH ?? '',
    netnsOverride: override === '1' || override.toUpperCase() === 'TRUE',
  };
}

function checkContainerId(value: string): CniError | undefined {
  return isCniIdentifier(value)
    ? undefined
    : cniError(4, 'invalid characters in containerID', value);
}

/**
 * The daemon, which opens the path, has another working directory than its caller. A DEL goes on:
 * its pod has to end, and what it had is known without a path.
 */
export function checkNetns(value: string): CniError | undefined {
  return value.startsWith('/') ? undefined : cniError(4, 'CNI_NETNS is no absolute path', value);
}

function checkIfName(value: string): CniError | undefined {
  if (utf8.encode(value).length > IF_NAME_BYTES_MAX) {
    const details = 'interface name should be less than 16 characters';
    return cniError(4, 'interface name is too long', details);
  }
  if (value === '.' || value === '..') return cniError(4, 'interface name is . or ..');
  if (/[/:\s]/.test(value)) {
    return cniError(4, 'interface name contains / or : or whitespace characters');
  }
  return undefined;
}
