// Definitions that were removed while a network was in use: that its pools are not there does not
// say that no pod holds an address of it.
import { expect, setDefaultTimeout, test } from 'bun:test';
import { DAEMON_APP, LEDGER_NAME_PREFIX } from '../../src/shared/model/names.ts';
import * as kinds from '../../src/shared/platform/kube/resource.ts';
import { ourCrds } from '../helpers/crds.ts';
import { eventually } from '../helpers/eventually.ts';
import {
  type EmbeddedLab,
  type Lab,
  NAMESPACE,
  startLab,
  type TestController,
  toHostInterface,
} from './harness.ts';
import { addPool } from './pools.ts';

setDefaultTimeout(120_000);

const A = '10.1.0.0/16';
const POOL = { name: 'net-192.168.0.0-24', network: 'net', host: 'node-0', pods: ['job-1'] };
/** Longer than any test. */
const FOR_EVER = 3_600_000;

const definitionName = (plural: string): string => `${plural}.multinic.fms.io`;

async function removeKinds(lab: Lab, ...plurals: string[]): Promise<void> {
  for (const plural of plurals) {
    await lab.client.delete(kinds.CRDS, { name: definitionName(plural) });
  }
}

async function restoreKinds(lab: Lab, ...plurals: string[]): Promise<void> {
  for (const crd of ourCrds()) {
    const { name } = kinds.parseNamed(crd).metadata;
    if (plurals.some((plural) => definitionName(plural) === name)) {
      await lab.client.create(kinds.CRDS, crd);
    }
  }
}

/** The pod of the pool ends, and with that nothing keeps the network. */
async function endPod({ lab, server }: EmbeddedLab): Promise<void> {
  const { message } = await lab.untilCondition('net', 'Drained', 'False', 'PodsHoldAddresses');
  expect(message).toContain('default/job-1');
  const patch = { type: 'merge', body: { spec: { allocations: [] } } } as const;
  await lab.client.patch(kinds.IP_POOLS, { name: POOL.name }, patch);
  await eventually('the network is gone', () => server.objects('multinicnetworks').length === 0);
}

test('a network stays while the kind of its pools is not there', async () => {
  await using embedded = await startLab();
  const { lab } = embedded;
  const { running } = await lab.serve(A);
  const poolCount = (): number => running.world.pools.ofNetwork('net').length;
  await addPool(lab, POOL);
  await eventually('the controller knows its pool', () => poolCount() === 1);
  await removeKinds(lab, 'ippools');
  await eventually('it went with its kind', () => poolCount() === 0);
  await lab.client.delete(kinds.MULTI_NIC_NETWORKS, { name: 'net' });
  const { message } = await lab.untilCondition('net', 'Drained', 'False', 'PoolsUnreadable');
  expect(message).toContain('IPPools');
  expect(await lab.indices('node-0', 'net')).toEqual({ [A]: 0 });
  await restoreKinds(lab, 'ippools');
  await addPool(lab, POOL); // as its daemon does it
  await endPod(embedded);
});

/** A network that is being deleted, and of which an uninstallation took all other records. */
async function reinstall({ lab }: EmbeddedLab): Promise<TestController> {
  const first = await lab.serve(A);
  await addPool(lab, POOL);
  await first.stop();
  // `kubectl delete -f deploy/`: the definitions, and the namespace with ledgers and daemons.
  await lab.client.delete(kinds.MULTI_NIC_NETWORKS, { name: 'net' });
  const gone = ['cidrs', 'configs', 'hostinterfaces', 'ippools'];
  await removeKinds(lab, ...gone);
  const namespace = NAMESPACE;
  await lab.client.delete(kinds.CONFIG_MAPS, { name: `${LEDGER_NAME_PREFIX}net`, namespace });
  const pod = { name: `${DAEMON_APP}-node-0`, namespace };
  await lab.client.delete(kinds.PODS, pod, { gracePeriodSeconds: 0 });
  // `kubectl apply -f deploy/`
  await restoreKinds(lab, ...gone);
  const second = await lab.startController({ silenceMs: FOR_EVER });
  const { message } = await lab.untilCondition('net', 'Drained', 'False', 'PoolsMissing');
  expect(message).toContain('1 of 1 hosts');
  return second;
}

test('a network outlives an uninstallation that took all other records of it', async () => {
  await using embedded = await startLab();
  const { lab } = embedded;
  await reinstall(embedded);
  await lab.addDaemonPod('node-0');
  await lab.client.create(kinds.HOST_INTERFACES, toHostInterface('node-0', [A]));
  await addPool(lab, POOL);
  await endPod(embedded);
});

test('a pool that comes while the proof is sought is looked at for pods', async () => {
  await using embedded = await startLab();
  const { lab, server } = embedded;
  const { running } = await reinstall(embedded);
  // The question whether there are IPPools at all takes longer than the news of one.
  using asked = server.faults.add({
    action: 'delay',
    delayMs: 1_000,
    times: 1,
    match: ({ kind, query, isWatch }) =>
      kind?.plural === 'ippools' && query.get('limit') === '1' && !isWatch,
  });
  await lab.addDaemonPod('node-0');
  await eventually('it asks', () => asked.hits === 1);
  await addPool(lab, POOL);
  await eventually('it heard', () => running.world.pools.ofNetwork('net').length === 1);
  await endPod(embedded);
});

test('a daemon that is ready and publishes nothing holds nothing, one that is not may', async () => {
  await using embedded = await startLab();
  const { lab, server } = embedded;
  await lab.serve(A);
  await lab.setDaemonReady('node-0', false);
  await eventually('it is known', async () => (await lab.network('net')).status?.daemons === '0/1');
  await lab.client.delete(kinds.MULTI_NIC_NETWORKS, { name: 'net' });
  const { message } = await lab.untilCondition('net', 'Drained', 'False', 'PoolsMissing');
  expect(message).toContain('node-0');
  await lab.setDaemonReady('node-0', true);
  await eventually('the network is gone', () => server.objects('multinicnetworks').length === 0);
});
