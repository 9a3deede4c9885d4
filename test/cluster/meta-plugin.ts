// Test equipment, not part of the product: a small meta-plugin in the place of Multus. The runtime
// calls it for every pod; it calls the default network's plugin and then the plugin of each network
// in the pod's annotation, by the rules of the CNI library and with the arguments that Multus
// sends, and writes the network-status annotation. It leaves out what the tests do not use: device
// IDs, default-route, CHECK of further networks. One thing it does better, as Multus in its thick
// form does from its caches: while the API server is away it takes the pod's annotations from the
// runtime and the definitions from what this node saw last.

import {
  type Delegate,
  defaultDelegate,
  findDelegates,
  forgetDelegates,
  loadDelegates,
  type MetaConfig,
  publishStatus,
  saveDelegates,
} from './meta/delegates.ts';
import {
  addNetwork,
  askNetwork,
  checkNetwork,
  deleteNetwork,
  PluginError,
  parseNetworkList,
  type Runtime,
} from './meta/libcni.ts';
import { statusesOf } from './meta/network-status.ts';
import {
  argumentsFor,
  identityFrom,
  isRecord,
  type PodIdentity,
  parseArguments,
} from './meta/selection.ts';

interface Request {
  readonly config: MetaConfig;
  readonly raw: Readonly<Record<string, unknown>>;
  readonly containerId: string;
  readonly netns: string;
  readonly ifName: string;
  readonly received: [string, string][];
  readonly path: string[];
}

const ANNOTATIONS = 'io.kubernetes.cri.pod-annotations';

async function main(): Promise<void> {
  const command = process.env.CNI_COMMAND ?? '';
  if (command === 'VERSION') {
    const supportedVersions = ['0.3.1', '0.4.0', '1.0.0', '1.1.0'];
    return print({ cniVersion: '1.1.0', supportedVersions });
  }
  const request = readRequest(await Bun.stdin.text());
  switch (command) {
    case 'ADD':
      return print(await add(request));
    case 'DEL':
      return remove(request);
    case 'CHECK':
      return checkNetwork(defaultList(request), runtimeOf(request, undefined, undefined));
    case 'STATUS':
      return ask(request, 'STATUS', []);
    case 'GC':
      return ask(request, 'GC', ['cni.dev/valid-attachments', 'cni.dev/attachments']);
    default:
      throw new PluginError(`unknown CNI_COMMAND: ${command}`, { code: 4 });
  }
}

/**
 * Attaches all networks; if one fails, everything done so far is undone. The default network's
 * result is the answer.
 */
async function add(request: Request): Promise<unknown> {
  const pod = identityFrom(request.received);
  const delegates = await findDelegates(request.config, pod, request.ifName);
  saveDelegates(request.config.cniDir, request.containerId, delegates);
  const results: unknown[] = [];
  for (const [index, delegate] of delegates.entries()) {
    const list = parseNetworkList(delegate.config, delegate.name);
    try {
      results.push(await addNetwork(list, runtimeOf(request, pod, delegate)));
    } catch (error) {
      await removeDelegates(request, pod, delegates.slice(0, index + 1));
      forgetDelegates(request.config.cniDir, request.containerId);
      throw error;
    }
  }
  const statuses = delegates.flatMap((delegate, index) =>
    statusesOf(results[index], { name: delegate.name, isDefault: delegate.isDefault }),
  );
  await publishStatus(request.config, pod, statuses);
  return results[0];
}

/**
 * Detaches what ADD remembered; without memory what the API server says; if neither is there,
 * nothing is left to do.
 */
async function remove(request: Request): Promise<void> {
  const pod = identityFrom(request.received);
  const { cniDir } = request.config;
  const delegates = loadDelegates(cniDir, request.containerId) ?? (await lookUp(request, pod));
  const errors = await removeDelegates(request, pod, delegates);
  const [first] = errors;
  if (first !== undefined) throw first;
  forgetDelegates(cniDir, request.containerId);
}

