// The product on a real cluster when things break: daemons deleted or replaced while pods start, no
// controller, no API server, services restarted, a node without power. Pods keep their NICs, and
// what is recorded stays true.
import { afterEach, describe, expect, test } from 'bun:test';
import { at, callApi, readApi, textAt } from '../cluster/api.ts';
import { adminAccess, currentShape, waitForNodes, whyNoCluster } from '../cluster/cluster.ts';
import { waitFor } from '../cluster/command.ts';
import { readJournal, waitForConsistency } from '../cluster/consistency.ts';
import { killLeader, leaderIdentity } from '../cluster/leader.ts';
import {
  removeFile,
  restartService,
  runOn,
  startService,
  stopService,
  writeFile,
} from '../cluster/machine.ts';
import { startNode, stopNode } from '../cluster/node.ts';
import { findPeers } from '../cluster/peers.ts';
import { whyNotWithoutApi } from '../cluster/pod-network.ts';
import {
  clearPods,
  createPods,
  deletePods,
  listPods,
  networksOf,
  pingAll,
  podObject,
  waitReady,
} from '../cluster/pods.ts';
import {
  createNetwork,
  installedVersion,
  installProduct,
  kubectl,
  loadNewerDaemon,
  loadProduct,
  MANIFESTS,
  mergePatch,
  networkObject,
  nodeNames,
  PRODUCT_NAMESPACE,
  waitForPools,
  waitForProduct,
} from '../cluster/product.ts';
import { failedSandboxes } from '../cluster/runtime-log.ts';
import { CONTROL_PLANE } from '../cluster/settings.ts';
import { useCluster } from '../cluster/suite.ts';
import {
  type NodeStates,
  readNodeStates,
  readOurRoutes,
  waitForTidyNodes,
} from '../cluster/traces.ts';
import { requirement } from '../helpers/requirement.ts';

const NICS = 3;
const NETWORK = 'faults-net';
const AWAY_MS = 60_000;
/** Version of the CNI executable that the daemon's newer image installs. */
const NEWER = 'newer';
const CONFIG = '/apis/multinic.fms.io/v1/configs/multi-nicd';
const STATIC_POD = 'etc/kubernetes/manifests/static.yaml';

/** Addresses of pods by name: what must not change while a pod lives. */
function addressesOf(pods: readonly unknown[]): Record<string, string[]> {
  const entries = pods.map((pod) => [
    textAt(pod, 'metadata', 'name'),
    networksOf(pod).flatMap((network) => [...network.ips]),
  ]);
  return Object.fromEntries(entries);
}

