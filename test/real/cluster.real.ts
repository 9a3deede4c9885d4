// The test cluster by itself, before anything of ours is on it: that it comes up, that pods get
// interfaces through the meta-plugin and the reference plugins, that machines survive restarts, and
// that nothing is left when it is down.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { callApi } from '../cluster/api.ts';
import {
  adminAccess,
  applyObjects,
  BUILT,
  clusterDown,
  clusterUp,
  currentShape,
  leftovers,
  waitForNodes,
  whyNoCluster,
} from '../cluster/cluster.ts';
import { waitFor } from '../cluster/command.ts';
import {
  restartService,
  runningMachines,
  runOn,
  startMachine,
  startService,
  stopService,
} from '../cluster/machine.ts';
import { startNode, stopNode } from '../cluster/node.ts';
import { readNodeState, waitForNodeState } from '../cluster/node-state.ts';
import { findPeers } from '../cluster/peers.ts';
import { whyNotWithoutApi } from '../cluster/pod-network.ts';
import {
  createPods,
  deletePods,
  listPods,
  networksOf,
  pingAll,
  readPod,
  runInPod,
  waitReady,
} from '../cluster/pods.ts';
import { API_ADDRESS, CONTROL_PLANE, KUBECTL_CACHE, railNic, STATE } from '../cluster/settings.ts';
import { useCluster } from '../cluster/suite.ts';
import { takeTurn } from '../cluster/turn.ts';
import { requirement } from '../helpers/requirement.ts';

const SYSCTLS = ['vm/overcommit_memory', 'vm/panic_on_oom', 'kernel/panic', 'kernel/panic_on_oops'];
const FOLDERS = ['/var/lib/kubelet', '/var/lib/containerd', '/etc/cni', '/opt/cni', '/var/lib/cni'];

/** How long `up` may take; it takes some 5 s. */
const UP_MS_MAX = 60_000;

/** Between the start of the control plane and that of the first node, roughly. */
const NODES_START_MS = 1500;

/** What kubectl keeps in a home folder about the API server, with the time of the last change. */
function kubectlMemory(): string[] {
  const folder = join(homedir(), '.kube/cache/discovery');
  if (!existsSync(folder)) return [];
  const own = readdirSync(folder).filter((name) => name.startsWith(API_ADDRESS));
  return own.map((name) => `${name} ${statSync(join(folder, name)).mtimeMs}`);
}

/** What the cluster might change on this machine without a trace in its own names. */
function machineState(): Record<string, unknown> {
  const sysctls = SYSCTLS.map((name) => readFileSync(`/proc/sys/${name}`, 'utf8'));
  const forward = readFileSync('/proc/sys/net/ipv4/ip_forward', 'utf8');
  const folders = FOLDERS.map((folder) => existsSync(folder));
  return { sysctls, forward, folders, kubectl: kubectlMemory() };
}

/**
 * A definition whose plugin is the reference macvlan on one rail, with the address that the pod
 * asks for.
 */
function definition(name: string, rail: number): object {
  const plugin = {
    type: 'macvlan',
    master: railNic(rail),
    mode: 'bridge',
    ipam: { type: 'static' },
  };
  return {
    apiVersion: 'k8s.cni.cncf.io/v1',
    kind: 'NetworkAttachmentDefinition',
    metadata: { name, namespace: 'default' },
    spec: { config: JSON.stringify({ cniVersion: '1.0.0', ...plugin }) },
  };
}

