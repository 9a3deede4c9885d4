// The original's paths for routes and for the choice of NICs: whatever is unknown, refused or not
// there is said, in the shapes that its clients understand.
import { describe, expect, setDefaultTimeout, test } from 'bun:test';
import { parseIdentity } from '../../src/daemon/attach/attach-config.ts';
import { detach } from '../../src/daemon/attach/detach.ts';
import { noFaults } from '../../src/daemon/attach/fault-points.ts';
import golden from '../golden/pools/requests.json';
import { eventually } from '../helpers/eventually.ts';
import { hostObject, NODE, networkObject, putHost, rail, startCluster } from './cluster.ts';
import { keepDirectory, podObject } from './cluster-scene.ts';
import { AWAY, cniRequest, createFakeHost, type Harness, startHarness } from './harness.ts';

setDefaultTimeout(120_000);

const env = { MULTI_NIC_COMPAT_WRITES: 'true' };
const network = (name: string, subnet: string, o: { ipam?: object; spec?: object } = {}) =>
  networkObject({ name, nics: 2, ipam: o.ipam ?? {}, spec: { subnet, ...o.spec } });
const host = (name: string, hostIndex: number) =>
  hostObject({ name, hostIndex, nics: 2, networks: ['net', 'flat', 'devices', 'near'] });
const objects = [
  network('net', '192.168.0.0/16', { ipam: { vlanMode: 'l3' } }),
  network('flat', '10.128.0.0/16'),
  network('devices', '10.129.0.0/16', {
    spec: { masterNets: [rail(2)], attachPolicy: { strategy: 'devClass' } },
  }),
  network('near', '10.130.0.0/16', { spec: { attachPolicy: { strategy: 'topology' } } }),
  host(NODE, 0),
  host('n2', 1),
];

