// Two networks must never give one address to two pods (W-17), whatever becomes of the definition of
// the first while its pods run: what counts is what hosts hold.
import { describe, expect, test } from 'bun:test';
import { LEDGER_NAME_PREFIX } from '../../src/shared/model/names.ts';
import * as kinds from '../../src/shared/platform/kube/resource.ts';
import { eventually } from '../helpers/eventually.ts';
import { type Lab, NAMESPACE, startLab, toSpec } from './harness.ts';
import { addPool } from './pools.ts';

const A = '10.1.0.0/16';
const B = '10.2.0.0/16';

async function change(lab: Lab, spec: Record<string, unknown>): Promise<void> {
  const patch = { type: 'merge', body: { spec } } as const;
  await lab.client.patch(kinds.MULTI_NIC_NETWORKS, { name: 'first' }, patch);
}

/** `first` in use, then changed, then `second` over the addresses that `first` gave. */
async function isSecondRefused(o: {
  readonly first: Record<string, unknown>;
  readonly change: Record<string, unknown>;
  readonly second: Record<string, unknown>;
}): Promise<void> {
  await using embedded = await startLab();
  const { lab } = embedded;
  await lab.addHost('node-0', A, B);
  const { running } = await lab.startController();
  await lab.addNetwork('first', o.first);
  await lab.untilCondition('first', 'Ready', 'True');
  await change(lab, o.change);
  await eventually('the change was looked at', async () => {
    const { metadata, status } = await lab.network('first');
    return status?.observedGeneration === metadata.generation;
  });
  await lab.addNetwork('second', o.second);
  const { message } = await lab.untilCondition('second', 'Accepted', 'False', 'SubnetOverlap');
  expect(message).toContain('in use by network first');
  await running.queue.idle();
  expect(await lab.indices('node-0', 'second')).toEqual({});
}

test('a change that is refused takes no addresses from others', async () => {
  await using embedded = await startLab();
  const { lab } = embedded;
  await lab.addHost('node-0', A);
  await lab.startController();
  await lab.addNetwork('first', toSpec());
  await lab.untilCondition('first', 'Ready', 'True');
  await lab.addNetwork('second', toSpec({ subnet: '172.30.0.0/16' }));
  await lab.untilCondition('second', 'Ready', 'True');
  await change(lab, { subnet: '172.30.0.0/16' });
  await lab.untilCondition('first', 'Accepted', 'False', 'ImmutableChange');
  await lab.addHost('node-1', A);
  await lab.untilIndices('node-1', 'second', 1);
  await lab.untilCondition('second', 'Ready', 'True');
});

describe('a block that hosts hold is not given to another network', () => {
  test('after the subnet of its network was changed', async () => {
    await isSecondRefused({
      first: toSpec(),
      change: { subnet: '192.169.0.0/16' },
      second: toSpec({ subnet: '192.168.128.0/17' }),
    });
  });

  test('after its network was given another IPAM', async () => {
    await isSecondRefused({
      first: toSpec(),
      change: { ipam: '{"type":"whereabouts","range":"10.0.0.0/24"}' },
      second: toSpec(),
    });
  });

  test('after the definition of its network was spoilt', async () => {
    await isSecondRefused({ first: toSpec(), change: { ipam: '{]}' }, second: toSpec() });
  });

  test('after its net address was taken out of a network that shares the host subnets', async () => {
    const shared = { subnet: '', interfaceBlock: 0, vlanMode: 'l2' };
    await isSecondRefused({
      first: toSpec({ ...shared, masterNets: [A] }),
      change: { masterNets: [B] },
      second: toSpec({ ...shared, masterNets: [A] }),
    });
  });

  test('after its network vanished without its finalizer, until the last pod is gone', async () => {
    await using embedded = await startLab();
    const { lab } = embedded;
    await lab.addHost('node-0', A);
    const former = await lab.startController();
    await lab.addNetwork('first', toSpec());
    await lab.untilCondition('first', 'Ready', 'True');
    const name = 'first-192.168.0.0-24';
    await addPool(lab, { name, network: 'first', host: 'node-0', pods: ['job-1'] });
    await former.stop();
    const body = { metadata: { finalizers: [] } };
    const key = { name: 'first' };
    await lab.client.patch(kinds.MULTI_NIC_NETWORKS, key, { type: 'merge', body });
    await lab.client.delete(kinds.MULTI_NIC_NETWORKS, key);
    await lab.addNetwork('second', toSpec());
    await lab.startController();
    await lab.untilCondition('second', 'Accepted', 'False', 'SubnetOverlap');
    expect(await lab.indices('node-0', 'second')).toEqual({});
    const empty = { type: 'merge', body: { spec: { allocations: [] } } } as const;
    await lab.client.patch(kinds.IP_POOLS, { name }, empty);
    await lab.untilCondition('second', 'Ready', 'True');
    const ledger = { name: `${LEDGER_NAME_PREFIX}first`, namespace: NAMESPACE };
    expect(await lab.client.get(kinds.CONFIG_MAPS, ledger)).toBeUndefined();
  });
});
