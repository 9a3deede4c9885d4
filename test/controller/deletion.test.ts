// Networks that go, and claims that nobody published, end to end against the embedded API server.
import { describe, expect, test } from 'bun:test';
import {
  CIDR_FINALIZER,
  IP_POOL_FINALIZER,
  LEDGER_NAME_PREFIX,
} from '../../src/shared/model/names.ts';
import * as kinds from '../../src/shared/platform/kube/resource.ts';
import { NAD_CRD } from '../helpers/crds.ts';
import { eventually } from '../helpers/eventually.ts';
import { type Lab, NAMESPACE, startLab, toSpec } from './harness.ts';
import { addPool } from './pools.ts';

const A = '10.1.0.0/16';

async function ledgerBits(lab: Lab, network: string): Promise<string> {
  const name = `${LEDGER_NAME_PREFIX}${network}`;
  const ledger = await lab.client.get(kinds.CONFIG_MAPS, { name, namespace: NAMESPACE });
  return JSON.stringify(ledger?.data);
}

describe('deletion of a network', () => {
  test('takes everything away, finalizers of the original included', async () => {
    await using embedded = await startLab();
    const { lab, server } = embedded;
    await lab.serve(A);
    await addPool(lab, { name: 'net-192.168.0.0-24', network: 'net', host: 'node-0' });
    const keep = async (resource: kinds.Resource<unknown>, name: string, finalizer: string) => {
      const body = { metadata: { finalizers: [finalizer] } };
      await lab.client.patch(resource, { name }, { type: 'merge', body });
    };
    await keep(kinds.CIDRS, 'net', CIDR_FINALIZER);
    await keep(kinds.IP_POOLS, 'net-192.168.0.0-24', IP_POOL_FINALIZER);
    await lab.client.delete(kinds.MULTI_NIC_NETWORKS, { name: 'net' });
    await eventually('the network is gone', () => server.objects('multinicnetworks').length === 0);
    for (const plural of ['cidrs', 'ippools', 'network-attachment-definitions', 'configmaps']) {
      expect(server.objects(plural)).toEqual([]);
    }
    expect((await lab.host('node-0')).status?.networks).toEqual([]);
  });

  test('waits for pods that hold addresses and names them', async () => {
    await using embedded = await startLab();
    const { lab, server } = embedded;
    await lab.serve(A);
    const name = 'net-192.168.0.0-24';
    await addPool(lab, { name, network: 'net', host: 'node-0', pods: ['job-1', 'job-2'] });
    await lab.client.delete(kinds.MULTI_NIC_NETWORKS, { name: 'net' });
    const { message } = await lab.untilCondition('net', 'Drained', 'False', 'PodsHoldAddresses');
    expect(message).toContain('default/job-1, default/job-2');
    const definitions = () => server.objects('network-attachment-definitions');
    await eventually('no new pods are let in', () => definitions().length === 0);
    expect(await lab.indices('node-0', 'net')).toEqual({ [A]: 0 });
    const body = { spec: { allocations: [] } };
    await lab.client.patch(kinds.IP_POOLS, { name }, { type: 'merge', body });
    await eventually('the network is gone', () => server.objects('multinicnetworks').length === 0);
  });

  test('W-44: a network that only somebody else keeps gets no finalizer of ours', async () => {
    await using embedded = await startLab();
    const { lab } = embedded;
    const metadata = { name: 'net', finalizers: ['example.com/mine'] };
    await lab.client.create(kinds.MULTI_NIC_NETWORKS, { metadata, spec: toSpec() });
    await lab.client.delete(kinds.MULTI_NIC_NETWORKS, { name: 'net' });
    const { running } = await lab.startController();
    await running.world.restored();
    await running.queue.idle();
    expect((await lab.network('net')).metadata.finalizers).toEqual(['example.com/mine']);
    expect(lab.log.filter((line) => line.includes('reconcile failed'))).toEqual([]);
  });

  test('definitions of a kind that was uninstalled do not keep a network', async () => {
    await using embedded = await startLab();
    const { lab, server } = embedded;
    await lab.addHost('node-0', A);
    await lab.addNetwork('net', toSpec({ namespaces: ['default'] }));
    // Their end is not seen: the connection breaks before.
    const match = { plural: 'network-attachment-definitions', isWatch: true };
    server.faults.add({ action: 'reset-watch', afterEvents: 1, how: 'end', times: 1, match });
    const blind = server.faults.add({ action: 'drop', skip: 1, match });
    await lab.startController();
    await lab.untilCondition('net', 'Ready', 'True');
    await eventually('nothing is watched any more', () => blind.hits > 0);
    await lab.client.delete(kinds.CRDS, { name: NAD_CRD.metadata.name });
    await lab.client.delete(kinds.MULTI_NIC_NETWORKS, { name: 'net' });
    await eventually('the network is gone', () => server.objects('multinicnetworks').length === 0);
  });

  test('daemons are waited for also by a controller that did not withdraw the indices', async () => {
    await using embedded = await startLab();
    const { lab, server } = embedded;
    await lab.addHost('node-0', A);
    await lab.addNetwork('net', toSpec());
    const settleMs = 60_000;
    const first = await lab.startController({ settleMs });
    await lab.untilCondition('net', 'Ready', 'True');
    await lab.client.delete(kinds.MULTI_NIC_NETWORKS, { name: 'net' });
    await lab.untilCondition('net', 'Drained', 'False', 'Withdrawing');
    await first.stop();
    const { running } = await lab.startController({ settleMs });
    await running.world.restored();
    await running.queue.idle();
    expect(server.objects('cidrs')).toHaveLength(1);
    expect(server.objects('configmaps')).toHaveLength(1);
    await addPool(lab, { name: 'net-192.168.0.0-24', network: 'net', host: 'node-0', pods: ['a'] });
    await lab.untilCondition('net', 'Drained', 'False', 'PodsHoldAddresses');
  });

  test('remains of a network that vanished are removed once no pod holds an address', async () => {
    await using embedded = await startLab();
    const { lab, server } = embedded;
    const first = await lab.serve(A);
    const name = 'net-192.168.0.0-24';
    await addPool(lab, { name, network: 'net', host: 'node-0', pods: ['job-1'] });
    await first.stop();
    const body = { metadata: { finalizers: [] } };
    await lab.client.patch(kinds.MULTI_NIC_NETWORKS, { name: 'net' }, { type: 'merge', body });
    await lab.client.delete(kinds.MULTI_NIC_NETWORKS, { name: 'net' });
    const { running } = await lab.startController();
    await running.world.restored();
    await running.queue.idle();
    expect(server.objects('cidrs')).toHaveLength(1);
    await lab.client.patch(
      kinds.IP_POOLS,
      { name },
      {
        type: 'merge',
        body: { spec: { allocations: [] } },
      },
    );
    await eventually('nothing is left', () =>
      ['cidrs', 'ippools', 'configmaps'].every((plural) => server.objects(plural).length === 0),
    );
  });
});

