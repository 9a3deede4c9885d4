// Our own product on the test cluster: its images on the nodes, its manifests applied as a user
// would, its objects.

import { dirname, join } from 'node:path';
import { buildPrograms, compileFile, programPath } from '../../scripts/build.ts';
import { packImage } from '../../scripts/image/oci.ts';
import { IMAGE_PREFIX, PRODUCT_IMAGES, productImage } from '../../scripts/image/recipes.ts';
import { type WrittenImage, writeProductImage } from '../../scripts/image.ts';
import { at, callApi, listAt, readApi } from './api.ts';
import { adminAccess, currentShape } from './cluster.ts';
import { run, waitFor } from './command.ts';
import { runOn } from './machine.ts';
import { loadImage } from './node.ts';
import { findPeers } from './peers.ts';
import { ADMIN_ENVIRONMENT, nodeName, railNetwork, STATE } from './settings.ts';

const ROOT = dirname(dirname(import.meta.dir));

/** What a user applies. */
export const MANIFESTS = join(ROOT, 'deploy');

/** Namespace of the controller and the daemons. */
export const PRODUCT_NAMESPACE = 'multi-nic-cni-operator';

const CNI_ENTRY = 'src/cni/main.ts';
const GROUP = '/apis/multinic.fms.io/v1';
const DEFINITIONS = 'network-attachment-definitions';

/** Names of the nodes of the cluster that is up. */
export function nodeNames(): string[] {
  return Array.from({ length: currentShape().nodes }, (_, index) => nodeName(index + 1));
}

/** Builds the programs and their images and imports these into every node. */
export async function loadProduct(): Promise<WrittenImage[]> {
  await buildPrograms(['multi-nic', 'multi-nicd', 'multi-nic-controller']);
  const written: WrittenImage[] = [];
  // Those of `make images`, packed once.
  for (const image of PRODUCT_IMAGES) written.push(await writeProductImage(image));
  await loadFiles(written.map(({ file }) => file));
  return written;
}

/**
 * Imports into every node an image of the daemon that carries a CNI executable of this version, and
 * returns the image's name. The daemon itself is the one that `loadProduct` built.
 */
export async function loadNewerDaemon(version: string): Promise<string> {
  const executable = join(STATE, 'newer/multi-nic');
  await compileFile({ entry: CNI_ENTRY, output: executable, shortLived: true, version });
  const content = productImage('daemon', {
    version,
    programPath: (name) => (name === 'multi-nic' ? executable : programPath(name)),
  });
  const reference = `${IMAGE_PREFIX}/daemon:${version}`;
  const file = join(STATE, 'newer/daemon.tar');
  await Bun.write(file, packImage(content, reference).tar);
  await loadFiles([file]);
  return reference;
}

/** What the CNI executable that is installed on a node says about itself. */
export async function installedVersion(node: string): Promise<string> {
  return (await runOn(node, ['/opt/cni/bin/multi-nic', '--version'])).trim();
}

async function loadFiles(files: readonly string[]): Promise<void> {
  const peers = await findPeers();
  const imports = nodeNames().map(async (node) => {
    for (const file of files) await loadImage(node, file, peers);
  });
  await Promise.all(imports);
}

/** Runs kubectl as the administrator and returns what it printed. */
export async function kubectl(argv: readonly string[], stdin?: string): Promise<string> {
  const program = (await findPeers()).outside('kubectl');
  return run([program, ...argv], {
    env: ADMIN_ENVIRONMENT,
    timeoutMs: 120_000,
    ...(stdin === undefined ? {} : { stdin }),
  });
}

/** How the product is installed. */
export interface InstallOptions {
  readonly timeoutMs: number;
  /**
   * The daemon's MULTI_NIC_PUBLISH_INTERVAL_MS. Tests, which wait for IPPools after each step, do
   * with less than its own 1000.
   */
  readonly publishIntervalMs?: number;
}

/**
 * Applies the manifests and waits until the controller and a daemon on every node are ready. The
 * NICs of this cluster are veth links, which the daemon leaves alone unless told; that and the
 * interval are the settings that differ from an installation.
 */
export async function installProduct(o: InstallOptions): Promise<void> {
  await kubectl(['apply', '-f', MANIFESTS]);
  await waitForInstalled(o);
}

/** The rest of `installProduct`, for who applied the manifests. */
export async function waitForInstalled(o: InstallOptions): Promise<void> {
  const config = `${GROUP}/configs/multi-nicd`;
  const made = async (): Promise<unknown> => readApi(adminAccess(), config);
  const current = await waitFor('the Config', made, { timeoutMs: o.timeoutMs, everyMs: 100 });
  const env = listAt(current, 'spec', 'daemon', 'env');
  const virtual = { name: 'MULTI_NIC_INCLUDE_VIRTUAL_NICS', value: 'true' };
  const { publishIntervalMs = 300 } = o;
  const interval = { name: 'MULTI_NIC_PUBLISH_INTERVAL_MS', value: `${publishIntervalMs}` };
  await mergePatch(config, { spec: { daemon: { env: [...env, virtual, interval] } } });
  await waitForProduct(o);
}

