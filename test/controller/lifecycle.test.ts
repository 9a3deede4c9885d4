// Networks and hosts over their life, end to end against the embedded API server.
import { describe, expect, test } from 'bun:test';
import {
  CIDR_FINALIZER,
  HOST_INTERFACE_FINALIZER,
  IP_POOL_FINALIZER,
  LEDGER_NAME_PREFIX,
  NETWORK_FINALIZER,
} from '../../src/shared/model/names.ts';
import * as kinds from '../../src/shared/platform/kube/resource.ts';
import { eventually } from '../helpers/eventually.ts';
import { type Lab, LEASE_MS, NAMESPACE, startLab, toHostInterface, toSpec } from './harness.ts';

const A = '10.1.0.0/16';
const B = '10.2.0.0/16';

async function addPool(
  lab: Lab,
  o: { name: string; network: string; host: string; pods?: string[] },
) {
  const [podCIDR = ''] = [o.name.replace(`${o.network}-`, '').replace(/-(\d+)$/, '/$1')];
  await lab.client.create(kinds.IP_POOLS, {
    metadata: { name: o.name, labels: { hostname: o.host, netname: o.network } },
    spec: {
      podCIDR,
      vlanCIDR: '192.168.0.0/18',
      netAttachDef: o.network,
      hostName: o.host,
      interfaceName: 'eth1',
      excludes: [],
      allocations: (o.pods ?? []).map((pod, index) => ({
        pod,
        namespace: 'default',
        index: index + 1,
        address: podCIDR.replace(/\.0\/\d+$/, `.${index + 1}`),
      })),
    },
  });
}

async function ledgerBits(lab: Lab, network: string): Promise<string> {
  const name = `${LEDGER_NAME_PREFIX}${network}`;
  const ledger = await lab.client.get(kinds.CONFIG_MAPS, { name, namespace: NAMESPACE });
  return JSON.stringify(ledger?.data);
}

