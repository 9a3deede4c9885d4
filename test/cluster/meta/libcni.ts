// Test equipment. Drives CNI plugins by the rules of the runtime library (CNI SPEC, sections 3 and
// 4): what is put into a request, how a list is run, and the cache that gives DEL the result of
// ADD.

import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isRecord } from './selection.ts';

/** A network configuration, brought into the form of a list. */
export interface NetworkList {
  readonly name: string;
  readonly cniVersion: string;
  readonly plugins: readonly Readonly<Record<string, unknown>>[];
  /** As it was written; the cache keeps it. */
  readonly source: string;
}

/** One container interface that plugins are asked about. */
export interface Runtime {
  readonly containerId: string;
  readonly netns: string;
  readonly ifName: string;
  readonly args: readonly (readonly [string, string])[];
  /** Folders in which plugins are searched, in order. */
  readonly path: readonly string[];
  readonly cacheFolder: string;
  /** Values for capabilities that a plugin may declare. */
  readonly capabilities: Readonly<Record<string, unknown>>;
}

/** A failure in the words and with the code of the plugin that reported it. */
export class PluginError extends Error {
  readonly code: number;
  readonly details: string;

  constructor(message: string, o: { code: number; details?: string }) {
    super(message);
    this.code = o.code;
    this.details = o.details ?? '';
  }
}

const VERSIONS = ['0.1.0', '0.2.0', '0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'];

/** Verbs that this file sends. */
export type Verb = 'ADD' | 'DEL' | 'CHECK' | 'STATUS' | 'GC';

/** Parses a configuration, single plugin or list; `name` is for one that has none. */
export function parseNetworkList(source: string, name: string): NetworkList {
  const config: unknown = JSON.parse(source);
  if (!isRecord(config)) throw new PluginError('a network configuration is no object', { code: 6 });
  const listName = typeof config.name === 'string' && config.name !== '' ? config.name : name;
  const plugins = Array.isArray(config.plugins) ? config.plugins.filter(isRecord) : [config];
  return { name: listName, cniVersion: versionOf(config), plugins, source };
}

/** Runs ADD of every plugin in order and remembers the result for DEL. */
export async function addNetwork(list: NetworkList, runtime: Runtime): Promise<unknown> {
  let result: unknown;
  for (const plugin of list.plugins) {
    const extra = result === undefined ? {} : { prevResult: result };
    result = await callPlugin('ADD', { list, plugin, runtime, extra });
    if (isRecord(result) && !result.cniVersion) result = { ...result, cniVersion: list.cniVersion };
  }
  writeCache(list, runtime, result);
  return result;
}

/**
 * Runs DEL of every plugin in reverse order; each gets the final result of ADD if the version
 * allows it.
 */
export async function deleteNetwork(list: NetworkList, runtime: Runtime): Promise<void> {
  const cached = isAtLeast(list.cniVersion, '0.4.0') ? readCache(list, runtime) : undefined;
  const extra = cached === undefined ? {} : { prevResult: cached };
  for (const plugin of [...list.plugins].reverse()) {
    await callPlugin('DEL', { list, plugin, runtime, extra });
  }
  rmSync(cacheFile(list, runtime), { force: true });
}

/**
 * Runs CHECK of every plugin; an error if the version does not allow it or nothing was remembered.
 */
export async function checkNetwork(list: NetworkList, runtime: Runtime): Promise<void> {
  if (!isAtLeast(list.cniVersion, '0.4.0')) {
    const message = `configuration version "${list.cniVersion}" does not support the CHECK command`;
    throw new PluginError(message, { code: 1 });
  }
  const prevResult = readCache(list, runtime);
  for (const plugin of list.plugins) {
    await callPlugin('CHECK', { list, plugin, runtime, extra: { prevResult } });
  }
}

/** Runs STATUS or GC of every plugin; nothing happens below version 1.1.0. */
export async function askNetwork(
  verb: 'STATUS' | 'GC',
  list: NetworkList,
  o: { runtime: Runtime; extra: Readonly<Record<string, unknown>> },
): Promise<void> {
  if (!isAtLeast(list.cniVersion, '1.1.0')) return;
  for (const plugin of list.plugins) {
    await callPlugin(verb, { list, plugin, runtime: o.runtime, extra: o.extra });
  }
}

/** True if the version `a` is `b` or later; an absent version is 0.1.0. */
export function isAtLeast(a: string, b: string): boolean {
  const position = (version: string): number =>
    VERSIONS.indexOf(version === '' ? '0.1.0' : version);
  return position(a) >= position(b);
}

interface Call {
  readonly list: NetworkList;
  readonly plugin: Readonly<Record<string, unknown>>;
  readonly runtime: Runtime;
  readonly extra: Readonly<Record<string, unknown>>;
}

