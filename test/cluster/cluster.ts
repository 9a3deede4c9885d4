// Brings the test cluster up and down as a whole. What is there is always derived from the machine
// itself (processes by their marker, links and control groups by their prefix), so `clusterDown`
// works after a crash at any point, and twice.

import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type ApiAccess, at, callApi, listAt, readApi, readKubeconfig, textAt } from './api.ts';
import { leftGroups, removeAllGroups } from './cgroups.ts';
import { attempt, run, waitFor } from './command.ts';
import { configureControlPlane, startControlPlane } from './control-plane.ts';
import { killMachines, runningMachines } from './machine.ts';
import { configureNode, loadImage, startNode } from './node.ts';
import { installPackages, missingPackages, whyNoGo } from './packages.ts';
import { buildPeers, type Peers, recordPeers } from './peers.ts';
import {
  buildMetaPlugin,
  checkMultus,
  installPodNetwork,
  multusProgram,
  podNetworkObjects,
} from './pod-network.ts';
import {
  ADMIN_ENVIRONMENT,
  ADMIN_KUBECONFIG,
  type ClusterShape,
  HOST_LINK,
  nodeName,
  STATE,
} from './settings.ts';
import { TEST_IMAGES, writeTestImages } from './test-images.ts';

/** Says what was reached, and when. */
export type Report = (message: string) => void;

/** What is reported when everything is built: what follows takes seconds. */
export const BUILT = 'programs ready';

const SHAPE_FILE = join(STATE, 'shape.json');
const KEPT_FILE = join(STATE, 'kept');

/** Why this machine cannot run a cluster; undefined if it can. */
export function whyNoCluster(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root';
  const missing = ['unshare', 'nsenter', 'mount', 'umount', 'pivot_root'].filter(
    (program) => Bun.which(program) === null,
  );
  if (missing.length > 0) return `needs ${missing.join(', ')}`;
  const tried = Bun.spawnSync(['unshare', '--mount', '--net', '--pid', '--ipc', '--fork', 'true']);
  if (tried.exitCode !== 0) return 'needs the right to make namespaces';
  const noGo = whyNoGo();
  if (noGo !== undefined) return noGo;
  const canInstall = Bun.which('apt-get') !== null;
  const packages = missingPackages();
  if (packages.length > 0 && !canInstall) return `needs the packages ${packages.join(', ')}`;
  return undefined;
}