async function post(h: Harness, path: string, body: object): Promise<[number, unknown]> {
  const response = await fetch(`${h.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return [response.status, await response.json()];
}

async function setUp() {
  const hostNet = createFakeHost(2);
  const h = await startHarness({ hostNet, objects, env });
  const ours = (): string[] => hostNet.routes({ protocol: 77 }).map((one) => one.destination);
  await eventually('routes', () => ours().length === 2);
  return { h, hostNet, ours };
}

const routed = [
  { net: '192.168.1.0/24', via: '10.0.1.11', iface: 'eth1' },
  { net: '192.168.65.0/24', via: '10.0.2.11', iface: 'eth2' },
];
const done: [number, unknown] = [200, { success: true, msg: '' }];
const refusal = (msg: unknown): [number, unknown] => [200, { success: false, msg }];

describe('addl3', () => {
  test('succeeds when the routes that the network needs and that were asked for are there', async () => {
    const { h } = await setUp();
    await using _ = h;
    expect(await post(h, '/addl3', { name: 'net' })).toEqual(done);
    expect(await post(h, '/addl3', { name: 'net', routes: routed, force: true })).toEqual(done);
    expect(await post(h, '/addl3', { name: 'flat', routes: null })).toEqual(done);
  });

  test('of a network that nobody knows fails', async () => {
    const { h } = await setUp();
    await using _ = h;
    expect(await post(h, '/addl3', { name: 'main', routes: [] })).toEqual(
      refusal('AddRoutesError there is no MultiNicNetwork main;'),
    );
  });

  test('fails for a route that the network does not have', async () => {
    const { h, ours } = await setUp();
    await using _ = h;
    const before = ours();
    const other = { net: '0.0.0.0/0', via: '10.0.1.1', iface: 'eth1' };
    expect(await post(h, '/addl3', { name: 'net', routes: [...routed, other] })).toEqual(
      refusal('AddRouteError 0.0.0.0/0 via 10.0.1.1: no route of this network;'),
    );
    expect(await post(h, '/addl3', { name: 'flat', routes: [other] })).toMatchObject(
      refusal(expect.stringContaining('no route of this network')),
    );
    expect(ours()).toEqual(before);
  });

  test('fails for a host that no route can lead to', async () => {
    const { h } = await setUp();
    await using _ = h;
    // Its addresses are this host's own.
    const { spec } = host(NODE, 0);
    await putHost(h.client, { ...host('n3', 2), spec });
    await eventually('unreachable', () => h.daemon.parts.routes.report.unreachable.length === 2);
    expect(await post(h, '/addl3', { name: 'net' })).toMatchObject(
      refusal(expect.stringContaining('AddRouteError host n3 in 10.0.1.0/24: ')),
    );
    expect(await post(h, '/addl3', { name: 'flat' })).toEqual(done);
  });

  test('fails for a destination that two hosts claim', async () => {
    const { h } = await setUp();
    await using _ = h;
    await putHost(h.client, host('n3', 1));
    await eventually('contested', () => h.daemon.parts.routes.report.contested.length === 2);
    expect(await post(h, '/addl3', { name: 'net' })).toEqual(
      refusal(
        'AddRouteError 192.168.1.0/24: two hosts claim it;AddRouteError 192.168.65.0/24: two hosts claim it;',
      ),
    );
    expect(await post(h, '/addl3', { name: 'flat' })).toEqual(done);
  });
});

describe('deletel3', () => {
  test('of a network that is routed removes nothing, and says so', async () => {
    const { h, ours } = await setUp();
    await using _ = h;
    expect(await post(h, '/deletel3', { name: 'net', routes: [] })).toEqual(
      refusal('routes follow network net for as long as it is there; none was removed'),
    );
    expect(ours()).toHaveLength(2);
  });

  test('of a network that nobody knows fails in the words of the original', async () => {
    const { h, ours } = await setUp();
    await using _ = h;
    expect(await post(h, '/deletel3', { name: 'main', routes: [] })).toEqual(
      refusal('Failed to get tableID: there is no MultiNicNetwork main'),
    );
    expect(ours()).toHaveLength(2);
  });

  test('of a network without routes has nothing to do', async () => {
    const { h } = await setUp();
    await using _ = h;
    expect(await post(h, '/deletel3', { name: 'flat', routes: [] })).toEqual(done);
  });
});

test('nothing is said of routes before the API server was heard', async () => {
  using directory = keepDirectory();
  const api = await startCluster(objects);
  const hostNet = createFakeHost(2);
  const first = await startHarness({ api, hostNet, directory: directory.path, env });
  const { journal } = first.daemon.parts;
  await eventually('saved, the host last', () => journal.plans('host').size === 1);
  await first.daemon.stop();
  await api.stop();
  const o = { api, hostNet, directory: directory.path, env: { ...env, ...AWAY } };
  await using h = await startHarness(o);
  for (const path of ['/addl3', '/deletel3']) {
    expect(await post(h, path, { name: 'net' })).toMatchObject([503, { status: 503 }]);
  }
  await api.close();
});

describe('select', () => {
  const select = (h: Harness, body: object) =>
    post(h, '/select', { pod: 'p', namespace: 'default', args: {}, ...body });

  test('for a network that nobody knows, or nobody can use, chooses nothing', async () => {
    const { h } = await setUp();
    await using _ = h;
    const unknown = { status: 404, detail: 'there is no MultiNicNetwork other' };
    expect(await select(h, { def: 'other' })).toMatchObject([404, unknown]);
    const strategy = expect.stringContaining('"topology" is not supported');
    expect(await select(h, { def: 'near' })).toMatchObject([422, { detail: strategy }]);
  });

  test('never widens the choice that a network or a class makes', async () => {
    const { h } = await setUp();
    await using _ = h;
    expect(await select(h, { def: 'devices' })).toEqual([
      200,
      { deviceIDs: [], masters: ['eth2'] },
    ]);
    const missing = expect.stringContaining('there is no DeviceClass fast');
    expect(await select(h, { def: 'devices', args: { class: 'fast' } })).toMatchObject([
      422,
      { detail: missing },
    ]);
    const unasked = expect.stringContaining('a device class is named');
    expect(await select(h, { def: 'net', args: { class: 'fast' } })).toMatchObject([
      422,
      { detail: unasked },
    ]);
  });
});

describe('allocate and deallocate', () => {
  test.each(golden.rows)('$about', async ({ pools, masters, allocated, released }) => {
    const n = pools.length;
    const objects = [networkObject({ nics: n }), hostObject({ name: NODE, hostIndex: 0, nics: n })];
    await using h = await startHarness({ hostNet: createFakeHost(n), objects, env });
    expect(h.daemon.parts.pools.records().map(({ plan }) => plan.interfaceName)).toEqual(pools);
    const request = { pod: 'podA', namespace: 'default', host: NODE, def: 'net', masters };
    const count = ([status, body]: [number, unknown]): number =>
      status === 200 ? Array.from(Object(body ?? [])).length : status;
    expect(count(await post(h, '/allocate', request))).toBe(allocated);
    expect(h.daemon.parts.journal.held()).toHaveLength(released);
    expect(count(await post(h, '/deallocate', request))).toBe(released);
    expect(h.daemon.parts.journal.held()).toEqual([]);
  });
});

test('addresses of a pod that two release at once rest once', async () => {
  const hostNet = createFakeHost(2);
  const pod = { namespace: 'default', name: 'p' };
  let other: Promise<unknown> | undefined;
  let detachToo = (): Promise<unknown> | undefined => undefined;
  const faults = {
    ...noFaults,
    reach: (point: string) => {
      if (point === 'del-releasing-written') other ??= detachToo();
    },
  };
  await using h = await startHarness({
    hostNet,
    objects: [...objects, podObject(pod.name)],
    env,
    faults,
  });
  const { attachPorts, pools, view } = h.daemon.parts;
  const request = { pod: pod.name, namespace: pod.namespace, def: 'net', masters: ['eth1'] };
  const [status, given] = await post(h, '/allocate', request);
  expect(status).toBe(200);
  const args = `K8S_POD_NAMESPACE=default;K8S_POD_NAME=p;K8S_POD_UID=${view.podUid(pod)}`;
  // The runtime's DEL comes while an old client releases the same.
  detachToo = () => detach(attachPorts, parseIdentity(cniRequest('DEL', { args })));
  expect(await post(h, '/deallocate', request)).toEqual([200, given]);
  expect(await other).toBe('unknown');
  expect(pools.quarantined).toBe(1);
});
