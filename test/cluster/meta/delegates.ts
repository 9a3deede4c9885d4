// Test equipment. Which networks a pod gets: from the API server while it answers, else from what
// this node saw last.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ApiAccess, type ApiReply, at, callApi, readKubeconfig, textAt } from '../api.ts';
import { isRecord, type PodIdentity, parseSelections, type Selection } from './selection.ts';

/** Settings of the meta-plugin, from its network configuration. */
export interface MetaConfig {
  readonly kubeconfig: string;
  /** Folder of caches, like Multus's `cniDir`. */
  readonly cniDir: string;
  /** The network that becomes eth0, as text of a configuration list. */
  readonly defaultNetwork: string;
  /** Pod annotations as the runtime passed them, if it did. */
  readonly annotations: Readonly<Record<string, string>>;
}

/** One network of a pod with everything DEL needs when the pod and the definition are gone. */
export interface Delegate {
  /** `<namespace>/<name>` of the definition, or the name of the default network. */
  readonly name: string;
  readonly interfaceName: string;
  readonly config: string;
  readonly isDefault: boolean;
  readonly mac?: string;
  readonly ips?: readonly string[];
}

const NETWORKS = 'k8s.v1.cni.cncf.io/networks';
const STATUS = 'k8s.v1.cni.cncf.io/network-status';
const ACCESS_TIMEOUT_MS = 4000;

/**
 * The pod's networks in order: the default one as `interfaceName`, then those of its annotation as
 * net1, net2, …
 */
export async function findDelegates(
  config: MetaConfig,
  pod: PodIdentity,
  interfaceName: string,
): Promise<Delegate[]> {
  const access = readKubeconfig(config.kubeconfig);
  const annotations = await annotationsOf(access, { config, pod });
  const selections = parseSelections(annotations[NETWORKS] ?? '', pod.namespace);
  const others = selections.map(async (selection, index): Promise<Delegate> => {
    const source = await definitionOf(access, { selection, cniDir: config.cniDir });
    return {
      name: `${selection.namespace}/${selection.name}`,
      interfaceName: selection.interfaceName ?? `net${index + 1}`,
      config: withCniArgs(source, selection),
      isDefault: false,
      ...(selection.mac === undefined ? {} : { mac: selection.mac }),
      ...(selection.ips === undefined ? {} : { ips: selection.ips }),
    };
  });
  return [defaultDelegate(config, interfaceName), ...(await Promise.all(others))];
}

/** The default network alone. */
export function defaultDelegate(config: MetaConfig, interfaceName: string): Delegate {
  const name = textAt(JSON.parse(config.defaultNetwork), 'name');
  return { name, interfaceName, config: config.defaultNetwork, isDefault: true };
}

/** Remembers the networks of a container for DEL. */
export function saveDelegates(cniDir: string, id: string, delegates: readonly Delegate[]): void {
  mkdirSync(cniDir, { recursive: true, mode: 0o700 });
  writeFileSync(join(cniDir, id), JSON.stringify(delegates), { mode: 0o600 });
}

/** The remembered networks of a container; undefined if there are none. */
export function loadDelegates(cniDir: string, id: string): Delegate[] | undefined {
  try {
    const list: unknown = JSON.parse(readFileSync(join(cniDir, id), 'utf8'));
    return Array.isArray(list) ? list.filter(isDelegate) : undefined;
  } catch {
    return undefined;
  }
}

/** Forgets the networks of a container. */
export function forgetDelegates(cniDir: string, id: string): void {
  rmSync(join(cniDir, id), { force: true });
}

/**
 * Writes the status annotation; says whether the API server took it. It is nobody's duty while that
 * one is away.
 */