async function lookUp(request: Request, pod: PodIdentity): Promise<Delegate[]> {
  try {
    return await findDelegates(request.config, pod, request.ifName);
  } catch (error) {
    console.error(`no networks known for ${request.containerId}: ${String(error)}`);
    return [defaultDelegate(request.config, request.ifName)];
  }
}

/**
 * DEL of all given networks, last first. One that fails does not keep the others from being
 * deleted.
 */
async function removeDelegates(
  request: Request,
  pod: PodIdentity,
  delegates: readonly Delegate[],
): Promise<unknown[]> {
  const errors: unknown[] = [];
  for (const delegate of [...delegates].reverse()) {
    const { mac: _mac, ips: _ips, ...plain } = delegate;
    const list = parseNetworkList(delegate.config, delegate.name);
    try {
      await deleteNetwork(list, runtimeOf(request, pod, plain));
    } catch (error) {
      console.error(String(error));
      errors.push(error);
    }
  }
  return errors;
}

async function ask(
  request: Request,
  verb: 'STATUS' | 'GC',
  keys: readonly string[],
): Promise<void> {
  const extra = Object.fromEntries(keys.map((key) => [key, request.raw[key] ?? []]));
  const runtime = runtimeOf(request, undefined, undefined);
  await askNetwork(verb, defaultList(request), { runtime, extra });
}

function defaultList(request: Request): ReturnType<typeof parseNetworkList> {
  return parseNetworkList(request.config.defaultNetwork, 'default');
}

function runtimeOf(
  request: Request,
  pod: PodIdentity | undefined,
  delegate: Delegate | undefined,
): Runtime {
  const ips = delegate?.ips === undefined ? {} : { ips: delegate.ips };
  const mac = delegate?.mac === undefined ? {} : { mac: delegate.mac };
  return {
    containerId: request.containerId,
    netns: request.netns,
    ifName: delegate?.interfaceName ?? request.ifName,
    args:
      pod === undefined
        ? request.received
        : argumentsFor(pod, request.received, { ...ips, ...mac }),
    path: request.path,
    cacheFolder: request.config.cniDir,
    capabilities: { ...ips, ...mac },
  };
}

function readRequest(stdin: string): Request {
  const raw: unknown = JSON.parse(stdin);
  if (!isRecord(raw)) throw new PluginError('the configuration is no object', { code: 6 });
  const text = (key: string): string => {
    const value = raw[key];
    if (typeof value === 'string') return value;
    throw new PluginError(`the configuration has no ${key}`, { code: 7 });
  };
  const runtimeConfig = isRecord(raw.runtimeConfig) ? raw.runtimeConfig : {};
  const given = runtimeConfig[ANNOTATIONS];
  const annotations = isRecord(given)
    ? Object.fromEntries(Object.entries(given).map(([key, value]) => [key, String(value)]))
    : {};
  const defaultNetwork = JSON.stringify(raw.defaultNetwork);
  return {
    config: { kubeconfig: text('kubeconfig'), cniDir: text('cniDir'), defaultNetwork, annotations },
    raw,
    containerId: process.env.CNI_CONTAINERID ?? '',
    netns: process.env.CNI_NETNS ?? '',
    ifName: process.env.CNI_IFNAME ?? '',
    received: parseArguments(process.env.CNI_ARGS ?? ''),
    path: (process.env.CNI_PATH ?? '').split(':').filter((folder) => folder !== ''),
  };
}

function print(value: unknown): void {
  process.stdout.write(JSON.stringify(value));
}

try {
  await main();
} catch (error) {
  const code = error instanceof PluginError ? error.code : 999;
  const msg = error instanceof Error ? error.message : String(error);
  const details = error instanceof PluginError ? error.details : '';
  print({ cniVersion: '1.1.0', code, msg, details });
  process.exitCode = 1;
}