function main(...words: string[]): Bun.Subprocess<'ignore', 'pipe', 'pipe'> {
  const argv = [process.execPath, join(import.meta.dir, '../cluster/main.ts'), ...words];
  return Bun.spawn(argv, { stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' });
}

const networks = (host: number): string =>
  JSON.stringify([
    { name: 'one', ips: [`192.168.1.${host}/24`] },
    { name: 'two', interface: 'data0', ips: [`192.168.2.${host}/24`] },
  ]);

if (requirement('cluster', whyNoCluster())) {
  describe('test cluster', () => {
    const before = machineState();

    let upMs = 0;

    useCluster({ nodes: 2, rails: 2 }, async (ms) => {
      upMs = ms;
      await applyObjects(await findPeers(), [definition('one', 0), definition('two', 1)]);
    });

    test('it is up within a minute once its programs are built', () => {
      expect(upMs).toBeGreaterThan(0);
      expect(upMs).toBeLessThan(UP_MS_MAX);
    });

    test('pods on two nodes reach each other over both of their further networks', async () => {
      const state = await readNodeState('n1');
      await createPods([
        { name: 'a', node: 'n1', group: 'pair', networks: networks(1) },
        { name: 'b', node: 'n2', group: 'pair', networks: networks(2) },
      ]);
      const pods = await waitReady('pair', { count: 2, timeoutMs: 30_000 });
      expect(networksOf(pods[0])).toEqual([
        { name: 'default/one', interface: 'net1', ips: ['192.168.1.1'] },
        { name: 'default/two', interface: 'data0', ips: ['192.168.2.1'] },
      ]);
      expect(await pingAll(pods)).toBe(4);
      await deletePods('pair', { timeoutMs: 30_000 });
      await waitForNodeState('n1', state);
    });

    test('a pod reaches the API server at the address of the kubernetes Service', async () => {
      await createPods([{ name: 'caller' }]);
      await waitReady('caller', { count: 1, timeoutMs: 30_000 });
      const script =
        'nc -w 2 $KUBERNETES_SERVICE_HOST $KUBERNETES_SERVICE_PORT </dev/null && echo yes';
      expect(await runInPod('caller', script)).toBe('yes\n');
      await deletePods('caller', { timeoutMs: 30_000 });
    });

    test('a network that does not exist keeps the pod from starting', async () => {
      const state = await readNodeState('n2');
      await createPods([{ name: 'lost', node: 'n2', networks: 'nowhere' }]);
      await waitFor('an event about the sandbox', async () => hasSandboxFailure('lost'), {
        timeoutMs: 30_000,
      });
      await deletePods('lost', { timeoutMs: 30_000 });
      await waitForNodeState('n2', state);
    });

    test('pods survive a restart of containerd and of the kubelet', async () => {
      await createPods([{ name: 'stay', node: 'n1', networks: networks(1) }]);
      const [pod] = await waitReady('stay', { count: 1, timeoutMs: 30_000 });
      await restartService('n1', 'containerd');
      await restartService('n1', 'kubelet');
      // The node stays Ready in the API; that the new kubelet works shows in what it answers.
      const links = await waitFor('a pod that answers', () => runInPod('stay', 'ip -o link'), {
        timeoutMs: 30_000,
      });
      expect(links).toContain('data0');
      expect(networksOf(await readPod('stay'))).toEqual(networksOf(pod));
      await deletePods('stay', { timeoutMs: 30_000 });
    });

    const dies = 'a sandbox that dies without an API server comes back with its networks';
    const withoutApi = async (): Promise<void> => {
      await createPods([{ name: 'again', node: 'n1', networks: networks(1) }]);
      await waitReady('again', { count: 1, timeoutMs: 30_000 });
      await stopService(CONTROL_PLANE, 'apiserver');
      const old = await sandboxOf('n1', 'again');
      await runOn('n1', [...(await ctr()), 'tasks', 'kill', '--signal=SIGKILL', old]);
      const fresh = await waitFor(
        'a new sandbox',
        async () => {
          const id = await sandboxOf('n1', 'again');
          return id !== old && (await linksOf('n1', id)).includes('data0') ? id : undefined;
        },
        { timeoutMs: 60_000, everyMs: 200 },
      );
      await startService(CONTROL_PLANE, 'apiserver');
      await waitReady('again', { count: 1, timeoutMs: 60_000 });
      expect(await linksOf('n1', fresh)).toContain('net1');
      await deletePods('again', { timeoutMs: 30_000 });
    };
    if (requirement(dies, whyNotWithoutApi())) test(dies, withoutApi);

    test('a node comes back from a power cut with its pod', async () => {
      await createPods([{ name: 'cut', node: 'n2', networks: networks(3) }]);
      await waitReady('cut', { count: 1, timeoutMs: 30_000 });
      await stopNode('n2');
      await startNode('n2', { peers: await findPeers(), shape: currentShape() });
      await waitForNodes(['n2']);
      const back = async (): Promise<boolean> =>
        (await runInPod('cut', 'ip -o link show net1')).includes('net1');
      await waitFor('the pod after the power cut', back, { timeoutMs: 60_000, everyMs: 500 });
      await deletePods('cut', { timeoutMs: 60_000 });
      expect(await listPods('cut')).toEqual([]);
    });

    test('who has the turn is not robbed of the cluster by a `down`, unless by force', async () => {
      const machines = runningMachines();
      expect(machines).toHaveLength(3);
      const child = main('down');
      expect(await child.exited).toBe(1);
      expect(await child.stderr.text()).toContain(`process ${process.pid} is at work`);
      expect(runningMachines()).toEqual(machines);
    });

    test('when it is down nothing is left', async () => {
      expect(existsSync(KUBECTL_CACHE)).toBe(true);
      expect(await main('down', '--force').exited).toBe(0);
      expect(leftovers()).toEqual([]);
      expect(machineState()).toEqual(before);
      await clusterDown();
    });
  });

  describe('an `up` that is stopped half way', () => {
    let turn: Disposable | undefined;
    beforeAll(async () => {
      turn = await takeTurn();
    });
    afterAll(() => turn?.[Symbol.dispose]());

    const start = async (step: string): Promise<Bun.Subprocess> => {
      const child = main('up', '--rails=2', '--has-turn');
      for await (const text of child.stdout) {
        if (new TextDecoder().decode(text).includes(step)) break;
      }
      return child;
    };
    const interrupt = async (child: Bun.Subprocess): Promise<void> => {
      child.kill('SIGINT');
      expect(await child.exited).toBe(130);
      expect(leftovers()).toEqual([]);
    };

    for (const step of [BUILT, 'control plane started', 'machines started']) {
      test(`by ^C after '${step}' leaves nothing`, async () => {
        await interrupt(await start(step));
      });
    }

    test('starts nothing more once it is interrupted', async () => {
      const signal = AbortSignal.abort(new Error('interrupted'));
      const shape = { nodes: 1, rails: 0 };
      await expect(clusterUp(shape, { signal })).rejects.toThrow('interrupted');
      const connect = async (): Promise<void> => undefined;
      await expect(startMachine('n1', { peers: '/', connect, signal })).rejects.toThrow(
        'interrupted',
      );
      expect(leftovers()).toEqual([]);
    });

    test('by ^C when a node is about to start leaves nothing', async () => {
      const child = await start('control plane started');
      const disk = (): boolean => existsSync(join(STATE, 'n1'));
      await waitFor('the disk of n1', disk, { timeoutMs: 60_000, everyMs: 1 });
      await interrupt(child);
    });

    // Where starting and removing meet is a matter of milliseconds: another moment in every run.
    const seed = Number(process.env.TEST_SEED ?? Date.now() % 1_000_000);
    test(`by ^C at some moment before the nodes start leaves nothing (seed ${seed})`, async () => {
      const child = await start('control plane started');
      await Bun.sleep(seed % NODES_START_MS);
      await interrupt(child);
    });

    test('by SIGKILL leaves nothing after down', async () => {
      const child = await start('machines started');
      child.kill('SIGKILL');
      await child.exited;
      expect(leftovers()).not.toEqual([]);
      await clusterDown();
      expect(leftovers()).toEqual([]);
    });
  });
}

async function hasSandboxFailure(pod: string): Promise<boolean> {
  const path = `/api/v1/namespaces/default/events?fieldSelector=involvedObject.name%3D${pod}`;
  const reply = await callApi(adminAccess(), { path });
  return JSON.stringify(reply.body).includes('FailedCreatePodSandBox');
}

async function ctr(): Promise<string[]> {
  return [(await findPeers()).inside('ctr'), '--namespace=k8s.io'];
}

/** Container ID of the newest sandbox of a pod. */
async function sandboxOf(node: string, pod: string): Promise<string> {
  const output = await runOn(node, ['sh', '-c', 'ls -t /var/lib/cni/results | grep -- -eth0']);
  const ids = [...output.matchAll(/^test-meta-([0-9a-f]{64})-eth0$/gm)].map((match) => match[1]);
  for (const id of ids) {
    if (id === undefined) continue;
    const cache = await runOn(node, ['cat', `/var/lib/cni/results/test-meta-${id}-eth0`]);
    if (cache.includes(`"${pod}"`)) return id;
  }
  throw new Error(`no sandbox of ${pod} on ${node}`);
}

/** Names of the interfaces inside a sandbox. */
async function linksOf(node: string, sandbox: string): Promise<string[]> {
  const output = await runOn(node, ['cat', `/var/lib/cni/results/test-meta-${sandbox}-eth0`]);
  const cache: unknown = JSON.parse(output);
  const netns = typeof cache === 'object' && cache !== null ? Reflect.get(cache, 'netns') : '';
  const links = await runOn(node, [
    'nsenter',
    `--net=${String(netns)}`,
    'ip',
    '-o',
    'link',
    'show',
  ]);
  return [...links.matchAll(/^\d+: ([^:@]+)/gm)].map((match) => match[1] ?? '');
}
