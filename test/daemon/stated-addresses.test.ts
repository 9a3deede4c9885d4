// Addresses that running pods say they have (the annotation of the meta-plugin) while no record
// does: the original dropped records, and a journal can be lost before its last copy was written.
import { expect, setDefaultTimeout, test } from 'bun:test';
import { eventually } from '../helpers/eventually.ts';
import { hostObject, NODE, networkObject } from './cluster.ts';
import { podObject, pool1, poolObject } from './cluster-scene.ts';
import { addressesIn, cniRequest, createFakeHost, send, startHarness } from './harness.ts';

setDefaultTimeout(20_000);

const KEY = 'k8s.v1.cni.cncf.io/network-status';
const OLD_KEY = 'k8s.v1.cni.cncf.io/networks-status';

/** A pod with what the meta-plugin wrote on it. */
const statedPod = (
  name: string,
  ips: readonly string[],
  o: { key?: string; network?: string; text?: string } = {},
) => {
  const pod = podObject(name);
  const entry = { name: o.network ?? 'default/net', interface: 'net1', ips, dns: {} };
  const text = o.text ?? JSON.stringify([{ name: 'cbr0', ips: ['10.244.0.2'] }, entry]);
  return {
    ...pod,
    metadata: { ...pod.metadata, annotations: { [o.key ?? KEY]: text } },
  };
};

const scene = (pods: readonly object[], allocations: [pod: string, index: number][] = []) => [
  networkObject(),
  hostObject({ name: NODE, hostIndex: 0 }),
  poolObject({
    name: 'net-192.168.0.0-24',
    podCIDR: '192.168.0.0/24',
    interfaceName: 'eth1',
    allocations,
  }),
  ...pods,
];

test('an address without a record is held for the pod that states it, and given to nobody', async () => {
  const hostNet = createFakeHost();
  hostNet.addNetns('/run/netns/c1');
  const pods = [
    statedPod('new', ['192.168.0.1']),
    statedPod('old', ['192.168.0.2'], { key: OLD_KEY }),
  ];
  await using h = await startHarness({ hostNet, objects: scene(pods) });
  const rows = h.daemon.parts.journal.list();
  expect(rows.map((row) => [row.podName, row.nics[0]?.addresses[0]?.address])).toEqual([
    ['new', '192.168.0.1'],
    ['old', '192.168.0.2'],
  ]);
  expect(addressesIn(await send(h.socket, cniRequest('ADD')))[0]).toBe('192.168.0.3');
  expect(h.daemon.parts.keeper.conflicts).toEqual([]);
});

test.each([
  ['is on another network', statedPod('p', ['192.168.0.1'], { network: 'default/other-net' })],
  ['states another address', statedPod('p', ['192.169.0.1'])],
  ['says nothing that can be read', statedPod('p', [], { text: '[{"name":"net","ips":7}' })],
  ['says something else', statedPod('p', [], { text: '{"name":"net"}' })],
])('a pod that %s holds nothing', async (_title, pod) => {
  await using h = await startHarness({ objects: scene([pod]) });
  expect(h.daemon.parts.journal.list()).toEqual([]);
});

test('records that the original damaged: the pods are right, and what contradicts them is reported', async () => {
  // A hole was given to `refill`; its record was written over that of `last`, and is there twice.
  const pods = [statedPod('refill', ['192.168.0.5']), statedPod('last', ['192.168.0.13'])];
  await using h = await startHarness({
    objects: scene(pods, [
      ['refill', 5],
      ['refill', 5],
    ]),
  });
  expect(pool1(h)?.pool.isOccupied(5)).toBe(true);
  expect(pool1(h)?.pool.isOccupied(13)).toBe(true);
  expect(h.daemon.parts.keeper.conflicts.map(({ address, pod }) => [address, pod])).toEqual([
    ['192.168.0.5', 'default/refill'],
  ]);
});

test('a record beyond the addresses that are ever given is reported, and keeps nobody waiting', async () => {
  const far = { pod: 'far', namespace: 'default', index: 65_536, address: '172.17.0.0' };
  const old = poolObject({
    name: 'net-172.16.0.0-12',
    podCIDR: '172.16.0.0/12',
    interfaceName: 'eth1',
    allocations: [],
  });
  const near = { pod: 'near', namespace: 'default', index: 65_535, address: '172.16.255.255' };
  const pool = { ...old, spec: { ...old.spec, allocations: [far, near] } };
  const pods = [podObject('far'), podObject('near')];
  await using h = await startHarness({ objects: [...scene(pods), pool] });
  expect(h.daemon.parts.journal.list().map(({ podName }) => podName)).toEqual(['near']);
  expect(h.daemon.parts.keeper.conflicts).toMatchObject([
    { pod: 'default/far', address: '172.17.0.0' },
  ]);
});

test('a record of a pod that is gone gives way to the pod that has the address', async () => {
  const pods = [statedPod('here', ['192.168.0.1'])];
  await using h = await startHarness({ objects: scene(pods, [['gone', 1]]) });
  await h.daemon.collect();
  expect(h.daemon.parts.journal.list().map(({ podName }) => podName)).toEqual(['here']);
});

test('two pods that state one address are reported, and it is held', async () => {
  const pods = [statedPod('a', ['192.168.0.1']), statedPod('b', ['192.168.0.1'])];
  await using h = await startHarness({ objects: scene(pods) });
  expect(pool1(h)?.pool.isOccupied(1)).toBe(true);
  await eventually('reported', () => h.daemon.parts.keeper.conflicts.length === 1);
  expect(h.daemon.parts.keeper.conflicts[0]).toMatchObject({
    address: '192.168.0.1',
    pod: 'default/b',
    reason: 'default/a has it as well',
  });
});