/** Executes one plugin; returns what it printed, parsed, or undefined if it printed nothing. */
async function callPlugin(verb: Verb, call: Call): Promise<unknown> {
  const type = String(call.plugin.type ?? '');
  const where = `plugin type="${type}" name="${call.list.name}" failed (${verb.toLowerCase()})`;
  const child = Bun.spawn([findPlugin(type, call.runtime.path)], {
    stdin: new TextEncoder().encode(JSON.stringify(requestFor(call))),
    stdout: 'pipe',
    stderr: 'pipe',
    env: { ...process.env, ...environmentFor(verb, call.runtime) },
  });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code !== 0) throw failureOf(where, { stdout, stderr, code });
  if (stderr !== '') process.stderr.write(stderr);
  return stdout.trim() === '' ? undefined : JSON.parse(stdout);
}

function requestFor({ list, plugin, runtime, extra }: Call): Record<string, unknown> {
  const declared = isRecord(plugin.capabilities) ? plugin.capabilities : {};
  const offered = Object.entries(runtime.capabilities).filter(([name]) => declared[name] === true);
  const runtimeConfig = offered.length > 0 ? { runtimeConfig: Object.fromEntries(offered) } : {};
  return { ...plugin, ...runtimeConfig, ...extra, name: list.name, cniVersion: list.cniVersion };
}

function environmentFor(verb: Verb, runtime: Runtime): Record<string, string> {
  return {
    CNI_COMMAND: verb,
    CNI_CONTAINERID: runtime.containerId,
    CNI_NETNS: runtime.netns,
    CNI_IFNAME: runtime.ifName,
    CNI_ARGS: runtime.args.map(([key, value]) => `${key}=${value}`).join(';'),
    CNI_PATH: runtime.path.join(':'),
  };
}

function findPlugin(type: string, path: readonly string[]): string {
  if (type === '') throw new PluginError('no plugin name provided', { code: 7 });
  if (type.includes('/')) throw new PluginError(`invalid plugin name: ${type}`, { code: 7 });
  for (const folder of path) {
    const file = join(folder, type);
    if (statSync(file, { throwIfNoEntry: false })?.isFile() === true) return file;
  }
  const message = `failed to find plugin "${type}" in path [${path.join(' ')}]`;
  throw new PluginError(message, { code: 7 });
}

function failureOf(
  where: string,
  o: { stdout: string; stderr: string; code: number },
): PluginError {
  if (o.stdout.trim() === '') {
    const text = o.stderr.trim() === '' ? `no error message, exit code ${o.code}` : o.stderr.trim();
    return new PluginError(`${where}: netplugin failed: ${text}`, { code: 999 });
  }
  try {
    const error: unknown = JSON.parse(o.stdout);
    if (!isRecord(error)) throw new Error('not an object');
    const details = typeof error.details === 'string' ? error.details : '';
    return new PluginError(`${where}: ${String(error.msg)}`, { code: Number(error.code), details });
  } catch {
    const message = `${where}: netplugin failed but error parsing its diagnostic message`;
    return new PluginError(`${message} ${JSON.stringify(o.stdout)}`, { code: 999 });
  }
}

/**
 * The highest of `cniVersions` that is known, else `cniVersion`, else nothing, which stands for
 * 0.1.0.
 */
function versionOf(config: Readonly<Record<string, unknown>>): string {
  const single = typeof config.cniVersion === 'string' ? config.cniVersion : '';
  const many = Array.isArray(config.cniVersions) ? config.cniVersions.map(String) : [];
  const known = [...many, single].filter((version) => VERSIONS.includes(version));
  return known.sort((a, b) => VERSIONS.indexOf(a) - VERSIONS.indexOf(b)).at(-1) ?? single;
}

function cacheFile(list: NetworkList, runtime: Runtime): string {
  const name = `${list.name}-${runtime.containerId}-${runtime.ifName}`;
  return join(runtime.cacheFolder, 'results', name);
}

function writeCache(list: NetworkList, runtime: Runtime, result: unknown): void {
  mkdirSync(join(runtime.cacheFolder, 'results'), { recursive: true, mode: 0o700 });
  const content = {
    kind: 'cniCacheV1',
    containerId: runtime.containerId,
    config: Buffer.from(list.source).toString('base64'),
    ifName: runtime.ifName,
    networkName: list.name,
    netns: runtime.netns,
    cniArgs: runtime.args,
    capabilityArgs: runtime.capabilities,
    result,
  };
  writeFileSync(cacheFile(list, runtime), JSON.stringify(content), { mode: 0o600 });
}

/** The remembered result; undefined if there is none that can be read. */
function readCache(list: NetworkList, runtime: Runtime): unknown {
  try {
    const content: unknown = JSON.parse(readFileSync(cacheFile(list, runtime), 'utf8'));
    return isRecord(content) && content.kind === 'cniCacheV1' ? content.result : undefined;
  } catch {
    return undefined;
  }
}
