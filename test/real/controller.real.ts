// The controller on a real kube-apiserver and etcd: installed by its manifests, with the rights of
// its account, through takeover, restarts and an API server that goes away.
import { afterAll, describe, expect, test } from 'bun:test';
import { API_VERSION } from '../../src/shared/model/names.ts';
import { ROUTES_CONDITION } from '../../src/shared/model/objects/host-interface.ts';
import { systemClock } from '../../src/shared/platform/clock.ts';
import { createKubeClient, type KubeClient } from '../../src/shared/platform/kube/client.ts';
import { EventRecorder } from '../../src/shared/platform/kube/event-recorder.ts';
import * as kinds from '../../src/shared/platform/kube/resource.ts';
import { createLogger } from '../../src/shared/platform/log.ts';
import { type Lab, NAMESPACE, toHostInterface, toSpec } from '../controller/harness.ts';
import { DEPLOY, RealCluster } from '../controller/real-lab.ts';
import { readState, type StateName, seedAll, seedInput } from '../controller/states.ts';
import { eventually } from '../helpers/eventually.ts';
import { requirement } from '../helpers/requirement.ts';
import { type ControlPlaneBinaries, findControlPlane } from '../peers/control-plane.ts';

const A = '10.1.0.0/16';
const B = '10.2.0.0/16';
const binaries = await findControlPlane();
const reason = typeof binaries === 'string' ? binaries : undefined;
const kubectl = typeof binaries === 'string' ? undefined : binaries.kubectl;
const noKubectl = kubectl === undefined ? 'no kubectl' : undefined;

if (requirement('real-controller', reason ?? noKubectl)) {
  if (typeof binaries === 'string' || kubectl === undefined) throw new Error('checked above');
  await describeController(binaries, kubectl);
}

async function describeController(
  programs: ControlPlaneBinaries,
  kubectlPath: string,
): Promise<void> {
  const cluster = await RealCluster.start(programs);
  afterAll(async () => {
    await cluster[Symbol.asyncDispose]();
  });

  test('kubectl apply -f deploy/ succeeds the first time, and again without a change', async () => {
    const apply = (): { code: number; text: string } => {
      const command = [
        kubectlPath,
        '--kubeconfig',
        cluster.plane.kubeconfigPath,
        'apply',
        '-f',
        DEPLOY,
      ];
      const env = {
        ...process.env,
        KUBECACHEDIR: `${cluster.plane.kubeconfigPath}.cache`,
      };
      const { exitCode, stdout, stderr } = Bun.spawnSync(command, { env, timeout: 60_000 });
      return { code: exitCode, text: `${stdout}${stderr}` };
    };
    const first = apply();
    expect(first.text).not.toMatch(/error|warning/i);
    expect(first.code).toBe(0);
    await cluster.untilEstablished();
    const second = apply();
    expect(second.code).toBe(0);
    expect(second.text.split('\n').filter((line) => / (created|configured)$/.test(line))).toEqual(
      [],
    );
  });

  describeRights(cluster);
  describeTakeover(cluster);
  describeLife(cluster);
}

