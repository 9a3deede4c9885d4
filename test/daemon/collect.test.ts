// Garbage is collected on two proofs only: what the runtime does not list must also be dead, and
// what nobody asked for must have lost both its namespace and its pod.
import { describe, expect, setDefaultTimeout, test } from 'bun:test';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/shared/platform/clock.ts';
import { PODS } from '../../src/shared/platform/kube/resource.ts';
import { eventually } from '../helpers/eventually.ts';
import { hostObject, NODE, networkObject, startCluster } from './cluster.ts';
import { cniRequest, createFakeHost, type Harness, send, startHarness } from './harness.ts';

setDefaultTimeout(120_000);

const podObject = (name: string) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'default' },
  spec: { nodeName: NODE, containers: [{ name: 'c', image: 'i' }] },
});

/** Attachments `live` (its pod exists) and `dead` (it does not), both with their namespaces. */
async function setUp() {
  const hostNet = createFakeHost();
  const objects = [networkObject(), hostObject({ name: NODE, hostIndex: 0 }), podObject('live')];
  const h = await startHarness({ hostNet, objects });
  const uid = (await h.client.get(PODS, { namespace: 'default', name: 'live' }))?.metadata?.uid;
  const args = { live: uid ?? '', dead: 'gone-uid' };
  for (const container of ['live', 'dead'] as const) {
    hostNet.addNetns(`/run/netns/${container}`);
    await send(
      h.socket,
      cniRequest('ADD', {
        container,
        args: `K8S_POD_NAMESPACE=default;K8S_POD_NAME=${container};K8S_POD_UID=${args[container]}`,
      }),
    );
  }
  return { hostNet, h };
}

const gc = (valid: string[], network = 'net') =>
  cniRequest('GC', {
    network,
    config: {
      'cni.dev/valid-attachments': valid.map((containerID) => ({ containerID, ifname: 'net1' })),
    },
  });

const containers = (h: Harness): string[] =>
  h.daemon.parts.journal.list().map((row) => row.containerId);

describe('GC of the runtime', () => {
  test.each([
    ['no list', {}],
    ['a text', { 'cni.dev/valid-attachments': 'live' }],
    ['entries without IDs', { 'cni.dev/valid-attachments': [{}] }],
    ['entries that are none', { 'cni.dev/valid-attachments': [null] }],
    ['IDs that are numbers', { 'cni.dev/attachments': [{ containerID: 1, ifname: 2 }] }],
  ])('with %s is refused, and nothing is released', async (_title, config) => {
    const { h } = await setUp();
    await using _ = h;
    const answer = await send(h.socket, cniRequest('GC', { config }));
    expect(answer.problem.type).toBe('urn:multi-nic:problem:invalid-config');
    expect(containers(h)).toEqual(['live', 'dead']);
  });

  test('keeps what it lists', async () => {
    const { h } = await setUp();
    await using _ = h;
    expect((await send(h.socket, gc(['live', 'dead']))).status).toBe(200);
    expect(containers(h)).toEqual(['live', 'dead']);
  });

  test('releases what is not listed and whose pod is gone, links included', async () => {
    const { hostNet, h } = await setUp();
    await using _ = h;
    expect((await send(h.socket, gc(['live']))).status).toBe(200);
    expect(containers(h)).toEqual(['live']);
    using netns = hostNet.openNetns('/run/netns/dead');
    expect(netns.links()).toEqual([]);
  });

  test('releases what is not listed and whose namespace is gone, though the pod exists', async () => {
    const { hostNet, h } = await setUp();
    await using _ = h;
    hostNet.removeNetns('/run/netns/live');
    expect((await send(h.socket, gc(['dead']))).status).toBe(200);
    expect(containers(h)).toEqual(['dead']);
  });

  test('keeps and reports what is not listed but lives', async () => {
    const { h } = await setUp();
    await using _ = h;
    const answer = await send(h.socket, gc([]));
    expect(answer.problem).toMatchObject({
      type: 'urn:multi-nic:problem:conflict',
      kept: ['live/net1'],
    });
    expect(containers(h)).toEqual(['live']);
  });

  test('keeps what it cannot be sure of while the API server is away', async () => {
    const { h } = await setUp();
    await using _ = h;
    await h.api.stop();
    expect((await send(h.socket, gc([]))).status).toBe(409);
    expect(containers(h)).toEqual(['live', 'dead']);
    h.api.start();
  });

  test('of another network touches nothing; without its list it is refused', async () => {
    const { h } = await setUp();
    await using _ = h;
    expect((await send(h.socket, gc([], 'other'))).status).toBe(200);
    expect(containers(h)).toEqual(['live', 'dead']);
    const answer = await send(h.socket, cniRequest('GC'));
    expect(answer.problem.type).toBe('urn:multi-nic:problem:invalid-config');
  });
});