if (requirement('cluster faults', whyNoCluster())) {
  describe('product on a cluster that breaks', () => {
    let steady: Record<string, string[]> = {};
    let tidy: NodeStates = new Map();
    let isInstalled = true;
    /** Takes some seconds, once. */
    let newer: Promise<string> | undefined;
    const newerDaemon = (): Promise<string> => {
      newer ??= loadNewerDaemon(NEWER);
      return newer;
    };

    useCluster({ nodes: 2, rails: NICS }, async () => {
      await loadProduct();
      await installProduct({ timeoutMs: 120_000 });
      const subnet = '10.64.0.0/12';
      await createNetwork(networkObject({ name: NETWORK, nics: NICS, subnet, vlanMode: 'l3' }));
      await waitForPools(NETWORK, { nics: NICS });
      await createPods([
        { name: 'steady-1', node: 'n1', group: 'steady', networks: NETWORK },
        { name: 'steady-2', node: 'n2', group: 'steady', networks: NETWORK },
      ]);
      steady = addressesOf(await waitReady('steady', { count: 2, timeoutMs: 60_000 }));
      tidy = await readNodeStates(nodeNames());
    });
    // Two pods live through all of it, with their addresses and their ways to each other.
    afterEach(async () => {
      if (!isInstalled) return waitForTidyNodes(tidy, { routes: 0 });
      await clearPods({ keep: ['steady'] });
      const pods = await waitReady('steady', { count: 2, timeoutMs: 120_000 });
      const before = steady;
      steady = addressesOf(pods); // what one test has changed is no failure of the next
      expect(steady).toEqual(before);
      expect(await pingAll(pods)).toBe(2 * NICS);
      await waitForConsistency({ attachments: 2 });
      await waitForTidyNodes(tidy, { routes: NICS * (nodeNames().length - 1) });
    });

    test('pods start though their daemon is deleted and the leading controller killed; another serves a new network', async () => {
      const pods = Array.from({ length: 10 }, (_, index) => {
        return { name: `while-${index}`, node: 'n1', group: 'while', networks: NETWORK };
      });
      const later = 'second-net';
      const leader = await killLeader();
      await createPods(pods.slice(0, 5));
      const labels = ['-n', PRODUCT_NAMESPACE, '-l', 'app=multi-nicd'];
      await kubectl(['delete', 'pod', ...labels, '--wait=false']);
      const isAway = async (): Promise<boolean> =>
        readJournal('n1').then(
          () => false,
          () => true,
        );
      await waitFor('the end of the daemon', isAway, { timeoutMs: 30_000, everyMs: 20 });
      await createPods(pods.slice(5));
      try {
        await createNetwork(networkObject({ name: later, nics: 1, subnet: '10.96.0.0/12' }));
        await waitForPools(later, { nics: 1 });
        expect(await leaderIdentity()).not.toBe(leader);
        const ready = await waitReady('while', { count: pods.length, timeoutMs: 180_000 });
        expect(await pingAll(ready.slice(0, 2))).toBe(2 * NICS);
      } finally {
        await kubectl(['delete', 'multinicnetwork', later, '--timeout=60s']);
      }
      // Otherwise nothing was tested.
      const failures = failedSandboxes('n1', 'while-');
      expect(failures.filter((error) => error.includes('cannot be reached'))).not.toEqual([]);
      await waitForProduct({ timeoutMs: 60_000 });
      await deletePods('while', { timeoutMs: 120_000 });
    });

    test('pods that are deleted while their daemon is away give everything back', async () => {
      const pods = Array.from({ length: 5 }, (_, index) => {
        return { name: `leave-${index}`, node: 'n1', group: 'leave', networks: NETWORK };
      });
      await createPods(pods);
      await waitReady('leave', { count: pods.length, timeoutMs: 120_000 });
      try {
        await moveDaemonsAway();
        await deletePods('leave', { timeoutMs: 120_000 });
      } finally {
        await bringDaemonsBack();
      }
    });

    test('pods start and end without a controller', async () => {
      const path = `/apis/apps/v1/namespaces/${PRODUCT_NAMESPACE}/deployments/multi-nic-controller`;
      const replicas = at(await readApi(adminAccess(), path), 'spec', 'replicas');
      try {
        await mergePatch(path, { spec: { replicas: 0 } });
        const ended = async (): Promise<boolean> =>
          (at(await readApi(adminAccess(), path), 'status', 'replicas') ?? 0) === 0;
        await waitFor('end of the controller', ended, { timeoutMs: 60_000, everyMs: 200 });
        await createPods([{ name: 'alone', node: 'n1', networks: NETWORK }]);
        const [pod] = await waitReady('alone', { count: 1, timeoutMs: 60_000 });
        expect(networksOf(pod)).toHaveLength(NICS);
        await deletePods('alone', { timeoutMs: 60_000 });
      } finally {
        await mergePatch(path, { spec: { replicas } });
        await waitForProduct({ timeoutMs: 120_000 });
      }
    });

    // What a kubelet does without its API server: it starts sandboxes anew that have died, and it
    // starts and ends static pods, whose manifests are files. The meta-plugin then takes
    // annotations from the runtime and definitions from what it saw before, as Multus in its thick
    // form does from its caches; all else is the real thing.
    const away = 'sandboxes and static pods start and end while the API server is away';
    const withoutApi = async (): Promise<void> => {
      await stopService(CONTROL_PLANE, 'apiserver');
      const begin = performance.now();
      try {
        writeFile(
          'n1',
          STATIC_POD,
          JSON.stringify(podObject({ name: 'static', networks: NETWORK })),
        );
        const first = await waitForStaticPod();
        const ctr = [(await findPeers()).inside('ctr'), '-n', 'k8s.io'];
        // The row is there a moment before the sandbox's process is.
        const kill = (): Promise<string> =>
          runOn('n1', [...ctr, 'tasks', 'kill', '-s', 'SIGKILL', first]).then(() => 'killed');
        await waitFor('a sandbox to kill', kill, { timeoutMs: 30_000 });
        await waitForStaticPod({ insteadOf: first });
        removeFile('n1', STATIC_POD);
        const gone = async (): Promise<boolean> => (await staticPods()).length === 0;
        await waitFor('the end of the static pod', gone, { timeoutMs: 90_000, everyMs: 200 });
        await newerDaemon(); // there is time for it
        await Bun.sleep(Math.max(0, AWAY_MS - (performance.now() - begin)));
      } finally {
        removeFile('n1', STATIC_POD);
        await startService(CONTROL_PLANE, 'apiserver');
      }
      await waitForNodes(nodeNames(), { timeoutMs: 120_000 });
      await waitForProduct({ timeoutMs: 120_000 });
    };
    if (requirement(away, whyNotWithoutApi())) test(away, withoutApi);

    test('containerd and the kubelet can be restarted under running pods', async () => {
      for (const service of ['containerd', 'kubelet']) {
        for (const node of nodeNames()) await restartService(node, service);
      }
      // Nodes stay Ready in the API; that the new kubelets work shows in pods that start.
      await createPods(
        nodeNames().map((node) => {
          return { name: `after-${node}`, node, group: 'after', networks: NETWORK };
        }),
      );
      await waitReady('after', { count: nodeNames().length, timeoutMs: 120_000 });
      await deletePods('after', { timeoutMs: 60_000 });
    });

    test('after a power cut the node gives its pods NICs again', async () => {
      expect(await readOurRoutes('n2')).toHaveLength(NICS);
      await stopNode('n2');
      await startNode('n2', { peers: await findPeers(), shape: currentShape() });
      expect(await readOurRoutes('n2')).toEqual([]);
      await waitForNodes(['n2']);
      const back = async (): Promise<boolean> => {
        const rows = await readJournal('n2');
        return rows.length === 1 && at(rows[0], 'state') === 'attached' && (await hasRestarted());
      };
      await waitFor('the pod with its NICs', back, { timeoutMs: 180_000, everyMs: 500 });
      await waitForProduct({ timeoutMs: 120_000 });
      // A new sandbox is a new attachment; it need not have the old one's addresses.
      steady = addressesOf(await waitReady('steady', { count: 2, timeoutMs: 120_000 }));
    });

    test('the daemon can be upgraded while pods run and start', async () => {
      const image = await newerDaemon();
      for (const node of nodeNames()) expect(await installedVersion(node)).not.toContain(NEWER);
      await mergePatch(CONFIG, { spec: { daemon: { image } } });
      await createPods([{ name: 'amid', node: 'n2', networks: NETWORK }]);
      await waitReady('amid', { count: 1, timeoutMs: 120_000 });
      const daemons = `/apis/apps/v1/namespaces/${PRODUCT_NAMESPACE}/daemonsets/multi-nicd`;
      const rolled = async (): Promise<boolean> =>
        JSON.stringify(await readApi(adminAccess(), daemons)).includes(image);
      await waitFor('the new image in the DaemonSet', rolled, { timeoutMs: 30_000 });
      await waitForProduct({ timeoutMs: 120_000 });
      for (const node of nodeNames()) {
        expect(await installedVersion(node)).toBe(`multi-nic ${NEWER}`);
      }
      await deletePods('amid', { timeoutMs: 60_000 });
    });

    // The controller is gone before the network is, which waits for it with all its routes.
    test('what was removed in the wrong order goes once the manifests are applied again', async () => {
      isInstalled = false;
      await kubectl(['delete', '-f', MANIFESTS, '--wait=false']);
      await waitForAbsence(`/api/v1/namespaces/${PRODUCT_NAMESPACE}`);
      for (const node of nodeNames()) expect(await readOurRoutes(node)).toHaveLength(NICS);
      await kubectl(['apply', '-f', MANIFESTS]);
      await clearPods();
      const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
      await waitForAbsence(`${definitions}/multinicnetworks.multinic.fms.io`);
      // The daemons hear of it at the same time, and are the ones who take the routes away.
      for (const node of nodeNames()) {
        const areGone = async (): Promise<boolean> => (await readOurRoutes(node)).length === 0;
        await waitFor(`routes of ${node} to go`, areGone, { timeoutMs: 60_000, everyMs: 100 });
      }
      await kubectl(['delete', '-f', MANIFESTS, '--ignore-not-found', '--timeout=60s']);
      await waitForAbsence('/apis/multinic.fms.io/v1');
    });
  });
}

