// Hosts that join, leave and return, end to end against the embedded API server.
import { describe, expect, test } from 'bun:test';
import { toHostView } from '../../src/controller/watch/views.ts';
import { HOST_INTERFACE_FINALIZER } from '../../src/shared/model/names.ts';
import * as kinds from '../../src/shared/platform/kube/resource.ts';
import { eventually } from '../helpers/eventually.ts';
import { startLab, toHostInterface, toSpec } from './harness.ts';
import { addPool } from './pools.ts';

const A = '10.1.0.0/16';

describe('hosts', () => {
  test('one that leaves frees its indices only when Node and HostInterface are gone', async () => {
    await using embedded = await startLab();
    const { lab } = embedded;
    for (const name of ['node-0', 'node-1']) await lab.addHost(name, A);
    await lab.addNetwork('net', toSpec());
    await lab.startController();
    await lab.untilCondition('net', 'Ready', 'True');
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

  test('show their numbers of NICs and networks, written only when they change', async () => {
    await using embedded = await startLab();
    const { lab } = embedded;
    await lab.addHost('node-0', A, '10.2.0.0/16');
    await lab.addHost('node-1');
    await lab.startController();
    const shown = (name: string, interfaceCount: number, networkCount: number) =>
      eventually(`${name} shows ${interfaceCount} and ${networkCount}`, async () => {
        const { metadata, status } = await lab.host(name);
        const isShown =
          status?.interfaceCount === interfaceCount && status.networkCount === networkCount;
        return isShown ? metadata.resourceVersion : undefined;
      });
    await shown('node-0', 2, 0);
    await shown('node-1', 0, 0);
    await lab.addNetwork('net', toSpec());
    await shown('node-0', 2, 1);
    const { spec } = toHostInterface('node-0', [A]);
    const patch = { type: 'merge', body: { spec } } as const;
    await lab.client.patch(kinds.HOST_INTERFACES, { name: 'node-0' }, patch);
    const version = await shown('node-0', 1, 1);
    await lab.addNetwork('other', {
      ...toSpec({ subnet: '172.16.0.0/16' }),
      masterNets: ['10.9.0.0/16'],
    });
    await lab.untilCondition('other', 'Accepted', 'True');
    expect((await lab.host('node-0')).metadata.resourceVersion).toBe(version);
    await lab.client.delete(kinds.MULTI_NIC_NETWORKS, { name: 'net' });
    await shown('node-0', 1, 0);
  });

  test('that join many networks at once are written without a conflict', async () => {
    await using embedded = await startLab();
    const { lab, server } = embedded;
    const { running } = await lab.startController();
    const networks = Array.from({ length: 6 }, (_, index) => `net-${index}`);
    for (const [index, name] of networks.entries()) {
      await lab.addNetwork(name, toSpec({ subnet: `10.${100 + index}.0.0/16` }));
    }
    const hosts = Array.from({ length: 12 }, (_, index) => `node-${index}`);
    await Promise.all(hosts.map((name) => lab.addHost(name, A)));
    for (const name of networks) {
      for (const host of hosts) await lab.untilIndices(host, name, 1);
    }
    await running.queue.idle();
    // It is asked for again only after a conflict.
    const asked = server.seen.filter(
      ({ method, plural, name, userAgent }) =>
        `${method} ${plural} ${userAgent}` === 'GET hostinterfaces controller' && name !== '',
    );
    expect(asked).toEqual([]);
  });

  test('one whose Node is registered anew within the grace keeps everything', async () => {
    await using embedded = await startLab();
    const { lab, server } = embedded;
    const seen = (method: string): boolean =>
      server.seen.some((one) => one.method === method && one.path.endsWith('/nodes/node-1'));
    for (const name of ['node-0', 'node-1']) await lab.addHost(name, A);
    await lab.addNetwork('net', toSpec());
    const { running } = await lab.startController({ graceMs: 60_000 });
    await lab.untilIndices('node-1', 'net', 1);
    await addPool(lab, { name: 'net-192.168.1.0-24', network: 'net', host: 'node-1', pods: ['a'] });
    const { uid } = (await lab.host('node-1')).metadata;
    await lab.removeNode('node-1');
    await eventually('its absence is confirmed', () => seen('GET'));
    await running.queue.idle();
    await lab.client.create(kinds.NODES, { metadata: { name: 'node-1' } });
    await lab.addHost('node-2', A);
    expect(await lab.untilIndices('node-2', 'net', 1)).toEqual({ [A]: 2 });
    expect((await lab.host('node-1')).metadata.uid).toBe(uid);
    expect(await lab.indices('node-1', 'net')).toEqual({ [A]: 1 });
    expect(server.objects('ippools')).toHaveLength(1);
  });

  test('one that returns after it was gone gets an index again', async () => {
    await using embedded = await startLab();
    const { lab } = embedded;
    for (const name of ['node-0', 'node-1', 'node-2']) await lab.addHost(name, A);
    await lab.addNetwork('net', toSpec());
    await lab.startController();
    await lab.untilCondition('net', 'Ready', 'True');
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
    await lab.untilCondition('net', 'Ready', 'True');
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
    await lab.untilCondition('net', 'Ready', 'True');
    await first.stop();
    await lab.client.delete(kinds.HOST_INTERFACES, { name: 'node-0' });
    await lab.addHost('node-2', A);
    await lab.startController();
    expect(await lab.untilIndices('node-2', 'net', 1)).toEqual({ [A]: 2 });
    await lab.addHostInterface('node-0', A);
    expect(await lab.untilIndices('node-0', 'net', 1)).toEqual({ [A]: 0 });
  });

  test('and it is remembered whatever answers come late', async () => {
    await using embedded = await startLab();
    const { lab } = embedded;
    for (const name of ['node-0', 'node-1']) await lab.addHost(name, A);
    await lab.addNetwork('net', toSpec());
    const early = toHostView(await lab.host('node-0'));
    const { running } = await lab.startController();
    await lab.untilCondition('net', 'Ready', 'True');
    running.world.putHost(early, 'the version before');
    await lab.client.delete(kinds.HOST_INTERFACES, { name: 'node-0' });
    const [last] = await eventually('the controller misses it', () => {
      const departed = running.world.departed();
      return departed.length === 1 ? departed : undefined;
    });
    expect(last?.networks).toMatchObject([{ name: 'net', indices: [{ hostIndex: 0 }] }]);
  });

  test('and also when it is back before others have theirs', async () => {
    await using embedded = await startLab();
    const { lab, server } = embedded;
    for (const name of ['node-0', 'node-1']) await lab.addHost(name, A);
    await lab.addNetwork('net', toSpec());
    const first = await lab.startController();
    await lab.untilCondition('net', 'Ready', 'True');
    await first.stop();
    await lab.client.delete(kinds.HOST_INTERFACES, { name: 'node-0' });
    await lab.addHost('node-2', A);
    const fault = server.faults.add({
      action: 'delay',
      delayMs: 150, // node-0 comes between the plan and the CIDR object that follows from it
      match: { method: 'PATCH', plural: 'hostinterfaces', name: 'node-2', userAgent: 'controller' },
    });
    await lab.startController();
    await eventually('the index of node-2 is on its way', () => fault.hits >= 2);
    await lab.addHostInterface('node-0', A);
    expect(await lab.untilIndices('node-0', 'net', 1)).toEqual({ [A]: 0 });
    expect(await lab.untilIndices('node-2', 'net', 1)).toEqual({ [A]: 2 });
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