/** How to bring a cluster up. */
export interface UpOptions {
  readonly report?: Report | undefined;
  /** Once it is aborted nothing more is started. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Starts a cluster and returns when all its nodes are ready. On any failure, and when the signal is
 * aborted, everything is removed again before this throws. Only for who has the turn: what runs
 * already and is not to be kept was left by a process that was killed, and is removed.
 */
export async function clusterUp(shape: ClusterShape, o: UpOptions = {}): Promise<void> {
  const { report = () => undefined, signal } = o;
  const reason = whyNoCluster();
  if (reason !== undefined) throw new Error(`this machine cannot run the cluster: it ${reason}`);
  await checkMultus();
  const running = runningMachines();
  if (running.length > 0 && isKept()) {
    const hint = '`make cluster-down` ends it';
    throw new Error(`a cluster is up already (${running.join(', ')}); ${hint}`);
  }
  await untilAborted(installPackages(report), signal);
  const peers = await untilAborted(buildPeers(), signal);
  report(BUILT);
  await clusterDown(); // left-overs of a crash
  signal?.throwIfAborted();
  makeStateFolder(shape);
  recordPeers(peers);
  try {
    await bringUp(shape, { peers, report, signal });
  } catch (error) {
    if (signal?.aborted !== true) await keepLogs();
    await clusterDown();
    throw error;
  }
}

/** Lets the cluster that is up outlive this process. */
export function keepCluster(): void {
  writeFileSync(KEPT_FILE, '');
}

/** Whether the cluster that is up is to outlive the process that brought it up. */
export function isKept(): boolean {
  return existsSync(KEPT_FILE);
}

/** Ends everything that belongs to a cluster and removes all it wrote. Safe to call at any time. */
export async function clusterDown(): Promise<void> {
  await killMachines();
  // The link would go with the other end's namespace, but the kernel removes namespaces in its own
  // time.
  for (const link of leftLinks()) await attempt(['ip', 'link', 'delete', 'dev', link]);
  const unlinked = (): boolean => leftLinks().length === 0;
  await waitFor('removal of links', unlinked, { timeoutMs: 60_000 });
  await removeAllGroups();
  if (existsSync(STATE)) {
    assertOwnFolder();
    rmSync(STATE, { recursive: true, force: true });
  }
}

/**
 * Whatever of the cluster is on this machine, as text for people; empty after `clusterDown`. What
 * kubectl remembers is in the folder too.
 */
export function leftovers(): string[] {
  return [
    ...runningMachines().map((name) => `machine ${name}`),
    ...leftLinks().map((name) => `link ${name}`),
    ...leftGroups().map((path) => `control group ${path}`),
    ...(existsSync(STATE) ? [`folder ${STATE}`] : []),
  ];
}

/** The shape of the cluster that is up; throws if none is. */
export function currentShape(): ClusterShape {
  if (!existsSync(SHAPE_FILE))
    throw new Error('no cluster is up; start one with `make cluster-up`');
  const shape: unknown = JSON.parse(readFileSync(SHAPE_FILE, 'utf8'));
  return { nodes: Number(at(shape, 'nodes')), rails: Number(at(shape, 'rails')) };
}

/** Access to the API server of the cluster that is up, as its administrator. */
export function adminAccess(): ApiAccess {
  return readKubeconfig(ADMIN_KUBECONFIG);
}

/** Waits until these nodes, and no others than those of the cluster, report Ready. */
export async function waitForNodes(
  names: readonly string[],
  o: { timeoutMs?: number; signal?: AbortSignal | undefined } = {},
): Promise<void> {
  const ready = async (): Promise<boolean> => {
    const nodes = listAt(await readApi(adminAccess(), '/api/v1/nodes'), 'items');
    return names.every((name) => nodes.some((node) => isReady(node, name)));
  };
  const wait = { timeoutMs: o.timeoutMs ?? 60_000, everyMs: 100, signal: o.signal };
  await waitFor(`${names.join(', ')} ready`, ready, wait);
}

/** Creates or updates objects by server-side apply through kubectl. */
export async function applyObjects(peers: Peers, objects: readonly object[]): Promise<void> {
  const list = { apiVersion: 'v1', kind: 'List', items: objects };
  await run([peers.outside('kubectl'), 'apply', '--server-side', '-f', '-'], {
    stdin: JSON.stringify(list),
    env: ADMIN_ENVIRONMENT,
  });
}

/** Work that may take long and makes nothing of the cluster's: nobody has to wait for its end. */
async function untilAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(signal.reason);
  signal.addEventListener('abort', onAbort);
  try {
    signal.throwIfAborted();
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

async function bringUp(
  shape: ClusterShape,
  o: { peers: Peers; report: Report; signal: AbortSignal | undefined },
): Promise<void> {
  const { peers, report, signal } = o;
  const plane = configureControlPlane(shape, peers);
  await startControlPlane(shape, { peers, plane, signal });
  report('control plane started');
  const metaPlugin = multusProgram() === undefined ? buildMetaPlugin() : Promise.resolve();
  await Promise.all([metaPlugin, writeTestImages()]);
  const names = Array.from({ length: shape.nodes }, (_, index) => nodeName(index + 1));
  for (const name of names) {
    signal?.throwIfAborted();
    configureNode(name, { peers, plane });
    installPodNetwork(name, plane);
    await startNode(name, { peers, shape, signal });
  }
  report('machines started');
  const importing = names.map(async (name) => {
    for (const file of TEST_IMAGES) await loadImage(name, file, peers);
  });
  const imports = Promise.all(importing);
  imports.catch(() => undefined); // one that fails before the API server is ready is seen below
  await waitForApi(signal);
  report('API server ready');
  await Promise.all([imports, applyObjects(peers, podNetworkObjects())]);
  await waitForNodes(names, { signal });
  report(`${names.length} nodes ready`);
}

/** Ready, and with the service account without which no pod can be made. */
async function waitForApi(signal: AbortSignal | undefined): Promise<void> {
  const ready = async (): Promise<boolean> => {
    const reply = await callApi(adminAccess(), { path: '/readyz', timeoutMs: 1000 });
    return reply.status === 200;
  };
  await waitFor('the API server', ready, { timeoutMs: 90_000, everyMs: 100, signal });
  const account = '/api/v1/namespaces/default/serviceaccounts/default';
  const made = async (): Promise<boolean> =>
    (await callApi(adminAccess(), { path: account })).status === 200;
  const wait = { timeoutMs: 60_000, everyMs: 100, signal };
  await waitFor('the default service account', made, wait);
}

function isReady(node: unknown, name: string): boolean {
  if (textAt(node, 'metadata', 'name') !== name) return false;
  return listAt(node, 'status', 'conditions').some(
    (condition) => at(condition, 'type') === 'Ready' && at(condition, 'status') === 'True',
  );
}

function leftLinks(): string[] {
  const { exitCode } = Bun.spawnSync(['ip', '-json', 'link', 'show', 'dev', HOST_LINK]);
  return exitCode === 0 ? [HOST_LINK] : [];
}

/**
 * The folder has a fixed name in a place that others may write to: it must be new, and ours alone.
 */
function makeStateFolder(shape: ClusterShape): void {
  mkdirSync(STATE, { mode: 0o700 });
  chmodSync(STATE, 0o700);
  writeFileSync(SHAPE_FILE, JSON.stringify(shape));
}

function assertOwnFolder(): void {
  const { uid, mode } = statSync(STATE);
  if (uid !== 0 || (mode & 0o077) !== 0) throw new Error(`${STATE} is not a folder of the cluster`);
}

/** Prints the ends of the logs, since the folder with them is about to go. */
async function keepLogs(): Promise<void> {
  for (const pattern of ['*/init.log', '*/root/var/log/*.log']) {
    for await (const file of new Bun.Glob(pattern).scan(STATE)) {
      const lines = (await Bun.file(join(STATE, file)).text()).trimEnd().split('\n');
      console.error(`--- ${file}\n${lines.slice(-15).join('\n')}`);
    }
  }
}