describe('a network', () => {
  test('gets indices, CIDR object, definitions and a status, and then nothing is written any more', async () => {
    await using embedded = await startLab({ namespaces: ['team-a'] });
    const { lab, server } = embedded;
    await lab.addHost('node-0', A, B);
    await lab.addHost('node-1', A, B);
    await lab.addNetwork('net', toSpec());
    await lab.startController();
    await lab.untilCondition('net', 'Ready', 'True');
    expect(await lab.indices('node-0', 'net')).toEqual({ [A]: 0, [B]: 0 });
    expect(await lab.indices('node-1', 'net')).toEqual({ [A]: 1, [B]: 1 });
    const { status, metadata } = await lab.network('net');
    expect(metadata.finalizers).toEqual([NETWORK_FINALIZER]);
    expect(status).toMatchObject({
      configStatus: 'Success',
      routeStatus: 'Unknown', // no daemon reports routes here
      discovery: { existDaemon: 0, infoAvailable: 2, cidrProcessed: 2 },
      computeResults: [
        { netAddress: A, numOfHosts: 2 },
        { netAddress: B, numOfHosts: 2 },
      ],
      interfaceIndices: [
        { netAddress: A, interfaceIndex: 0 },
        { netAddress: B, interfaceIndex: 1 },
      ],
    });
    expect((await lab.cidr('net'))?.spec.cidr).toHaveLength(2);
    const nad = await lab.client.get(kinds.NET_ATTACH_DEFS, { name: 'net', namespace: 'team-a' });
    expect(nad?.metadata.ownerReferences?.[0]?.uid).toBe(metadata.uid ?? '');

    const { revision } = server;
    await lab.addNamespace('unrelated-event'); // leads to exactly one write: a definition
    await eventually('a definition in the new namespace', () =>
      lab.client.get(kinds.NET_ATTACH_DEFS, { name: 'net', namespace: 'unrelated-event' }),
    );
    expect(server.revision - revision).toBeLessThanOrEqual(3); // namespace, definition, status text
  });

  test('W-50: an l2 network is Success with routes N/A', async () => {
    await using embedded = await startLab();
    const { lab } = embedded;
    await lab.addHost('node-0', A);
    await lab.addNetwork('flat', toSpec({ vlanMode: 'l2', args: { mode: 'l2' } }));
    await lab.startController();
    await lab.untilCondition('flat', 'Ready', 'True');
    const { status } = await lab.network('flat');
    expect([status?.configStatus, status?.routeStatus, status?.message]).toEqual([
      'Success',
      'N/A',
      '',
    ]);
  });

  test('another IPAM needs no host: definitions only', async () => {
    await using embedded = await startLab();
    const { lab } = embedded;
    await lab.addNetwork('where', {
      subnet: '192.168.0.0/16',
      ipam: '{"type":"whereabouts","range":"192.168.0.0/18"}',
      plugin: { cniVersion: '0.3.1', type: 'macvlan' },
    });
    await lab.startController();
    await lab.untilCondition('where', 'Ready', 'True');
    const { status } = await lab.network('where');
    expect(status).toMatchObject({
      configStatus: 'Success',
      routeStatus: 'N/A',
      computeResults: [],
    });
    expect(await lab.cidr('where')).toBeUndefined();
    const nad = await lab.client.get(kinds.NET_ATTACH_DEFS, {
      name: 'where',
      namespace: 'default',
    });
    expect(nad?.spec?.config).toBe(
      '{"cniVersion":"0.3.0","name":"where","type":"multi-nic","ipam":{"range":"192.168.0.0/18","type":"whereabouts"},' +
        '"dns":{},"plugin":{"cniVersion":"0.3.1","type":"macvlan"},"subnet":"192.168.0.0/16","masterNets":[],"daemonIP":"","daemonPort":11000}',
    );
  });

  test('routes are Success once every host reports them, and Failed when one says so', async () => {
    await using embedded = await startLab();
    const { lab } = embedded;
    await lab.addHost('node-0', A);
    await lab.addHost('node-1', A);
    await lab.addNetwork('net', toSpec());
    await lab.startController();
    await lab.untilCondition('net', 'RoutesReady', 'Unknown', 'Unknown');
    const report = async (name: string, status: string): Promise<void> => {
      const condition = {
        type: 'RoutesReady',
        status,
        reason: 'Test',
        message: '',
        lastTransitionTime: '2026-01-01T00:00:00Z',
      };
      const body = { status: { conditions: [condition] } };
      const patch = { type: 'merge', subresource: 'status', body } as const;
      await lab.client.patch(kinds.HOST_INTERFACES, { name }, patch);
    };
    await report('node-0', 'True');
    await report('node-1', 'True');
    await lab.untilCondition('net', 'RoutesReady', 'True', 'Success');
    expect((await lab.network('net')).status?.message).toBe('');
    await report('node-1', 'False');
    const { message } = await lab.untilCondition('net', 'RoutesReady', 'False', 'Failed');
    expect(message).toContain('node-1');
    expect((await lab.network('net')).status?.routeStatus).toBe('Failed');
  });
});

