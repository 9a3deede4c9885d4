// What `kubectl get` says of networks and of the Config when daemons are not ready.
import { describe, expect, setDefaultTimeout, test } from 'bun:test';
import type { MultiNicNetworkStatus } from '../../src/shared/model/objects/multi-nic-network.ts';
import * as kinds from '../../src/shared/platform/kube/resource.ts';
import { eventually } from '../helpers/eventually.ts';
import { type Lab, NAMESPACE, startLab, toHostInterface, toSpec } from './harness.ts';

setDefaultTimeout(120_000);

const A = '10.1.0.0/16';
/** Longer than any test: a restart is never over. */
const FOR_EVER = 3_600_000;

async function untilDaemons(lab: Lab, daemons: string): Promise<MultiNicNetworkStatus> {
  return await eventually(`DAEMONS ${daemons}`, async () => {
    const { status } = await lab.network('net');
    return status?.daemons === daemons ? status : undefined;
  });
}

const conditionOf = (status: MultiNicNetworkStatus | undefined, type: string) =>
  status?.conditions?.find((one) => one.type === type);

/** Two hosts with a ready daemon each, and a network over them that is ready. */
async function serveTwo(lab: Lab, daemonGraceMs: number) {
  await lab.addHost('node-0', A);
  await lab.addHost('node-1', A);
  await lab.addNetwork('net', toSpec());
  const controller = await lab.startController({ daemonGraceMs });
  await lab.untilCondition('net', 'Ready', 'True');
  await untilDaemons(lab, '2/2');
  return controller;
}

async function setBoth(lab: Lab, isReady: boolean): Promise<void> {
  for (const name of ['node-0', 'node-1']) await lab.setDaemonReady(name, isReady);
}