describe('our own rounds', () => {
  test('release what lost both namespace and pod, and nothing else', async () => {
    const { hostNet, h } = await setUp();
    await using _ = h;
    await h.daemon.collect();
    expect(containers(h)).toEqual(['live', 'dead']);
    hostNet.removeNetns('/run/netns/live');
    await h.daemon.collect();
    expect(containers(h)).toEqual(['live', 'dead']);
    hostNet.removeNetns('/run/netns/dead');
    await h.daemon.collect();
    expect(containers(h)).toEqual(['live']);
  });

  test('release everything of an earlier boot, whose namespaces cannot exist', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'mnd-'));
    const api = await startCluster([networkObject(), hostObject({ name: NODE, hostIndex: 0 })]);
    const hostNet = createFakeHost();
    hostNet.addNetns('/run/netns/c1');
    const first = await startHarness({ api, hostNet, directory });
    await send(first.socket, cniRequest('ADD'));
    await first.daemon.stop();
    await using h = await startHarness({ api, hostNet, directory, bootId: 'boot-2' });
    await eventually('released', () => containers(h).length === 0);
    // The path leads to a namespace of the new boot: its links are somebody else's.
    using netns = hostNet.openNetns('/run/netns/c1');
    expect(netns.links()).toHaveLength(4);
    await h.daemon.stop();
    await api.close();
    rmSync(directory, { recursive: true, force: true });
  });
});

/** A daemon that attached c1 is replaced by one that finds a DEL of c1 spooled at this time. */
async function restartWithSpooledDel(
  spooledAt: (attachedAt: Date) => Date,
  clock = systemClock,
): Promise<string[]> {
  const directory = mkdtempSync(join(tmpdir(), 'mnd-'));
  const api = await startCluster([networkObject(), hostObject({ name: NODE, hostIndex: 0 })]);
  const hostNet = createFakeHost();
  hostNet.addNetns('/run/netns/c1');
  const first = await startHarness({ api, hostNet, directory });
  await send(first.socket, cniRequest('ADD'));
  await first.daemon.stop();
  const spooled = { ...cniRequest('DEL'), spooledAt: spooledAt(new Date()).toISOString() };
  writeFileSync(join(directory, 'spool', 'c1-net1-1.json'), JSON.stringify(spooled));
  await using h = await startHarness({ api, hostNet, directory, clock });
  expect(readdirSync(join(directory, 'spool'))).toEqual([]);
  const left = containers(h);
  await h.daemon.stop();
  await api.close();
  rmSync(directory, { recursive: true, force: true });
  return left;
}

test('DELs of the spool are done before the daemon is ready', async () => {
  expect(await restartWithSpooledDel((attachedAt) => attachedAt)).toEqual([]);
});

test('a DEL that was spooled before the attachment was made does not touch it', async () => {
  const earlier = (attachedAt: Date): Date => new Date(attachedAt.getTime() - 60_000);
  expect(await restartWithSpooledDel(earlier)).toEqual(['c1']);
});

test('a DEL counts whose time is earlier only because the clock was set back', async () => {
  const backMs = 3_600_000;
  const clock = { ...systemClock, now: () => systemClock.now() - backMs };
  const later = (attachedAt: Date): Date => new Date(attachedAt.getTime() - backMs);
  expect(await restartWithSpooledDel(later, clock)).toEqual([]);
});