function describeRights(cluster: RealCluster): void {
  test("the controller's account may do all that the controller does", async () => {
    await using lab = await cluster.lab(await cluster.tokenOf('multi-nic-controller'));
    await lab.addHost('node-0', A, B);
    await lab.addHost('node-1', A, B);
    await lab.startController();
    await lab.addNetwork('net', toSpec());
    await lab.untilCondition('net', 'Ready', 'True');
    await eventually('the DaemonSet is there', () =>
      lab.client.get(kinds.DAEMON_SETS, { name: 'multi-nicd', namespace: NAMESPACE }),
    );
    await lab.removeNode('node-1');
    await eventually('the host interface is gone', async () => {
      return (await lab.client.get(kinds.HOST_INTERFACES, { name: 'node-1' })) === undefined;
    });
    await lab.client.delete(kinds.MULTI_NIC_NETWORKS, { name: 'net' });
    await eventually('the network is gone', async () => {
      return (await lab.client.get(kinds.MULTI_NIC_NETWORKS, { name: 'net' })) === undefined;
    });
    expect(lab.log.filter((line) => /forbidden|"level":"error"/.test(line))).toEqual([]);
  });

  test('both accounts may say on pods and networks what is refused', async () => {
    await using lab = await cluster.lab();
    await lab.client.create(kinds.NODES, { metadata: { name: 'node-0' } });
    const stopper = new AbortController();
    const log = createLogger({ component: 'test', level: 'debug', write: () => undefined });
    for (const account of ['multi-nic-controller', 'multi-nicd']) {
      const client = createKubeClient(await cluster.tokenOf(account, 'node-0'));
      const source = { component: account, host: 'node-0' };
      const { signal } = stopper;
      const events = new EventRecorder({ client, clock: systemClock, log, source, signal });
      const note = { type: 'Warning', reason: 'Test', message: 'a test' } as const;
      const network = { apiVersion: 'multinic.fms.io/v1', kind: 'MultiNicNetwork', name: 'net' };
      const pod = { apiVersion: 'v1', kind: 'Pod', name: 'web', namespace: NAMESPACE };
      for (const about of [network, pod]) events.record({ ...note, about: { ...about, uid: 'u' } });
      await events.idle();
      expect(events.counts).toEqual({ written: 2, repeated: 0, dropped: 0 });
    }
    stopper.abort(new Error('the test is over'));
  });

  test("a daemon's account writes what is of its node and nothing else", async () => {
    await using lab = await cluster.lab();
    for (const name of ['node-0', 'node-1'])
      await lab.client.create(kinds.NODES, { metadata: { name } });
    const daemon = createKubeClient(await cluster.tokenOf('multi-nicd', 'node-0'));
    const pool = (name: string, hostName: string) => ({
      metadata: { name, labels: { hostname: hostName, netname: 'net' } },
      spec: {
        podCIDR: '192.168.0.0/24',
        vlanCIDR: '192.168.0.0/18',
        netAttachDef: 'net',
        hostName,
        interfaceName: 'eth1',
        excludes: [],
        allocations: [],
      },
    });
    await eventually(
      'the boundary is in force',
      async () => {
        const refused = daemon.create(kinds.HOST_INTERFACES, toHostInterface('node-1', [A]));
        await refused.then(
          async () => await lab.client.delete(kinds.HOST_INTERFACES, { name: 'node-1' }),
          () => undefined,
        );
        return await refused.then(
          () => false,
          (error: unknown) => /may not write an object of node-1/.test(String(error)),
        );
      },
      60_000,
    );
    await daemon.create(kinds.HOST_INTERFACES, toHostInterface('node-0', [A]));
    await daemon.create(kinds.IP_POOLS, pool('net-own', 'node-0'));
    await lab.client.create(kinds.IP_POOLS, pool('net-other', 'node-1'));
    await lab.client.create(kinds.HOST_INTERFACES, toHostInterface('node-1', [A]));
    const mine = { type: 'merge', body: { spec: { hostName: 'node-0' } } } as const;
    expect(daemon.patch(kinds.IP_POOLS, { name: 'net-other' }, mine)).rejects.toThrow('take over');
    expect(daemon.delete(kinds.IP_POOLS, { name: 'net-other' })).rejects.toThrow('node-1');
    const counts = {
      type: 'merge',
      subresource: 'status',
      body: { status: { occupied: 1 } },
    } as const;
    const own = await daemon.patch(kinds.IP_POOLS, { name: 'net-own' }, counts);
    expect(own.status).toEqual({ occupied: 1 });
    const others = daemon.patch(kinds.IP_POOLS, { name: 'net-other' }, counts);
    await expect(others).rejects.toThrow('node-1');
    expect(daemon.patch(kinds.HOST_INTERFACES, { name: 'node-1' }, mine)).rejects.toThrow('node-1');
    await describeStatusRights(lab.client, daemon);
    expect(daemon.list(kinds.SECRETS, { namespace: NAMESPACE })).rejects.toThrow('forbidden');
    expect(daemon.list(kinds.CONFIG_MAPS, { namespace: NAMESPACE })).rejects.toThrow('forbidden');
    expect(await daemon.delete(kinds.IP_POOLS, { name: 'net-own' })).toBe('deleted');
    const elsewhere = await cluster.createAs('system:serviceaccount:elsewhere:multi-nicd', {
      node: 'node-0',
      path: '/apis/multinic.fms.io/v1/ippools',
      body: { apiVersion: API_VERSION, kind: 'IPPool', ...pool('net-third', 'node-1') },
    });
    expect(elsewhere).toContain('may not write an object of node-1');
    const unbound = createKubeClient(await cluster.tokenOf('multi-nicd'));
    expect(unbound.create(kinds.IP_POOLS, pool('net-own', 'node-0'))).rejects.toThrow(
      'names no node',
    );
  });
}