describe('refusals', () => {
  const refusal = async (
    spec: Record<string, unknown>,
    reason: string,
    text: string,
  ): Promise<void> => {
    await using embedded = await startLab();
    const { lab, server } = embedded;
    await lab.addHost('node-0', A);
    await lab.addNetwork('net', spec);
    await lab.startController();
    const { message } = await lab.untilCondition('net', 'Accepted', 'False', reason);
    expect(message).toContain(text);
    const { status, metadata } = await lab.network('net');
    expect(status?.configStatus).toBe('Failed');
    expect(status?.message).toContain(text);
    expect(metadata.finalizers ?? []).toEqual([]);
    expect(server.objects('network-attachment-definitions')).toEqual([]);
    expect(server.objects('cidrs')).toEqual([]);
  };

  test('a plugin type without a row in the table is named', async () => {
    const spec = toSpec({ type: 'sriov', args: { numVfs: '2' } });
    await refusal(spec, 'UnsupportedPlugin', 'sriov is not supported yet');
  });

  test('an unknown plugin argument is named, not ignored', async () => {
    const spec = toSpec({ args: { mode: 'l3', promiscMode: 'true' } });
    await refusal(spec, 'InvalidPlugin', 'promiscMode');
  });

  test('W-64: an mtu that is no number is refused', async () => {
    await refusal(toSpec({ args: { mtu: 'abc' } }), 'InvalidPlugin', 'mtu');
  });

  test('an IPAM section that divides too far is refused (W-15)', async () => {
    await refusal(toSpec({ hostBlock: 14 }), 'InvalidDefinition', 'bits for pods');
  });

  test('W-17: of two networks with one subnet the later gets nothing until the first is gone', async () => {
    await using embedded = await startLab();
    const { lab } = embedded;
    await lab.addHost('node-0', A);
    await lab.startController();
    await lab.addNetwork('first', toSpec());
    await lab.untilCondition('first', 'Ready', 'True');
    await lab.addNetwork('second', toSpec({ subnet: '192.168.128.0/17' }));
    const { message } = await lab.untilCondition('second', 'Accepted', 'False', 'SubnetOverlap');
    expect(message).toContain('network first');
    expect(await lab.indices('node-0', 'second')).toEqual({});
    await lab.client.delete(kinds.MULTI_NIC_NETWORKS, { name: 'first' });
    await lab.untilCondition('second', 'Ready', 'True');
  });

  test('W-20: a change that would renumber pods is refused, and taking it back heals', async () => {
    await using embedded = await startLab();
    const { lab } = embedded;
    await lab.addHost('node-0', A);
    await lab.addNetwork('net', toSpec());
    await lab.startController();
    await lab.untilCondition('net', 'Ready', 'True');
    const before = await lab.cidr('net');
    const change = async (subnet: string): Promise<void> => {
      const patch = { type: 'merge', body: { spec: { subnet } } } as const;
      await lab.client.patch(kinds.MULTI_NIC_NETWORKS, { name: 'net' }, patch);
    };
    await change('192.169.0.0/16');
    const { message } = await lab.untilCondition('net', 'Accepted', 'False', 'ImmutableChange');
    expect(message).toContain('subnet changed from 192.168.0.0/16 to 192.169.0.0/16');
    await lab.addHost('node-1', A);
    expect(await lab.cidr('net')).toEqual(before);
    await change('192.168.0.0/16');
    await lab.untilCondition('net', 'Ready', 'True');
    await lab.untilIndices('node-1', 'net', 1);
  });

  test('W-22: hosts that get no index are named', async () => {
    await using embedded = await startLab();
    const { lab } = embedded;
    for (const name of ['node-0', 'node-1', 'node-2']) await lab.addHost(name, A);
    await lab.addNetwork('net', toSpec({ hostBlock: 1 }));
    await lab.startController();
    const reason = 'HostIndicesExhausted';
    const { message } = await lab.untilCondition('net', 'IndicesAllocated', 'False', reason);
    expect(message).toContain('node-2');
    expect((await lab.network('net')).status?.configStatus).toBe('Failed');
  });

  test('hostBlock 0 with several hosts is named (W-12)', async () => {
    await using embedded = await startLab();
    const { lab } = embedded;
    await lab.addHost('node-0', A);
    await lab.addHost('node-1', A);
    await lab.addNetwork('net', toSpec({ hostBlock: 0, interfaceBlock: 1 }));
    await lab.startController();
    await lab.untilCondition('net', 'IndicesAllocated', 'False', 'HostBlockZero');
    expect(await lab.indices('node-0', 'net')).toEqual({});
  });
});

