// Events on a network when a condition begins or ceases to refuse something.
import { expect, setDefaultTimeout, test } from 'bun:test';
import * as kinds from '../../src/shared/platform/kube/resource.ts';
import { eventually } from '../helpers/eventually.ts';
import { type Lab, startLab, toSpec } from './harness.ts';

setDefaultTimeout(120_000);

/** Waits for an event of the network with that type and a message that has this part. */
async function untilEvent(lab: Lab, type: string, part: string) {
  return await eventually(`${type} event with ${part}`, async () => {
    const { items } = await lab.client.list(kinds.EVENTS, { namespace: 'default' });
    return items.find((one) => one.type === type && one.message?.includes(part));
  });
}

test('a refused change is a Warning, once, and taking it back is a Normal event', async () => {
  await using embedded = await startLab();
  const { lab } = embedded;
  await lab.addHost('node-0', '10.1.0.0/16');
  const network = await lab.addNetwork('net', toSpec());
  await lab.startController();
  await lab.untilCondition('net', 'Ready', 'True');
  const change = async (hostBlock: number): Promise<void> => {
    const body = { spec: toSpec({ hostBlock }) };
    await lab.client.patch(kinds.MULTI_NIC_NETWORKS, { name: 'net' }, { type: 'merge', body });
  };
  await change(7);
  const warning = await untilEvent(lab, 'Warning', 'Accepted: ');
  expect(warning).toMatchObject({
    involvedObject: { kind: 'MultiNicNetwork', name: 'net', uid: network.metadata.uid },
    source: { component: 'multi-nic-controller' },
  });
  expect(warning.message).toContain('hostBlock');
  await lab.addHost('node-1', '10.1.0.0/16'); // a further run that finds the same
  await change(6);
  const cleared = await untilEvent(lab, 'Normal', 'Accepted: no longer');
  expect(cleared.message).toContain(warning.reason ?? '');
  const { items } = await lab.client.list(kinds.EVENTS, { namespace: 'default' });
  expect(items).toHaveLength(2);
});

test('waiting for hosts is no refusal', async () => {
  await using embedded = await startLab();
  const { lab } = embedded;
  await lab.addNetwork('net', toSpec());
  await lab.startController();
  await lab.untilCondition('net', 'IndicesAllocated', 'False', 'WaitingForHosts');
  await lab.addHost('node-0', '10.1.0.0/16');
  await lab.untilCondition('net', 'Ready', 'True');
  const { items } = await lab.client.list(kinds.EVENTS, { namespace: 'default' });
  expect(items).toEqual([]);
});