/** Of the status of a host its daemon may change the report of routes, and nothing of another. */
async function describeStatusRights(admin: KubeClient, daemon: KubeClient): Promise<void> {
  const merge = (status: object) =>
    ({ type: 'merge', subresource: 'status', body: { status } }) as const;
  const given = (hostIndex: number) => ({
    networks: [{ name: 'net', uid: 'uid', indices: [{ netAddress: A, hostIndex }] }],
  });
  const report = () => {
    const condition = {
      type: ROUTES_CONDITION,
      status: 'True',
      reason: 'AsPlanned',
      message: '',
      lastTransitionTime: '2026-01-01T00:00:00Z',
    };
    const body = { status: { conditions: [condition] } };
    const apply = { type: 'apply', subresource: 'status', fieldManager: 'multi-nicd' } as const;
    return { ...apply, force: true, body };
  };
  const own = { name: 'node-0' };
  await daemon.patch(kinds.HOST_INTERFACES, own, report()); // before there are indices
  await admin.patch(kinds.HOST_INTERFACES, own, merge(given(3)));
  const stored = await daemon.patch(kinds.HOST_INTERFACES, own, report());
  expect(stored.status).toMatchObject({ ...given(3), conditions: [{ type: ROUTES_CONDITION }] });
  for (const networks of [[], null, given(4).networks]) {
    const change = daemon.patch(kinds.HOST_INTERFACES, own, merge({ networks }));
    await expect(change).rejects.toThrow('may not change the indices');
  }
  const other = daemon.patch(kinds.HOST_INTERFACES, { name: 'node-1' }, report());
  await expect(other).rejects.toThrow('may not write an object of node-1');
  const after = await admin.get(kinds.HOST_INTERFACES, own);
  expect(after?.status).toMatchObject(given(3));
}

function describeTakeover(cluster: RealCluster): void {
  const states: readonly (readonly [StateName, string])[] = [
    ['01-ipvlan-l3', 'l3net'],
    ['02-macvlan-excludes', 'macex'],
    ['03-host-subnet', 'hostnet'],
  ];
  describe.each([...states])('state %s', (state, network) => {
    const snapshot = async (lab: Lab): Promise<string> => {
      const kindsKept = [kinds.CIDRS, kinds.IP_POOLS, kinds.NET_ATTACH_DEFS];
      const lists = kindsKept.map((kind) => lab.client.list({ ...kind, parse: kinds.parseNamed }));
      return JSON.stringify((await Promise.all(lists)).map(({ items }) => items));
    };

    test('takeover writes no CIDR, no pool and no definition', async () => {
      await using lab = await cluster.lab();
      await seedAll(lab, state);
      const before = await snapshot(lab);
      await lab.startController();
      await lab.untilCondition(network, 'Ready', 'True');
      expect(await snapshot(lab)).toBe(before);
      const [stored] = readState(state, 'cidrs');
      expect((await lab.cidr(network))?.spec).toEqual(Object(stored).spec);
    });

    test('from the same input the network gets ready', async () => {
      await using lab = await cluster.lab();
      await seedInput(lab, state);
      await lab.startController();
      await lab.untilCondition(network, 'Ready', 'True');
    });
  });
}

