// The product on a real cluster, the ordinary way: installed from its manifests, networks made,
// pods that come and go, uninstalled. After every step journals, IPPools, links and pods are
// compared.
import { afterEach, describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import type { WrittenImage } from '../../scripts/image.ts';
import { at, callApi, listAt, readApi } from '../cluster/api.ts';
import { adminAccess, whyNoCluster } from '../cluster/cluster.ts';
import { waitFor } from '../cluster/command.ts';
import { waitForConsistency } from '../cluster/consistency.ts';
import { imageFiles } from '../cluster/image-files.ts';
import { runOn } from '../cluster/machine.ts';
import { readNodeState, waitForNodeState } from '../cluster/node-state.ts';
import { whyNoMultus } from '../cluster/pod-network.ts';
import {
  clearPods,
  createPods,
  deletePods,
  IDLE_SCRIPT,
  listPods,
  networksOf,
  type PodRequest,
  pingAll,
  waitReady,
} from '../cluster/pods.ts';
import {
  kubectl,
  loadProduct,
  MANIFESTS,
  networkObject,
  nodeNames,
  PRODUCT_NAMESPACE,
  readPools,
  waitForDefinition,
  waitForInstalled,
  waitForPools,
} from '../cluster/product.ts';
import { railNetwork } from '../cluster/settings.ts';
import { useCluster } from '../cluster/suite.ts';
import {
  type NodeStates,
  readNodeStates,
  readOurRoutes,
  waitForTidyNodes,
} from '../cluster/traces.ts';
import { Transcript } from '../cluster/transcript.ts';
import { requirement } from '../helpers/requirement.ts';

const NICS = 8;
const NETWORK = 'cluster-net';
const SUBNET = '10.64.0.0/12';
const PODS_PER_NODE = 20;
/** In every image besides its programs: parts of the C library, with the loader, and base files. */
const LIBRARY = /^(usr\/)?lib[\w/-]*\/(ld-linux[\w.-]*|(libc|libm|libdl|libpthread)\.so\.\d)$/;
const BASE_FILES = ['etc/group', 'etc/nsswitch.conf', 'etc/passwd', 'var/run'];
/** What the README shows of an installation. */
const TRANSCRIPT = join(import.meta.dir, '../../build/transcript.txt');

// With MULTUS_BIN all of this runs through that executable instead of the test's meta-plugin.
requirement('cluster pods through a real Multus', whyNoMultus());

if (requirement('cluster pods', whyNoCluster())) {
  describe('product on a cluster', () => {
    const shell = new Transcript();
    /** Pods that more than one test uses. */
    let kept: readonly string[] = ['pair'];
    /** Routes of ours on each node: one per NIC to each other node while there is a network. */
    let routes = 0;
    let tidy: NodeStates = new Map();
    let images: readonly WrittenImage[] = [];

    useCluster({ nodes: 2, rails: NICS }, async () => {
      images = await loadProduct();
      tidy = await readNodeStates(nodeNames());
    });
    afterEach(async () => {
      await clearPods({ keep: kept });
      const installed = await callApi(adminAccess(), { path: '/apis/multinic.fms.io/v1/ippools' });
      if (installed.status === 200) await waitForConsistency();
      await waitForTidyNodes(tidy, { routes });
    });

    test('the images carry the programs, the C library and nothing else', async () => {
      const [controller = [], daemon = []] = await Promise.all(
        images.map(({ file }) => imageFiles(file)),
      );
      const rest = (files: readonly string[]): string[] =>
        files.filter((path) => !LIBRARY.test(path) && !BASE_FILES.includes(path));
      expect(rest(controller)).toEqual(['usr/local/bin/multi-nic-controller']);
      const executables = ['aws-ipvlan', 'multi-nic', 'multi-nic-ipam'];
      const installed = executables.map((name) => `opt/multi-nic/bin/${name}`);
      expect(rest(daemon)).toEqual([...installed, 'usr/local/bin/multi-nicd']);
      for (const files of [controller, daemon]) {
        expect(files).toEqual(expect.arrayContaining([...BASE_FILES]));
        expect(files.filter((path) => LIBRARY.test(path)).length).toBeGreaterThanOrEqual(2);
        expect(files.length).toBe(new Set(files).size);
      }
    });

    test('one kubectl apply installs all of it', async () => {
      await shell.type('kubectl apply -f deploy/', { linesMax: 2 });
      await waitForInstalled({ timeoutMs: 120_000 });
      const hosts = listAt(
        await readApi(adminAccess(), '/apis/multinic.fms.io/v1/hostinterfaces'),
        'items',
      );
      expect(hosts.map((host) => at(host, 'metadata', 'name')).sort()).toEqual(nodeNames());
      for (const host of hosts) {
        const nets = listAt(host, 'spec', 'interfaces').map((nic) => at(nic, 'netAddress'));
        const rails = Array.from({ length: NICS }, (_, rail) => railNetwork(rail).v4);
        expect(nets).toEqual(expect.arrayContaining(rails));
      }
      const pods = await shell.type(`kubectl -n ${PRODUCT_NAMESPACE} get pods`);
      expect(pods.match(/ 1\/1 +Running +0 /g)).toHaveLength(2 + nodeNames().length);
    });

    test('applying it again changes nothing', async () => {
      const output = await kubectl(['apply', '-f', MANIFESTS]);
      expect(output.split('\n').filter((line) => /created|configured/.test(line))).toEqual([]);
    });

    test('a network becomes definitions in namespaces and a pool per NIC and node', async () => {
      await kubectl(['create', 'namespace', 'team']);
      routes = NICS * (nodeNames().length - 1);
      const network = networkObject({ name: NETWORK, nics: NICS, subnet: SUBNET, vlanMode: 'l3' });
      await shell.writeFile('network.yaml', network);
      await shell.type('kubectl apply -f network.yaml');
      for (const namespace of ['default', 'team']) await waitForDefinition(NETWORK, namespace);
      await waitForPools(NETWORK, { nics: NICS });
      const pools = await readPools();
      const blocks = pools.map((pool) => at(pool, 'spec', 'podCIDR'));
      expect(new Set(blocks).size).toBe(NICS * nodeNames().length);
    });

    test('pods on two nodes reach each other over every NIC', async () => {
      await createPods([
        { name: 'a', node: 'n1', group: 'pair', networks: NETWORK },
        { name: 'b', node: 'n2', group: 'pair', networks: NETWORK },
      ]);
      const pods = await waitReady('pair', { count: 2, timeoutMs: 60_000 });
      for (const pod of pods) {
        const wanted = Array.from({ length: NICS }, (_, index) => `net1-${index}`);
        expect(networksOf(pod).map((network) => network.interface)).toEqual(wanted);
      }
      expect(await pingAll(pods)).toBe(2 * NICS);
      await waitForConsistency({ attachments: 2 });
    });

    test('a few commands show whether it works', async () => {
      // Counts are written some seconds after the allocations.
      const counted = async (): Promise<boolean> =>
        (await readPools()).every((pool) => at(pool, 'status', 'occupied') === 1);
      await waitFor('counts in the pools', counted, { timeoutMs: 30_000, everyMs: 200 });
      const networks = await shell.type('kubectl get multinicnetworks');
      expect(networks).toMatch(/^cluster-net .* True +Success +Success +2 +2\/2 +\S+$/m);
      expect(await shell.type('kubectl get hostinterfaces')).toMatch(/^n1 +8 +1 /m);
      await shell.type('kubectl get cidrs');
      const pools = await shell.type('kubectl get ippools', { linesMax: 4 });
      expect(pools.match(/ 1 +4093 /g)).toHaveLength(NICS * nodeNames().length);
      const addresses = "kubectl exec a -- ip -4 -o address | awk '{print $2, $4}'";
      expect(await shell.type(addresses)).toContain(`\nnet1-${NICS - 1} 10.71.`);
      const [there] = networksOf((await listPods('pair')).at(-1)).at(-1)?.ips ?? [];
      await shell.type(`kubectl exec a -- ping -c 3 -q -I net1-${NICS - 1} ${there} | tail -n 2`);
      await Bun.write(TRANSCRIPT, shell.toString());
    });

    test('deleted pods leave nothing behind', async () => {
      kept = [];
      await deletePods('pair', { timeoutMs: 60_000 });
      await waitForConsistency({ attachments: 0 });
      const before = await Promise.all(nodeNames().map(readNodeState));
      await createPods([{ name: 'short', node: 'n1', networks: NETWORK }]);
      await waitReady('short', { count: 1, timeoutMs: 60_000 });
      await deletePods('short', { timeoutMs: 60_000 });
      await waitForConsistency({ attachments: 0 });
      for (const [index, node] of nodeNames().entries()) {
        await waitForNodeState(node, before[index] ?? []);
      }
    });

    test('20 pods at once per node all get their NICs, and no address is given twice', async () => {
      const pods = nodeNames().flatMap((node) =>
        Array.from({ length: PODS_PER_NODE }, (_, index): PodRequest => {
          return { name: `many-${node}-${index}`, node, group: 'many', networks: NETWORK };
        }),
      );
      await createPods(pods);
      const ready = await waitReady('many', { count: pods.length, timeoutMs: 180_000 });
      const addresses = ready.flatMap((pod) => networksOf(pod).flatMap((network) => network.ips));
      expect(addresses).toHaveLength(pods.length * NICS);
      expect(new Set(addresses).size).toBe(addresses.length);
      await waitForConsistency({ attachments: pods.length });
      const some = [ready[0], ready.at(-1)].filter((pod) => pod !== undefined);
      expect(await pingAll(some)).toBe(2 * NICS);
      await deletePods('many', { timeoutMs: 180_000 });
      await waitForConsistency({ attachments: 0 });
    });

    test('a Deployment that is rolled always has its NICs', async () => {
      await kubectl(['apply', '-f', '-'], JSON.stringify(deployment('rolled', 'one')));
      await kubectl(['rollout', 'status', 'deployment/rolled', '--timeout=120s']);
      await kubectl(['apply', '-f', '-'], JSON.stringify(deployment('rolled', 'two')));
      await kubectl(['rollout', 'status', 'deployment/rolled', '--timeout=120s']);
      const old = async (): Promise<boolean> => (await listPods('rolled')).length === 4;
      await waitFor('end of the old pods', old, { timeoutMs: 60_000, everyMs: 200 });
      await waitForConsistency({ attachments: 4 });
      expect(await pingAll(await listPods('rolled'))).toBe(4 * 3 * NICS);
      await kubectl(['delete', 'deployment', 'rolled', '--wait']);
      const gone = async (): Promise<boolean> => (await listPods('rolled')).length === 0;
      await waitFor('end of the pods', gone, { timeoutMs: 60_000, everyMs: 200 });
      await waitForConsistency({ attachments: 0 });
    });

    test('a namespace that is added later gets the definition, and its pods the NICs', async () => {
      const namespace = 'late';
      await kubectl(['create', 'namespace', namespace]);
      await waitForDefinition(NETWORK, namespace);
      try {
        await createPods([{ name: 'guest', namespace, node: 'n2', networks: NETWORK }]);
        const [pod] = await waitReady('guest', { count: 1, timeoutMs: 60_000, namespace });
        expect(networksOf(pod)).toHaveLength(NICS);
      } finally {
        await clearPods({ namespace });
      }
    });

    test('a network that is deleted takes its definitions, pools and routes along', async () => {
      for (const node of nodeNames()) expect(await readOurRoutes(node)).toHaveLength(routes);
      routes = 0;
      await kubectl(['delete', 'multinicnetwork', NETWORK, '--timeout=60s']);
      const path = `/apis/k8s.cni.cncf.io/v1/network-attachment-definitions`;
      const definitions = listAt(await readApi(adminAccess(), path), 'items');
      expect(definitions.filter((one) => at(one, 'metadata', 'name') === NETWORK)).toEqual([]);
      const gone = async (): Promise<boolean> => (await readPools()).length === 0;
      await waitFor('end of the pools', gone, { timeoutMs: 30_000, everyMs: 200 });
    });

    test('uninstalled, nothing of it is in the cluster or in a running node', async () => {
      await kubectl(['delete', 'config.multinic.fms.io', '--all', '--timeout=60s']);
      await kubectl(['delete', '-f', MANIFESTS, '--ignore-not-found', '--timeout=120s']);
      // What the API server serves follows the definitions a moment later.
      const unserved = async (): Promise<boolean> =>
        (await callApi(adminAccess(), { path: '/apis/multinic.fms.io/v1' })).status === 404;
      await waitFor('an API server without our kinds', unserved, { timeoutMs: 30_000 });
      for (const node of nodeNames()) {
        expect(await readOurRoutes(node)).toEqual([]);
        const sockets = await runOn(node, ['sh', '-c', 'ls /run/multi-nic 2>/dev/null || true']);
        expect(sockets).not.toContain('daemon.sock');
      }
    });
  });
}

/** Four pods over both nodes; another `version` makes other pods of it. */
function deployment(name: string, version: string): object {
  const labels = { group: name };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace: 'default' },
    spec: {
      replicas: 4,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels, annotations: { version, 'k8s.v1.cni.cncf.io/networks': NETWORK } },
        spec: {
          dnsPolicy: 'Default',
          terminationGracePeriodSeconds: 1,
          containers: [
            {
              name: 'main',
              image: 'multi-nic.test/pod:1',
              imagePullPolicy: 'Never',
              command: ['/bin/sh', '-c', IDLE_SCRIPT],
              securityContext: { capabilities: { add: ['NET_RAW'] } },
            },
          ],
        },
      },
    },
  };
}