/** Waits until everything of ours that should run is ready, in its newest form. */
export async function waitForProduct(o: { timeoutMs: number }): Promise<void> {
  const workloads = `/apis/apps/v1/namespaces/${PRODUCT_NAMESPACE}`;
  const ready = async (): Promise<boolean> => {
    const access = adminAccess();
    const deployment = await readApi(access, `${workloads}/deployments/multi-nic-controller`);
    const daemons = await readApi(access, `${workloads}/daemonsets/multi-nicd`);
    const nodes = nodeNames().length;
    const isCurrent = (object: unknown): boolean =>
      at(object, 'status', 'observedGeneration') === at(object, 'metadata', 'generation');
    return (
      isCurrent(deployment) &&
      isCurrent(daemons) &&
      at(deployment, 'status', 'availableReplicas') === at(deployment, 'spec', 'replicas') &&
      at(daemons, 'status', 'updatedNumberScheduled') === nodes &&
      at(daemons, 'status', 'numberReady') === nodes &&
      JSON.stringify(at(daemons, 'spec', 'template')).includes('INCLUDE_VIRTUAL_NICS')
    );
  };
  await waitFor('controller and daemons', ready, { timeoutMs: o.timeoutMs, everyMs: 100 });
}

/**
 * Changes fields of an object by a merge patch; throws with the API server's words if it refuses.
 */
export async function mergePatch(path: string, body: unknown): Promise<void> {
  const contentType = 'application/merge-patch+json';
  const reply = await callApi(adminAccess(), { method: 'PATCH', path, contentType, body });
  if (reply.status !== 200) throw new Error(`patching ${path}: ${JSON.stringify(reply.body)}`);
}

/**
 * A network over the first `nics` rails: macvlan, because it is the kind that most kernels have. In
 * mode l3, hosts have routes to the pods of the others; l2 unless told.
 */
export function networkObject(o: {
  name: string;
  nics: number;
  subnet: string;
  vlanMode?: 'l2' | 'l3';
  namespaces?: readonly string[];
}): object {
  const blocks = { hostBlock: 4, interfaceBlock: 4 };
  const ipam = { type: 'multi-nic-ipam', ...blocks, vlanMode: o.vlanMode ?? 'l2' };
  const rails = Array.from({ length: o.nics }, (_, rail) => railNetwork(rail).v4);
  return {
    apiVersion: 'multinic.fms.io/v1',
    kind: 'MultiNicNetwork',
    metadata: { name: o.name },
    spec: {
      subnet: o.subnet,
      ipam: JSON.stringify(ipam),
      multiNICIPAM: true,
      plugin: { cniVersion: '0.3.1', type: 'macvlan', args: { mode: 'bridge' } },
      masterNets: rails,
      ...(o.namespaces === undefined ? {} : { namespaces: o.namespaces }),
    },
  };
}

/** Applies a network and waits for its definition in a namespace. */
export async function createNetwork(
  network: object,
  o: { namespace?: string } = {},
): Promise<void> {
  await kubectl(['apply', '-f', '-'], JSON.stringify(network));
  await waitForDefinition(String(at(network, 'metadata', 'name')), o.namespace ?? 'default');
}

/** Waits for a network's definition in a namespace. */
export async function waitForDefinition(name: string, namespace: string): Promise<void> {
  const path = `/apis/k8s.cni.cncf.io/v1/namespaces/${namespace}/${DEFINITIONS}/${name}`;
  const there = async (): Promise<boolean> =>
    (await callApi(adminAccess(), { path })).status === 200;
  await waitFor(`definition ${namespace}/${name}`, there, { timeoutMs: 60_000, everyMs: 100 });
}

/** Waits until the daemons of all nodes have a usable pool for each of the network's NICs. */
export async function waitForPools(network: string, o: { nics: number }): Promise<void> {
  const wanted = o.nics * nodeNames().length;
  const there = async (): Promise<boolean> => {
    const pools = listAt(await readApi(adminAccess(), `${GROUP}/ippools`), 'items');
    return pools.filter((pool) => at(pool, 'spec', 'netAttachDef') === network).length === wanted;
  };
  await waitFor(`${wanted} pools of ${network}`, there, { timeoutMs: 30_000, everyMs: 100 });
}

/** All IPPools. */
export async function readPools(): Promise<unknown[]> {
  return listAt(await readApi(adminAccess(), `${GROUP}/ippools`), 'items');
}