function describeLife(cluster: RealCluster): void {
  test("the original's DaemonSet is taken over and keeps nothing that no Config says", async () => {
    await using lab = await cluster.lab();
    const [config] = readState('01-ipvlan-l3', 'configs');
    const [daemonSet] = readState('01-ipvlan-l3', 'daemonsets');
    const key = { name: 'multi-nicd', namespace: NAMESPACE };
    const spec = Object(config).spec;
    const daemon = { ...spec.daemon, image: 'example/daemon:ours' };
    await lab.client.create(kinds.DAEMON_CONFIGS, {
      metadata: { name: key.name },
      spec: { ...spec, daemon },
    });
    await lab.client.create(kinds.DAEMON_SETS, { metadata: key, spec: Object(daemonSet).spec });
    await lab.startController();
    const container = async () => {
      const stored = await lab.client.get(kinds.DAEMON_SETS, key);
      return stored?.spec?.template.spec?.containers[0];
    };
    await eventually('our program', async () => {
      return (await container())?.command?.[0] === '/usr/local/bin/multi-nicd';
    });
    expect((await container())?.securityContext).toEqual({ privileged: true }); // as that Config says
    const body = { spec: { daemon: { securityContext: null, mounts: [] } } };
    await lab.client.patch(kinds.DAEMON_CONFIGS, { name: key.name }, { type: 'merge', body });
    await eventually('capabilities', async () => {
      return (await container())?.securityContext?.capabilities !== undefined;
    });
    expect((await container())?.securityContext).not.toHaveProperty('privileged');
    const names = (await container())?.volumeMounts?.map(({ name }) => name);
    expect(names).toEqual(['netns', 'run', 'state']);
  });

  test('a definition deleted by hand comes back, and one appears in a new namespace', async () => {
    await using lab = await cluster.lab();
    await lab.addHost('node-0', A);
    await lab.addNetwork('net', toSpec());
    await lab.startController();
    await lab.untilCondition('net', 'Ready', 'True');
    const key = { name: 'net', namespace: 'default' };
    const before = await lab.client.get(kinds.NET_ATTACH_DEFS, key);
    await lab.client.delete(kinds.NET_ATTACH_DEFS, key);
    await eventually('it is back', async () => {
      const { metadata } = (await lab.client.get(kinds.NET_ATTACH_DEFS, key)) ?? {};
      return metadata !== undefined && metadata.uid !== before?.metadata.uid;
    });
    const namespace = `late-${Date.now()}`;
    await lab.addNamespace(namespace);
    await eventually('a definition there', () =>
      lab.client.get(kinds.NET_ATTACH_DEFS, { name: 'net', namespace }),
    );
  });

  test('indices stay through a restart, an absent API server and hosts that leave', async () => {
    await using lab = await cluster.lab();
    const names = Array.from({ length: 6 }, (_, index) => `node-${index}`);
    for (const name of names) await lab.addHost(name, A, B);
    await lab.addNetwork('net', toSpec());
    const first = await lab.startController();
    for (const name of names) await lab.untilIndices(name, 'net', 2);
    const before = await Promise.all(names.map((name) => lab.indices(name, 'net')));
    await first.stop();
    await lab.startController();
    await cluster.plane.stopApiServer();
    await cluster.plane.startApiServer();
    await lab.removeNode('node-5');
    await eventually(
      'its host interface is gone',
      async () => {
        return (await lab.client.get(kinds.HOST_INTERFACES, { name: 'node-5' })) === undefined;
      },
      60_000,
    );
    await lab.addHost('node-6', A, B);
    await lab.untilIndices('node-6', 'net', 2);
    const left = names.slice(0, 5);
    const after = await Promise.all(left.map((name) => lab.indices(name, 'net')));
    expect(after).toEqual(before.slice(0, 5));
  });

  test('two processes share one lease; when the leader is killed the other goes on', async () => {
    await using lab = await cluster.lab();
    const start = (): Bun.Subprocess =>
      Bun.spawn([process.execPath, 'src/controller/main.ts'], {
        cwd: `${import.meta.dir}/../..`,
        env: {
          PATH: '/usr/bin:/bin',
          KUBECONFIG_FILE: cluster.plane.kubeconfigPath,
          OPERATOR_NAMESPACE: NAMESPACE,
          HEALTH_PORT: '0',
        },
        stdio: ['ignore', 'ignore', 'ignore'],
      });
    const first = start();
    const lease = { name: 'multi-nic-controller', namespace: NAMESPACE };
    const holder = async (): Promise<string | undefined> =>
      (await lab.client.get(kinds.LEASES, lease))?.spec?.holderIdentity || undefined;
    const leader = await eventually('somebody leads', holder, 60_000);
    const second = start();
    try {
      await lab.addHost('node-0', A);
      await lab.addNetwork('net', toSpec());
      await lab.untilCondition('net', 'Ready', 'True');
      first.kill('SIGKILL');
      await lab.addHost('node-1', A);
      await eventually('the other leads', async () => (await holder()) !== leader, 90_000);
      expect(await lab.untilIndices('node-1', 'net', 1)).toEqual({ [A]: 1 });
    } finally {
      first.kill('SIGKILL');
      second.kill('SIGTERM');
    }
    expect(await second.exited).toBe(0);
    expect(await holder()).toBeUndefined(); // given back at once
  });
}