/** Waits until the API server answers 404. */
async function waitForAbsence(path: string): Promise<void> {
  const absent = async (): Promise<boolean> =>
    (await callApi(adminAccess(), { path })).status === 404;
  await waitFor(`the end of ${path}`, absent, { timeoutMs: 90_000, everyMs: 200 });
}

/** Container IDs under which the journal of n1 has the static pod, attached. */
async function staticPods(): Promise<string[]> {
  const rows = await readJournal('n1');
  return rows
    .filter((row) => at(row, 'podName') === 'static-n1' && at(row, 'state') === 'attached')
    .map((row) => textAt(row, 'containerId'));
}

/** Waits until the static pod has its NICs, in another sandbox than `insteadOf`. */
async function waitForStaticPod(o: { insteadOf?: string } = {}): Promise<string> {
  const found = async (): Promise<string | undefined> => {
    const [id, ...others] = await staticPods();
    return others.length === 0 && id !== o.insteadOf ? id : undefined;
  };
  return waitFor('a static pod with its NICs', found, { timeoutMs: 90_000, everyMs: 200 });
}

async function hasRestarted(): Promise<boolean> {
  const pods = await listPods('steady');
  const pod = pods.find((one) => at(one, 'spec', 'nodeName') === 'n2');
  return Number(at(pod, 'status', 'containerStatuses', 0, 'restartCount')) > 0;
}

/** No node fits the DaemonSet any more, so its pods end; it comes back with all of them. */
async function moveDaemonsAway(): Promise<void> {
  await mergePatch(CONFIG, { spec: { daemon: { nodeSelector: { nowhere: 'true' } } } });
  const gone = async (): Promise<boolean> => (await daemonPods()) === 0;
  await waitFor('end of the daemons', gone, { timeoutMs: 90_000, everyMs: 200 });
}

async function bringDaemonsBack(): Promise<void> {
  await mergePatch(CONFIG, { spec: { daemon: { nodeSelector: { nowhere: null } } } });
  const all = async (): Promise<boolean> => (await daemonPods()) === nodeNames().length;
  await waitFor('new daemons', all, { timeoutMs: 90_000, everyMs: 200 });
  await waitForProduct({ timeoutMs: 120_000 });
}

async function daemonPods(): Promise<number> {
  const selector = 'labelSelector=app%3Dmulti-nicd';
  const path = `/api/v1/namespaces/${PRODUCT_NAMESPACE}/pods?${selector}`;
  const items = at(await readApi(adminAccess(), path), 'items');
  return Array.isArray(items) ? items.length : 0;
}