describe('hosts', () => {
  test('one that leaves frees its indices only when Node and HostInterface are gone', async () => {
    await using embedded = await startLab();
    const { lab } = embedded;
    for (const name of ['node-0', 'node-1']) await lab.addHost(name, A);
    await lab.addNetwork('net', toSpec());
    await lab.startController();
    await lab.untilIndices('node-1', 'net', 1);
    await addPool(lab, { name: 'net-192.168.1.0-24', network: 'net', host: 'node-1', pods: ['x'] });
    await lab.removeNode('node-1');
    await eventually('the host interface is gone', async () => {
      return (await lab.client.get(kinds.HOST_INTERFACES, { name: 'node-1' })) === undefined;
    });
    await eventually('the pool is gone', async () => {
      const pool = await lab.client.get(kinds.IP_POOLS, { name: 'net-192.168.1.0-24' });
      return pool === undefined;
    });
    await eventually('the CIDR object is without node-1', async () => {
      return (await lab.cidr('net'))?.spec.cidr[0]?.hosts.length === 1;
    });
    await lab.addHost('node-2', A);
    expect(await lab.untilIndices('node-2', 'net', 1)).toEqual({ [A]: 1 });
    const cidr = await eventually('the CIDR object names node-2', async () => {
      const object = await lab.cidr('net');
      return object?.spec.cidr[0]?.hosts.length === 2 ? object : undefined;
    });
    expect(cidr.spec.cidr[0]?.hosts.map(({ hostName }) => hostName)).toEqual(['node-0', 'node-2']);
  });

  test('one that returns after it was gone gets an index again', async () => {
    await using embedded = await startLab();
    const { lab } = embedded;
    for (const name of ['node-0', 'node-1', 'node-2']) await lab.addHost(name, A);
    await lab.addNetwork('net', toSpec());
    await lab.startController();
    await lab.untilIndices('node-2', 'net', 1);
    await lab.removeNode('node-0');
    await eventually('index 0 is free', async () => {
      const object = await lab.cidr('net');
      return object?.spec.cidr[0]?.hosts.length === 2;
    });
    await lab.addHost('node-0', A);
    expect(await lab.untilIndices('node-0', 'net', 1)).toEqual({ [A]: 3 });
  });

  test('a HostInterface deleted by hand comes back with the index it had', async () => {
    await using embedded = await startLab();
    const { lab } = embedded;
    for (const name of ['node-0', 'node-1']) await lab.addHost(name, A);
    await lab.addNetwork('net', toSpec());
    await lab.startController();
    await lab.untilIndices('node-1', 'net', 1);
    await lab.client.delete(kinds.HOST_INTERFACES, { name: 'node-0' });
    await lab.addHost('node-2', A);
    await lab.untilIndices('node-2', 'net', 1);
    await lab.addHostInterface('node-0', A);
    expect(await lab.untilIndices('node-0', 'net', 1)).toEqual({ [A]: 0 });
    expect(await lab.indices('node-2', 'net')).toEqual({ [A]: 2 });
  });

  test('that index survives a restart of the controller in between', async () => {
    await using embedded = await startLab();
    const { lab } = embedded;
    for (const name of ['node-0', 'node-1']) await lab.addHost(name, A);
    await lab.addNetwork('net', toSpec());
    const first = await lab.startController();
    await lab.untilCondition('net', 'CidrWritten', 'True');
    await first.stop();
    await lab.client.delete(kinds.HOST_INTERFACES, { name: 'node-0' });
    await lab.addHost('node-2', A);
    await lab.startController();
    expect(await lab.untilIndices('node-2', 'net', 1)).toEqual({ [A]: 2 });
    await lab.addHostInterface('node-0', A);
    expect(await lab.untilIndices('node-0', 'net', 1)).toEqual({ [A]: 0 });
  });

  test('W-06: an error instead of an answer deletes nothing', async () => {
    await using embedded = await startLab();
    const { lab, server } = embedded;
    await lab.addHost('node-0', A);
    await lab.addNetwork('net', toSpec());
    await lab.startController();
    await lab.untilIndices('node-0', 'net', 1);
    const fault = server.faults.add({
      action: 'status',
      code: 500,
      match: { method: 'GET', plural: 'nodes', name: 'node-0' },
    });
    await lab.removeNode('node-0');
    await eventually('the node was asked for twice', () => fault.hits >= 2);
    expect((await lab.host('node-0')).status?.networks).toHaveLength(1);
    fault[Symbol.dispose]();
    await eventually('the host interface is gone', async () => {
      return (await lab.client.get(kinds.HOST_INTERFACES, { name: 'node-0' })) === undefined;
    });
  });

  test('unmanaged and test hosts are left alone, and the finalizer of the original goes (W-37)', async () => {
    await using embedded = await startLab();
    const { lab } = embedded;
    const labelled = (name: string, labels: Record<string, string>) => ({
      ...toHostInterface(name, [A]),
      metadata: { name, labels, finalizers: [HOST_INTERFACE_FINALIZER] },
    });
    await lab.client.create(
      kinds.HOST_INTERFACES,
      labelled('edge-1', { 'multi-nic-unmanaged': 'True' }),
    );
    await lab.client.create(kinds.HOST_INTERFACES, labelled('edge-2', { 'test-mode': '' }));
    await lab.client.create(kinds.HOST_INTERFACES, labelled('edge-3', {}));
    await lab.addNetwork('net', toSpec());
    await lab.startController();
    await eventually('the managed one is gone', async () => {
      return (await lab.client.get(kinds.HOST_INTERFACES, { name: 'edge-3' })) === undefined;
    });
    expect(Object.keys(await lab.untilIndices('edge-1', 'net', 1))).toEqual([A]);
    await lab.client.delete(kinds.HOST_INTERFACES, { name: 'edge-1' });
    await eventually('the unmanaged one can be deleted', async () => {
      return (await lab.client.get(kinds.HOST_INTERFACES, { name: 'edge-1' })) === undefined;
    });
  });
});

