// Clusters of the original that are not in order are taken over: nothing that pods depend on changes,
// and what waits for the original's manager goes on.
import { describe, expect, test } from 'bun:test';
import type { IpPool } from '../../src/shared/model/objects/ip-pool.ts';
import * as kinds from '../../src/shared/platform/kube/resource.ts';
import { eventually } from '../helpers/eventually.ts';
import { type Lab, startLab } from './harness.ts';
import { readState, seedAll } from './states.ts';

/** Names of the pools of a network whose pods hold addresses, on these hosts. */
async function heldPools(lab: Lab, network: string): Promise<IpPool[]> {
  const { items } = await lab.client.list(kinds.IP_POOLS);
  return items.filter(({ spec }) => spec.netAttachDef === network && spec.allocations.length > 0);
}

describe('a cluster in which a host was replaced', () => {
  test('keeps every index, record, pool and definition', async () => {
    await using embedded = await startLab();
    const { lab, server } = embedded;
    await seedAll(lab, '05-host-replace');
    const plurals = ['cidrs', 'ippools', 'network-attachment-definitions'];
    const look = (): string[] => plurals.map((plural) => JSON.stringify(server.objects(plural)));
    const before = look();
    const { running } = await lab.startController();
    await lab.untilCondition('repl', 'Ready', 'True');
    const [stored] = readState('05-host-replace', 'cidrs');
    const { cidr } = kinds.CIDRS.parse(stored).spec;
    for (const { netAddress, hosts } of cidr) {
      for (const { hostName, hostIndex } of hosts) {
        expect((await lab.indices(hostName, 'repl'))[netAddress]).toBe(hostIndex);
      }
    }
    await running.queue.idle();
    expect(look()).toEqual(before);
  });
});

describe('a cluster whose manager hung', () => {
  test('serves what it left out, and deletes what waits once the last pod has gone', async () => {
    await using embedded = await startLab();
    const { lab, server } = embedded;
    await seedAll(lab, '09-half-done');
    await lab.startController();
    await lab.untilCondition('after-stuck', 'Ready', 'True');
    await lab.untilCondition('toomany', 'IndicesAllocated', 'False', 'InterfaceIndicesExhausted');
    const { message } = await lab.untilCondition(
      'keepnet',
      'Drained',
      'False',
      'PodsHoldAddresses',
    );
    expect(message).toContain('team-a/k0');
    const gone = 'worker-2'; // its Node went while the manager was away
    await eventually('nothing of the host that is gone is left', async () => {
      const pools = await heldPools(lab, 'keepnet');
      return (
        pools.every(({ spec }) => spec.hostName !== gone) &&
        server.object('hostinterfaces', gone) === undefined
      );
    });
    const held = await heldPools(lab, 'keepnet');
    expect(new Set(held.map(({ spec }) => spec.hostName))).toEqual(
      new Set(['worker-0', 'worker-1']),
    );
    expect(await lab.cidr('keepnet')).toBeDefined();
    for (const { metadata } of held) {
      const body = { spec: { allocations: [] } };
      await lab.client.patch(kinds.IP_POOLS, { name: metadata.name }, { type: 'merge', body });
    }
    await eventually(
      'the network is gone',
      () => server.object('multinicnetworks', 'keepnet') === undefined,
      20_000,
    );
    expect(await lab.cidr('keepnet')).toBeUndefined();
    const { items } = await lab.client.list(kinds.IP_POOLS);
    expect(items.filter(({ spec }) => spec.netAttachDef === 'keepnet')).toEqual([]);
  }, 60_000);
});