describe('a network', () => {
  test('without a daemon is not ready, however well it is set up', async () => {
    await using embedded = await startLab();
    const { lab } = embedded;
    await lab.client.create(kinds.NODES, { metadata: { name: 'node-0' } });
    await lab.client.create(kinds.HOST_INTERFACES, toHostInterface('node-0', [A]));
    await lab.addNetwork('net', toSpec());
    await lab.startController();
    const { message } = await lab.untilCondition('net', 'Ready', 'False', 'WaitingForDaemons');
    expect(message).toContain('no daemon is ready on node-0');
    expect(await untilDaemons(lab, '0/1')).toMatchObject({ configStatus: 'Success' });
    await lab.addDaemonPod('node-0');
    await lab.untilCondition('net', 'Ready', 'True');
    await untilDaemons(lab, '1/1');
  });

  test('whose daemons are gone for longer than a restart is not ready, nor are its routes', async () => {
    await using embedded = await startLab();
    const { lab } = embedded;
    await serveTwo(lab, 200);
    for (const name of ['node-0', 'node-1']) {
      const conditions = [{ type: 'RoutesReady', status: 'True', reason: 'Test', message: '' }].map(
        (one) => ({ ...one, lastTransitionTime: '2026-01-01T00:00:00Z' }),
      );
      const patch = {
        type: 'merge',
        subresource: 'status',
        body: { status: { conditions } },
      } as const;
      await lab.client.patch(kinds.HOST_INTERFACES, { name }, patch);
    }
    await eventually(
      'routes',
      async () => (await lab.network('net')).status?.routeStatus === 'Success',
    );
    await setBoth(lab, false);
    const { message } = await lab.untilCondition('net', 'Ready', 'False', 'NoDaemon');
    expect(message).toContain('node-0, node-1');
    expect((await lab.network('net')).status).toMatchObject({
      configStatus: 'Success', // as the original means it: the network is set up
      routeStatus: 'Unknown',
      daemons: '0/2',
      discovery: { existDaemon: 0 },
    });
    await setBoth(lab, true);
    await lab.untilCondition('net', 'Ready', 'True');
    expect((await untilDaemons(lab, '2/2')).routeStatus).toBe('Success');
  });

  test('stays ready while all its daemons restart at once', async () => {
    await using embedded = await startLab();
    const { lab } = embedded;
    await serveTwo(lab, FOR_EVER);
    const before = conditionOf((await lab.network('net')).status, 'Ready');
    await setBoth(lab, false);
    const during = await untilDaemons(lab, '0/2');
    expect(conditionOf(during, 'DaemonsReady')).toMatchObject({
      status: 'True',
      reason: 'Restarting',
    });
    expect(conditionOf(during, 'Ready')).toEqual(before);
    await setBoth(lab, true);
    expect(conditionOf(await untilDaemons(lab, '2/2'), 'Ready')).toEqual(before);
    const { items } = await lab.client.list(kinds.EVENTS, { namespace: 'default' });
    expect(items).toEqual([]);
  });

  test('stays ready where one of its hosts has no daemon, and names it', async () => {
    await using embedded = await startLab();
    const { lab } = embedded;
    await serveTwo(lab, 0);
    await lab.setDaemonReady('node-1', false);
    const status = await untilDaemons(lab, '1/2');
    expect(conditionOf(status, 'Ready')?.status).toBe('True');
    const daemons = conditionOf(status, 'DaemonsReady');
    expect(daemons?.reason).toBe('SomeMissing');
    expect(daemons?.message).toContain('node-1');
    expect(daemons?.message).not.toContain('node-0');
  });

  test('keeps what was said of its daemons until a new leader has listed them', async () => {
    await using embedded = await startLab();
    const { lab, server } = embedded;
    const first = await serveTwo(lab, 0);
    await first.stop();
    const hang = server.faults.add({ action: 'hang', match: { plural: 'pods' } });
    const { running } = await lab.startController({ daemonGraceMs: 0 });
    await running.world.restored();
    await lab.addNamespace('new'); // something to write
    await eventually('a status of the new leader', async () =>
      conditionOf((await lab.network('net')).status, 'NadsReady')?.message.startsWith(
        `${server.objects('namespaces').length} namespaces`,
      ),
    );
    expect(hang.hits).toBeGreaterThan(0);
    expect((await lab.network('net')).status).toMatchObject({
      daemons: '2/2',
      discovery: { existDaemon: 2 },
    });
    await lab.untilCondition('net', 'Ready', 'True');
  });

  test('is written a few times, not once per pod, while the daemons of many hosts are rolled', async () => {
    await using embedded = await startLab();
    const { lab, server } = embedded;
    const names = Array.from({ length: 60 }, (_, index) => `node-${index}`);
    for (const name of names) await lab.addHost(name, A);
    await lab.addNetwork('net', toSpec());
    await lab.startController({ statusBatchMs: 0 }); // what remains is the time per daemon
    await lab.untilCondition('net', 'Ready', 'True');
    await untilDaemons(lab, '60/60');
    const from = server.seen.length;
    const startMs = performance.now();
    for (const name of names) {
      await lab.setDaemonReady(name, false);
      await lab.setDaemonReady(name, true);
    }
    const tookMs = performance.now() - startMs;
    await lab.setDaemonReady('node-7', false);
    await untilDaemons(lab, '59/60');
    const writes = server.seen
      .slice(from)
      .filter(({ plural, method }) => plural === 'multinicnetworks' && method === 'PATCH');
    expect(writes.length).toBeGreaterThan(0);
    expect(writes.length).toBeLessThanOrEqual(Math.ceil(tookMs / (60 * 5)) + 2);
  });

  test('is not counted again at once because its own last write is told', async () => {
    await using embedded = await startLab();
    const { lab, server } = embedded;
    const statusBatchMs = 1_000;
    for (const name of ['node-0', 'node-1']) await lab.addHost(name, A);
    await lab.addNetwork('net', toSpec());
    await lab.startController({ statusBatchMs });
    await lab.untilCondition('net', 'Ready', 'True');
    await untilDaemons(lab, '2/2');
    // With this all that the start brought about is over.
    await lab.setDaemonReady('node-1', false);
    await untilDaemons(lab, '1/2');
    await lab.setDaemonReady('node-1', true);
    await untilDaemons(lab, '2/2');
    const writtenMs: number[] = [];
    server.faults.add({
      action: 'delay',
      delayMs: 200, // another pod changes meanwhile
      match: ({ method, kind }) => {
        const isWrite = method === 'PATCH' && kind?.plural === 'multinicnetworks';
        if (isWrite) writtenMs.push(performance.now());
        return isWrite;
      },
    });
    await lab.setDaemonReady('node-0', false);
    await eventually('a first write', () => writtenMs.length === 1);
    await lab.setDaemonReady('node-0', true);
    const [one = 0, other = 0] = await eventually('a second write', () =>
      writtenMs.length === 2 ? writtenMs : undefined,
    );
    expect(other - one).toBeGreaterThan(statusBatchMs * 0.9); // timers are exact to a ms or so
  });
});

test('the Config counts the nodes that should have a daemon and those that do', async () => {
  await using embedded = await startLab();
  const { lab, server } = embedded;
  await lab.startController();
  const key = { name: 'multi-nicd', namespace: NAMESPACE };
  await eventually('the DaemonSet', () => lab.client.get(kinds.DAEMON_SETS, key));
  const setCounts = async (desired: number, ready: number): Promise<void> => {
    const status = { desiredNumberScheduled: desired, numberReady: ready };
    const patch = { type: 'merge', subresource: 'status', body: { status } } as const;
    await lab.client.patch(kinds.DAEMON_SETS, key, patch);
    await eventually(`${ready} of ${desired}`, async () => {
      const config = await lab.client.get(kinds.DAEMON_CONFIGS, { name: 'multi-nicd' });
      return config?.status?.desired === desired && config.status.ready === ready;
    });
  };
  await setCounts(3, 0);
  await setCounts(3, 2);
  const applies = server.seen.filter(
    ({ plural, method }) => plural === 'daemonsets' && method === 'PATCH',
  );
  expect(applies.filter(({ userAgent }) => userAgent === 'controller')).toHaveLength(1);
});