describe('deletion of a network', () => {
  test('takes everything away, finalizers of the original included', async () => {
    await using embedded = await startLab();
    const { lab, server } = embedded;
    await lab.addHost('node-0', A);
    await lab.addNetwork('net', toSpec());
    await lab.startController();
    await lab.untilCondition('net', 'Ready', 'True');
    await addPool(lab, { name: 'net-192.168.0.0-24', network: 'net', host: 'node-0' });
    const keep = async (resource: kinds.Resource<unknown>, name: string, finalizer: string) => {
      const body = { metadata: { finalizers: [finalizer] } };
      await lab.client.patch(resource, { name }, { type: 'merge', body });
    };
    await keep(kinds.CIDRS, 'net', CIDR_FINALIZER);
    await keep(kinds.IP_POOLS, 'net-192.168.0.0-24', IP_POOL_FINALIZER);
    await lab.client.delete(kinds.MULTI_NIC_NETWORKS, { name: 'net' });
    await eventually(
      'the network is gone',
      async () => (await lab.client.get(kinds.MULTI_NIC_NETWORKS, { name: 'net' })) === undefined,
      10_000,
    );
    for (const plural of ['cidrs', 'ippools', 'network-attachment-definitions', 'configmaps']) {
      expect(server.objects(plural)).toEqual([]);
    }
    expect((await lab.host('node-0')).status?.networks).toEqual([]);
  });

  test('waits for pods that hold addresses and names them', async () => {
    await using embedded = await startLab();
    const { lab, server } = embedded;
    await lab.addHost('node-0', A);
    await lab.addNetwork('net', toSpec());
    await lab.startController();
    await lab.untilCondition('net', 'Ready', 'True');
    const name = 'net-192.168.0.0-24';
    await addPool(lab, { name, network: 'net', host: 'node-0', pods: ['job-1', 'job-2'] });
    await lab.client.delete(kinds.MULTI_NIC_NETWORKS, { name: 'net' });
    const { message } = await lab.untilCondition('net', 'Drained', 'False', 'PodsHoldAddresses');
    expect(message).toContain('default/job-1, default/job-2');
    expect(server.objects('network-attachment-definitions')).toEqual([]); // no new pods
    expect(await lab.indices('node-0', 'net')).toEqual({ [A]: 0 });
    const body = { spec: { allocations: [] } };
    await lab.client.patch(kinds.IP_POOLS, { name }, { type: 'merge', body });
    await eventually(
      'the network is gone',
      async () => (await lab.client.get(kinds.MULTI_NIC_NETWORKS, { name: 'net' })) === undefined,
      10_000,
    );
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

  test('remains of a network that vanished are removed once no pod holds an address', async () => {
    await using embedded = await startLab();
    const { lab, server } = embedded;
    await lab.addHost('node-0', A);
    await lab.addNetwork('net', toSpec());
    const first = await lab.startController();
    await lab.untilCondition('net', 'Ready', 'True');
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
    await eventually(
      'nothing is left',
      () => {
        return ['cidrs', 'ippools', 'configmaps'].every(
          (plural) => server.objects(plural).length === 0,
        );
      },
      10_000,
    );
  });
});

describe('claims', () => {
  test('an index that was claimed and never published is given back after two leases', async () => {
    await using embedded = await startLab();
    const { lab, server } = embedded;
    await lab.addHost('node-0', A);
    await lab.addNetwork('net', toSpec());
    const fault = server.faults.add({
      action: 'status',
      code: 403,
      match: { method: 'PATCH', plural: 'hostinterfaces', subresource: 'status' },
    });
    const first = await lab.startController();
    await eventually('publishing was tried', () => fault.hits > 0);
    await first.stop();
    fault[Symbol.dispose]();
    expect(await ledgerBits(lab, 'net')).toContain('AQ=='); // bit 0 is claimed
    await lab.startController();
    expect(await lab.untilIndices('node-0', 'net', 1)).toEqual({ [A]: 1 });
    await eventually(
      'bit 0 is free again',
      async () => (await ledgerBits(lab, 'net')).includes('Ag=='),
      20 * LEASE_MS,
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
