// Networks from creation to readiness, and what is refused, end to end against the embedded API
// server.
import { describe, expect, test } from 'bun:test';
import { NETWORK_FINALIZER } from '../../src/shared/model/names.ts';
import * as kinds from '../../src/shared/platform/kube/resource.ts';
import { eventually } from '../helpers/eventually.ts';
import { startLab, toSpec } from './harness.ts';

const A = '10.1.0.0/16';
const B = '10.2.0.0/16';

describe('a network', () => {
  test('gets indices, CIDR object, definitions and a status, and then nothing is written any more', async () => {
    await using embedded = await startLab({ namespaces: ['team-a'] });
    const { lab, server } = embedded;
    await lab.addHost('node-0', A, B);
    await lab.addHost('node-1', A, B);
    await lab.addNetwork('net', toSpec());
    const { running } = await lab.startController();
    await lab.untilCondition('net', 'Ready', 'True');
    expect(await lab.indices('node-0', 'net')).toEqual({ [A]: 0, [B]: 0 });
    expect(await lab.indices('node-1', 'net')).toEqual({ [A]: 1, [B]: 1 });
    const { status, metadata } = await lab.network('net');
    expect(metadata.finalizers).toEqual([NETWORK_FINALIZER]);
    expect(status).toMatchObject({
      configStatus: 'Success',
      routeStatus: 'Unknown', // no daemon reports routes here
      discovery: { existDaemon: 2, infoAvailable: 2, cidrProcessed: 2 },
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

    await running.queue.idle();
    const { revision } = server;
    await lab.addNamespace('new'); // leads to exactly two writes: a definition, and their number
    await eventually('a status that counts the new namespace', async () => {
      const message = (await lab.untilCondition('net', 'NadsReady', 'True')).message;
      return message.startsWith(`${server.objects('namespaces').length} namespaces`);
    });
    await running.queue.idle();
    expect(server.revision - revision).toBe(3); // with the namespace itself
  });

  test('whose CIDR object the watch does not show yet is served on', async () => {
    await using embedded = await startLab();
    const { lab, server } = embedded;
    await lab.addHost('node-0', A);
    await lab.addNetwork('net', toSpec());
    const match = { isWatch: true, plural: 'cidrs', userAgent: 'controller' };
    server.faults.add({ action: 'hang', match });
    await lab.startController();
    await lab.untilCondition('net', 'Ready', 'True');
    await lab.addHost('node-1', A);
    await eventually('the CIDR object names node-1', async () => {
      return (await lab.cidr('net'))?.spec.cidr[0]?.hosts.length === 2;
    });
    await lab.untilCondition('net', 'Ready', 'True');
    expect(lab.log.filter((line) => line.includes('reconcile failed'))).toEqual([]);
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
    await lab.untilCondition('where', 'NadsReady', 'True');
    await lab.untilCondition('where', 'Ready', 'False', 'UnsupportedIpam');
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
    await lab.serve(A);
    const before = await lab.cidr('net');
    const division = { subnet: '192.168.0.0/16', interfaceBlock: 2, hostBlock: 6 };
    expect((await lab.network('net')).status?.division).toEqual(division);
    const change = async (subnet: string): Promise<void> => {
      const patch = { type: 'merge', body: { spec: { subnet } } } as const;
      await lab.client.patch(kinds.MULTI_NIC_NETWORKS, { name: 'net' }, patch);
    };
    await change('192.169.0.0/16');
    const { message } = await lab.untilCondition('net', 'Accepted', 'False', 'ImmutableChange');
    expect(message).toContain('subnet changed from 192.168.0.0/16 to 192.169.0.0/16');
    await lab.addHost('node-1', A);
    expect(await lab.cidr('net')).toEqual(before);
    expect((await lab.network('net')).status?.division).toEqual(division);
    await change('192.168.0.0/16');
    await lab.untilCondition('net', 'Ready', 'True');
    await lab.untilIndices('node-1', 'net', 1);
  });

  test('another IPAM is refused while hosts hold addresses of ours', async () => {
    await using embedded = await startLab();
    const { lab } = embedded;
    await lab.serve(A);
    const nad = async (): Promise<string | undefined> => {
      const key = { name: 'net', namespace: 'default' };
      return (await lab.client.get(kinds.NET_ATTACH_DEFS, key))?.spec?.config;
    };
    const before = await nad();
    const body = { spec: { ipam: '{"type":"whereabouts","range":"10.0.0.0/24"}' } };
    await lab.client.patch(kinds.MULTI_NIC_NETWORKS, { name: 'net' }, { type: 'merge', body });
    const { message } = await lab.untilCondition('net', 'Accepted', 'False', 'ImmutableChange');
    expect(message).toContain('ipam.type changed from multi-nic-ipam: hosts have addresses');
    expect(await nad()).toBe(before);
    expect(await lab.indices('node-0', 'net')).toEqual({ [A]: 0 });
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
