// Routes to the pods of many hosts: a plan counts only when it is whole, whoever stops it on the way.
import { expect, setDefaultTimeout, test } from 'bun:test';
import { ClusterView } from '../../src/daemon/cluster/cluster-view.ts';
import { PeerPlans } from '../../src/daemon/cluster/peer-plans.ts';
import { staticTarget } from '../../src/shared/platform/kube/api-target.ts';
import { createKubeClient } from '../../src/shared/platform/kube/client.ts';
import { HOST_INTERFACES } from '../../src/shared/platform/kube/resource.ts';
import { eventually } from '../helpers/eventually.ts';
import { hostObject, NODE, networkObject, rail, startCluster } from './cluster.ts';
import { quietLog, sharedCore } from './harness.ts';

setDefaultTimeout(120_000);

const PEERS = 599;
const name = (index: number): string => (index === 0 ? NODE : `p${index}`);
const nic = (index: number) => ({
  interfaceName: 'eth1',
  netAddress: rail(1),
  hostIP: `10.0.1.${index === 0 ? 1 : 2 + (index % 250)}`,
});
const host = (index: number): Record<string, unknown> => ({
  ...hostObject({ name: name(index), hostIndex: index, nics: 1 }),
  spec: { hostName: name(index), interfaces: [nic(index)] },
});

/** Plans of a node among 600 hosts, and the view that they are made from. */
async function startPlans() {
  const objects = [
    networkObject({ nics: 1, ipam: { hostBlock: 10, vlanMode: 'l3' } }),
    ...Array.from({ length: PEERS + 1 }, (_, index) => host(index)),
  ];
  const api = await startCluster(objects);
  const client = createKubeClient(staticTarget({ server: api.url }));
  const stop = new AbortController();
  const view = new ClusterView({
    client,
    node: NODE,
    saved: { networks: [], self: undefined, classes: new Map() },
    onChange: () => undefined,
    signal: stop.signal,
    log: quietLog(),
  });
  await view.synced();
  const plans = new PeerPlans({ core: await sharedCore(), view, interfaces: () => [nic(0)] });
  return {
    client,
    view,
    plans,
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await api.close();
    },
  };
}

/** A signal that is aborted while the plan is being made: at its first pause. */
function abortedOnTheWay(): AbortSignal {
  const deadline = new AbortController();
  setImmediate(() => deadline.abort(new Error('deadline')));
  return deadline.signal;
}

const never = new AbortController().signal;

test('a plan that was stopped half-way counts as none, and is made by the next round', async () => {
  await using lab = await startPlans();
  await expect(lab.plans.refresh(abortedOnTheWay())).rejects.toThrow('deadline');
  expect(lab.plans.routes().routes).toEqual([]);
  await lab.plans.refresh(never);
  expect(lab.plans.routes().routes).toHaveLength(PEERS);
});

test('a plan that was stopped half-way leaves the one before it whole', async () => {
  await using lab = await startPlans();
  await lab.plans.refresh(never);
  const before = lab.plans.routes();
  expect(before.routes).toHaveLength(PEERS);
  lab.plans.allChanged();
  await expect(lab.plans.refresh(abortedOnTheWay())).rejects.toThrow('deadline');
  expect(lab.plans.routes()).toEqual(before);
});

test('hosts that changed are planned whole or again', async () => {
  await using lab = await startPlans();
  await lab.plans.refresh(never);
  // As after a list that was missed: every host may be another one.
  for (let index = 1; index <= PEERS; index += 1) lab.plans.hostChanged(name(index));
  await lab.client.delete(HOST_INTERFACES, { name: name(PEERS) });
  await eventually('the host is gone', () => lab.view.host(name(PEERS)) === undefined);
  await expect(lab.plans.refresh(abortedOnTheWay())).rejects.toThrow('deadline');
  expect(lab.plans.routes().routes).toHaveLength(PEERS);
  await lab.plans.refresh(never);
  expect(lab.plans.routes().routes).toHaveLength(PEERS - 1);
});