describe('claims', () => {
  test('an index that was claimed and never published is given back after two leases', async () => {
    await using embedded = await startLab();
    const { lab, server } = embedded;
    await lab.addHost('node-0', A);
    await lab.addNetwork('net', toSpec());
    server.faults.add({
      action: 'status',
      code: 403,
      // For ever: a request of the first that is on its way when it ends must not arrive later.
      match: { userAgent: 'first', method: 'PATCH', plural: 'hostinterfaces' },
    });
    const first = await lab.startController({ client: lab.cluster.newClient('first') });
    await lab.untilCondition('net', 'IndicesAllocated', 'False', 'WriteFailed');
    expect(await ledgerBits(lab, 'net')).toContain('AQ==');
    await first.stop();
    expect(await lab.indices('node-0', 'net')).toEqual({});
    await lab.startController({ leaseDurationMs: 300 });
    expect(await lab.untilIndices('node-0', 'net', 1)).toEqual({ [A]: 1 });
    await eventually('bit 0 is free again', async () =>
      (await ledgerBits(lab, 'net')).includes('Ag=='),
    );
  });

  test('the same leader publishes what it claimed when the API server lets it', async () => {
    await using embedded = await startLab();
    const { lab, server } = embedded;
    await lab.addHost('node-0', A);
    await lab.addNetwork('net', toSpec());
    server.faults.add({
      action: 'drop',
      when: 'after',
      times: 1,
      match: { method: 'PATCH', plural: 'hostinterfaces', subresource: 'status' },
    });
    server.faults.add({
      action: 'drop',
      when: 'before',
      times: 2,
      match: { method: 'PATCH', plural: 'hostinterfaces', subresource: 'status' },
    });
    await lab.startController();
    expect(await lab.untilIndices('node-0', 'net', 1)).toEqual({ [A]: 0 });
    await lab.untilCondition('net', 'Ready', 'True');
    expect(await ledgerBits(lab, 'net')).toContain('AQ==');
  });
});
