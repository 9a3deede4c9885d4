// What is taken away with a network or a host: only on a proof that is of now, and of this one.
import { describe, expect, setDefaultTimeout, test } from 'bun:test';
import { formatWorkKey } from '../../src/controller/watch/keys.ts';
import { LEDGER_NAME_PREFIX } from '../../src/shared/model/names.ts';
import * as kinds from '../../src/shared/platform/kube/resource.ts';
import { eventually } from '../helpers/eventually.ts';
import { type Lab, NAMESPACE, startLab, toSpec } from './harness.ts';
import { addPool } from './pools.ts';

setDefaultTimeout(120_000);

const A = '10.1.0.0/16';
const POOL = { name: 'net-192.168.0.0-24', network: 'net', host: 'node-0' };
const LEDGER = { name: `${LEDGER_NAME_PREFIX}net`, namespace: NAMESPACE };
const userAgent = 'controller';

async function setPods(lab: Lab, ...pods: string[]): Promise<void> {
  const allocations = pods.map((pod, index) => ({
    pod,
    namespace: 'default',
    index: index + 1,
    address: `192.168.0.${index + 1}`,
  }));
  const patch = { type: 'merge', body: { spec: { allocations } } } as const;
  await lab.client.patch(kinds.IP_POOLS, { name: POOL.name }, patch);
}

describe('a network', () => {
  test('is not proven to be drained by a status from before its end', async () => {
    await using embedded = await startLab();
    const { lab } = embedded;
    // Without a definition in any namespace, for its end would be the first to be written.
    const first = await lab.serve(A, toSpec({ namespaces: ['nowhere'] }));
    await first.stop();
    await lab.setDaemonReady('node-0', false);
    // As a backup of a network that was being deleted would bring it back.
    const { status } = await lab.network('net');
    const drained = {
      type: 'Drained',
      status: 'False',
      reason: 'RemovingPools',
      message: '1 pools are being removed',
      lastTransitionTime: '2026-01-01T00:00:00Z',
      observedGeneration: 1,
    };
    const body = { status: { conditions: [...(status?.conditions ?? []), drained] } };
    const key = { name: 'net' };
    const patch = { type: 'merge', subresource: 'status', body } as const;
    await lab.client.patch(kinds.MULTI_NIC_NETWORKS, key, patch);
    await lab.client.delete(kinds.MULTI_NIC_NETWORKS, key);
    await lab.startController();
    const { message } = await lab.untilCondition('net', 'Drained', 'False', 'PoolsMissing');
    expect(message).toContain('node-0');
  });

  test('is waited for after its indices were withdrawn, whatever else was lost', async () => {
    await using embedded = await startLab();
    const { lab } = embedded;
    const first = await lab.serve(A);
    await addPool(lab, { ...POOL, pods: ['job-1'] });
    await first.stop();
    const { running } = await lab.startController({ settleMs: 60_000 });
    await lab.client.delete(kinds.MULTI_NIC_NETWORKS, { name: 'net' });
    await lab.untilCondition('net', 'Drained', 'False', 'PodsHoldAddresses');
    await lab.client.delete(kinds.CONFIG_MAPS, LEDGER);
    await lab.client.delete(kinds.CIDRS, { name: 'net' });
    await eventually('nothing says any more what was given', () => {
      return running.world.given('net') === undefined;
    });
    await setPods(lab);
    await lab.untilCondition('net', 'Drained', 'False', 'Withdrawing');
    await running.queue.idle();
    await setPods(lab, 'job-2'); // it was given its address just before
    const { message } = await lab.untilCondition('net', 'Drained', 'False', 'PodsHoldAddresses');
    expect(message).toContain('default/job-2');
  });

  /** The network vanishes without its finalizer while no controller is there. */
  async function vanish(lab: Lab): Promise<void> {
    const first = await lab.serve(A);
    await first.stop();
    const patch = { type: 'merge', body: { metadata: { finalizers: [] } } } as const;
    await lab.client.patch(kinds.MULTI_NIC_NETWORKS, { name: 'net' }, patch);
    await lab.client.delete(kinds.MULTI_NIC_NETWORKS, { name: 'net' });
  }

  test('that vanished is cleaned up when its daemons have been silent for long enough', async () => {
    await using embedded = await startLab();
    const { lab, server } = embedded;
    await vanish(lab);
    await lab.startController();
    await eventually('nothing is left', () => server.objects('configmaps').length === 0);
    expect(await lab.indices('node-0', 'net')).toEqual({});
  });

  test('that vanished with the records of its hosts is remembered by its ledger', async () => {
    await using embedded = await startLab();
    const { lab, server } = embedded;
    await vanish(lab);
    await lab.setDaemonReady('node-0', false);
    await lab.client.delete(kinds.HOST_INTERFACES, { name: 'node-0' });
    await lab.client.delete(kinds.CIDRS, { name: 'net' });
    const { running } = await lab.startController();
    await eventually('the controller waits for a daemon', () => {
      return lab.log.some((line) => line.includes('no pools are published of 1 of 1 hosts'));
    });
    expect(server.objects('configmaps')).toHaveLength(1);
    await lab.setDaemonReady('node-0', true);
    await eventually('it is ready', () => running.world.daemonNodes()?.has('node-0'));
    running.queue.add(formatWorkKey('network', 'net'));
    await eventually('nothing is left', () => server.objects('configmaps').length === 0);
  });
});

describe('a host', () => {
  test('whose Node comes back while its HostInterface is asked for keeps its pools', async () => {
    await using embedded = await startLab();
    const { lab, server } = embedded;
    const { running } = await lab.serve(A);
    await addPool(lab, { ...POOL, pods: ['job-1'] });
    await eventually('it is known', () => running.world.pools.ofHost('node-0').length === 1);
    using asked = server.faults.add({
      action: 'delay',
      delayMs: 1_000,
      times: 1,
      match: { method: 'GET', plural: 'hostinterfaces', name: 'node-0', userAgent },
    });
    await lab.removeNode('node-0');
    await eventually('it asks', () => asked.hits === 1);
    await lab.client.create(kinds.NODES, { metadata: { name: 'node-0' } });
    await eventually('it heard', () => running.world.hasNode('node-0'));
    await running.queue.idle();
    expect(server.objects('ippools')).toHaveLength(1);
    expect([...running.world.gone().keys()]).toEqual([]);
  });

  test('whose Node was there in between is absent only since then', async () => {
    await using embedded = await startLab();
    const { lab, server } = embedded;
    const graceMs = 1_500;
    await lab.addHost('node-0', A);
    const { running } = await lab.startController({ graceMs });
    await eventually('it is served', async () => (await lab.host('node-0')).status !== undefined);
    // The first look begins the grace, the second one is at its end.
    using asked = server.faults.add({
      action: 'delay',
      delayMs: 1_000,
      skip: 1,
      times: 1,
      match: { method: 'GET', plural: 'nodes', name: 'node-0', userAgent },
    });
    await lab.removeNode('node-0');
    await eventually('it asks again', () => asked.hits === 1);
    await lab.client.create(kinds.NODES, { metadata: { name: 'node-0' } });
    await eventually('it is there', () => running.world.hasNode('node-0'));
    await lab.client.delete(kinds.NODES, { name: 'node-0' });
    const sinceMs = performance.now();
    await eventually('it is away', () => !running.world.hasNode('node-0'));
    await eventually('it is given up', () => server.objects('hostinterfaces').length === 0);
    expect(performance.now() - sinceMs).toBeGreaterThanOrEqual(graceMs);
  });
});