export async function publishStatus(
  config: MetaConfig,
  pod: PodIdentity,
  statuses: readonly unknown[],
): Promise<boolean> {
  const value = JSON.stringify(statuses, null, 4);
  const reply = await askApi(readKubeconfig(config.kubeconfig), {
    method: 'PATCH',
    path: `${podPath(pod)}/status`,
    contentType: 'application/merge-patch+json',
    body: { metadata: { annotations: { [STATUS]: value } } },
  });
  return reply?.status === 200;
}

async function annotationsOf(
  access: ApiAccess,
  o: { config: MetaConfig; pod: PodIdentity },
): Promise<Readonly<Record<string, string>>> {
  const given = o.config.annotations;
  // A static pod is known to the API server only by its mirror, which comes later and has another
  // UID.
  if (given['kubernetes.io/config.source'] === 'file') return given;
  const reply = await askApi(access, { path: podPath(o.pod) });
  if (reply === undefined) return given;
  if (reply.status !== 200) {
    throw new Error(`reading pod ${o.pod.namespace}/${o.pod.name}: status ${reply.status}`);
  }
  const uid = textAt(reply.body, 'metadata', 'uid');
  if (o.pod.uid !== '' && uid !== o.pod.uid) {
    throw new Error(`expected pod UID "${o.pod.uid}" but the API server says "${uid}"`);
  }
  return texts(at(reply.body, 'metadata', 'annotations'));
}

async function definitionOf(
  access: ApiAccess,
  o: { selection: Selection; cniDir: string },
): Promise<string> {
  const { namespace, name } = o.selection;
  const group = '/apis/k8s.cni.cncf.io/v1';
  const path = `${group}/namespaces/${namespace}/network-attachment-definitions/${name}`;
  const folder = join(o.cniDir, 'definitions');
  const file = join(folder, `${namespace}_${name}`);
  const reply = await askApi(access, { path });
  if (reply === undefined) return readFileSync(file, 'utf8');
  if (reply.status !== 200) throw new Error(`reading ${namespace}/${name}: status ${reply.status}`);
  const source = named(textAt(reply.body, 'spec', 'config'), name);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeFileSync(file, source);
  return source;
}

/** A reply, or undefined if the API server cannot be reached or is not up to answering. */
async function askApi(
  access: ApiAccess,
  request: Parameters<typeof callApi>[1],
): Promise<ApiReply | undefined> {
  try {
    const reply = await callApi(access, { ...request, timeoutMs: ACCESS_TIMEOUT_MS });
    return reply.status >= 500 ? undefined : reply;
  } catch {
    return undefined;
  }
}

/**
 * The configuration with a name, and with the pod's own arguments in `args.cni` of every plugin.
 */
function withCniArgs(source: string, selection: Selection): string {
  if (selection.cniArgs === undefined) return source;
  const config: unknown = JSON.parse(source);
  if (!isRecord(config)) return source;
  const add = (plugin: unknown): unknown => {
    if (!isRecord(plugin)) return plugin;
    const args = isRecord(plugin.args) ? plugin.args : {};
    const cni = isRecord(args.cni) ? args.cni : {};
    return { ...plugin, args: { ...args, cni: { ...cni, ...selection.cniArgs } } };
  };
  const changed = Array.isArray(config.plugins)
    ? { ...config, plugins: config.plugins.map(add) }
    : add(config);
  return JSON.stringify(changed);
}

function named(source: string, name: string): string {
  const config: unknown = JSON.parse(source);
  if (!isRecord(config) || (typeof config.name === 'string' && config.name !== '')) return source;
  return JSON.stringify({ ...config, name });
}

function podPath(pod: PodIdentity): string {
  return `/api/v1/namespaces/${pod.namespace}/pods/${pod.name}`;
}

function texts(value: unknown): Record<string, string> {
  if (!isRecord(value)) return {};
  return Object.fromEntries(Object.entries(value).map(([key, text]) => [key, String(text)]));
}

function isDelegate(value: unknown): value is Delegate {
  return isRecord(value) && ['name', 'interfaceName', 'config'].every((key) => key in value);
}
