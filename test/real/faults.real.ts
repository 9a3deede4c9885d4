// The daemon is killed between every two effects of an ADD, of its undoing and of a DEL, on the real
// kernel; after a restart nothing of the attachment is left, and no address was given twice.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FAULT_POINTS, type FaultPoint } from '../../src/daemon/attach/fault-points.ts';
import { spoolFileName } from '../../src/shared/model/daemon-api.ts';
import { addressesIn, cniRequest } from '../daemon/harness.ts';
import { type DaemonProcess, RealNode } from '../daemon/real-node.ts';
import { netnsObstacle, type TestNetns } from '../helpers/netns.ts';
import { requirement } from '../helpers/requirement.ts';

const NICS = 3;
/** A route of one link, and two next hops for one destination: a route made after the links. */
const ROUTES = [
  { dst: '172.32.0.0/16', gw: '192.168.0.201' },
  { dst: '172.16.0.0/12', gw: '192.168.0.200' },
  { dst: '172.16.0.0/12', gw: '192.168.64.200' },
];

interface Pod {
  readonly name: string;
  readonly netns: TestNetns;
}

let node: RealNode;
let podCount = 0;

const addPod = (): Pod => {
  podCount += 1;
  const name = `p${podCount}`;
  return { name, netns: node.addPod(name) };
};

const requestOf = (command: 'ADD' | 'DEL', { name, netns }: Pod, routes = ROUTES) =>
  cniRequest(command, {
    container: name,
    netns: netns.path,
    config: { ipam: { type: 'multi-nic-ipam', routes } },
  });

const gcRequest = (valid: readonly Pod[]) =>
  cniRequest('GC', {
    config: {
      'cni.dev/valid-attachments': valid.map(({ name }) => ({ containerID: name, ifname: 'net1' })),
    },
  });

/** Sends a request that the daemon does not survive. */
async function sendAndDie(daemon: DaemonProcess, request: unknown): Promise<void> {
  const answer = await node.send(request).catch(() => undefined);
  expect(answer).toBeUndefined();
  await daemon.child.exited;
  expect(daemon.child.signalCode ?? daemon.child.exitCode).toBe('SIGKILL');
}

async function stop(daemon: DaemonProcess): Promise<void> {
  daemon.child.kill('SIGTERM');
  expect(await daemon.child.exited).toBe(0);
}

/** IPv4 addresses on the links of a pod. */
function addressesOn({ netns }: Pod): string[] {
  const links: { ifname: string; addr_info: { local: string; family: string }[] }[] = JSON.parse(
    node.world.ip(netns, ['-json', 'address']),
  );
  return links
    .filter(({ ifname }) => ifname !== 'lo')
    .flatMap(({ addr_info }) => addr_info)
    .filter(({ family }) => family === 'inet')
    .map(({ local }) => local);
}

/** What the process that died has left in a pod. */
interface Remains {
  /** Names of links, and those of them that are up. */
  readonly links: string[];
  readonly up: string[];
  readonly addresses: number;
  readonly routes: string[];
}

function remainsIn({ netns }: Pod): Remains {
  const { world } = node;
  const links: { ifname: string; flags: string[] }[] = JSON.parse(
    world.ip(netns, ['-json', 'link']),
  ).filter(({ ifname }: { ifname: string }) => ifname !== 'lo');
  const routes: { dst: string; protocol: string }[] = JSON.parse(
    world.ip(netns, ['-json', 'route']),
  );
  return {
    links: links.map(({ ifname }) => ifname.replace(/^mn[0-9a-f]{13}$/, 'own')).sort(),
    up: links.filter(({ flags }) => flags.includes('UP')).map(({ ifname }) => ifname),
    addresses: addressesOn({ name: '', netns }).length,
    routes: routes.filter(({ protocol }) => protocol !== 'kernel').map(({ dst }) => dst),
  };
}

const NAMES = Array.from({ length: NICS }, (_, n) => `net1-${n}`);
const bare = { links: NAMES, up: NAMES, addresses: 0, routes: [] };
const whole = { ...bare, addresses: NICS, routes: ['172.32.0.0/16'] };
const finished = { ...whole, routes: ['172.16.0.0/12', '172.32.0.0/16'] };
const nothing = { links: [], up: [], addresses: 0, routes: [] };
const half = NAMES.slice(0, Math.ceil(NICS / 2));
/** Which state of the pod each point of an ADD stands for. */
const REMAINS: ReadonlyMap<FaultPoint, Remains> = new Map([
  ['add-addresses-taken', nothing],
  ['add-intent-written', nothing],
  ['add-half-the-links-made', { ...whole, links: half, up: half, addresses: half.length }],
  ['add-links-under-own-names', { ...bare, links: NAMES.map(() => 'own'), up: [] }],
  ['add-links-bare', bare],
  ['add-links-addressed', { ...bare, addresses: NICS }],
  ['add-links-made', whole],
  ['add-shared-routes-made', finished],
  ['add-intent-on-disk', finished],
  ['add-attached-written', finished],
]);

async function containersInJournal(): Promise<string[]> {
  const view = (await node.view('/v1/attachments')) as { attachments: { containerId: string }[] };
  return view.attachments.map(({ containerId }) => containerId);
}

/** Addresses that are held, over all pools. */
async function heldCount(): Promise<number> {
  const view = (await node.view('/v1/pools')) as { pools: { occupied: number }[] };
  return view.pools.reduce((sum, { occupied }) => sum + occupied, 0);
}

async function expectNothingOf(pod: Pod): Promise<void> {
  expect(node.linksIn(pod.netns)).toEqual([]);
  expect(await containersInJournal()).not.toContain(pod.name);
}

/** Another pod can attach, and shares no address with what is still on the links of `old`. */
async function expectOthersUnharmed(old: Pod): Promise<void> {
  const visible = addressesOn(old);
  const other = addPod();
  const answer = await node.send(requestOf('ADD', other));
  expect(answer.status).toBe(200);
  expect(addressesIn(answer)).toHaveLength(NICS);
  expect(visible.filter((address) => addressesIn(answer).includes(address))).toEqual([]);
  expect((await node.send(requestOf('DEL', other))).status).toBe(200);
  await expectNothingOf(other);
}

/** Everything there was is gone, whichever way the runtime cleans up. */
async function finish(way: 'DEL' | 'GC', pod: Pod): Promise<void> {
  const answer = await node.send(way === 'DEL' ? requestOf('DEL', pod) : gcRequest([]));
  expect(answer.problem).not.toHaveProperty('detail');
  await expectNothingOf(pod);
  expect(await heldCount()).toBe(0);
}

const points = (prefix: string): FaultPoint[] =>
  FAULT_POINTS.filter((point) => point.startsWith(prefix));

if (requirement('daemon fault points on the real kernel', netnsObstacle())) {
  afterEach(async () => {
    await node.killDaemons();
  });
  beforeAll(async () => {
    node = await RealNode.create({
      nics: NICS,
      // Addresses go round quickly: what is in quarantine must not be mistaken for what is held.
      env: { MULTI_NIC_QUARANTINE_SECONDS: '0' },
    });
  });
  afterAll(async () => {
    await node[Symbol.asyncDispose]();
  });

  for (const way of ['DEL', 'GC'] as const) {
    describe(`killed in ADD, then ${way}`, () => {
      test.each(points('add-'))('%s', async (point) => {
        const pod = addPod();
        await sendAndDie(await node.start({ MULTI_NIC_FAULT_POINT: point }), requestOf('ADD', pod));
        expect<Remains | undefined>(remainsIn(pod)).toEqual(REMAINS.get(point));
        const daemon = await node.start();
        // Whoever was not told of an attachment never had one; else it is still whole.
        if (point === 'add-attached-written') {
          expect(addressesOn(pod)).toHaveLength(NICS);
          expect(await containersInJournal()).toEqual([pod.name]);
        } else {
          await expectNothingOf(pod);
          expect(await heldCount()).toBe(0);
        }
        await expectOthersUnharmed(pod);
        await finish(way, pod);
        await stop(daemon);
      });
    });
  }

  describe('killed while a failed ADD is undone', () => {
    test.each(points('undo-'))('%s', async (point) => {
      const pod = addPod();
      // The broadcast address of a subnet is no gateway: the kernel refuses the shared route.
      const routes = ROUTES.map(({ dst, gw }) => ({ dst, gw: gw.replace('.0.200', '.63.255') }));
      const dying = await node.start({ MULTI_NIC_FAULT_POINT: point });
      await sendAndDie(dying, requestOf('ADD', pod, routes));
      const daemon = await node.start();
      await expectNothingOf(pod);
      await expectOthersUnharmed(pod);
      await finish('DEL', pod);
      await stop(daemon);
    });
  });

  describe('killed in DEL', () => {
    test.each(points('del-'))('%s', async (point) => {
      const pod = addPod();
      const first = await node.start({ MULTI_NIC_FAULT_POINT: point });
      expect((await node.send(requestOf('ADD', pod))).status).toBe(200);
      await sendAndDie(first, requestOf('DEL', pod));
      const daemon = await node.start();
      await expectNothingOf(pod);
      await expectOthersUnharmed(pod);
      await finish('DEL', pod);
      await stop(daemon);
    });

    test.each(points('del-'))('%s of the recovery after a crash in ADD', async (point) => {
      const pod = addPod();
      const crashing = await node.start({ MULTI_NIC_FAULT_POINT: 'add-links-made' });
      await sendAndDie(crashing, requestOf('ADD', pod));
      const dying = await node.start({ MULTI_NIC_FAULT_POINT: point });
      await dying.child.exited;
      expect(dying.log()).not.toContain('"msg":"ready"');
      const daemon = await node.start();
      await expectNothingOf(pod);
      await expectOthersUnharmed(pod);
      await finish('GC', pod);
      await stop(daemon);
    });
  });

  test('killed after a spooled DEL was done and before its file is gone', async () => {
    const pod = addPod();
    const first = await node.start();
    expect((await node.send(requestOf('ADD', pod))).status).toBe(200);
    await stop(first);
    const file = spoolFileName({ containerId: pod.name, ifName: 'net1', random: 'x' });
    writeFileSync(
      join(node.world.folder, 'spool', file),
      JSON.stringify({ ...requestOf('DEL', pod), spooledAt: new Date().toISOString() }),
      { mode: 0o600 },
    );
    const dying = await node.start({ MULTI_NIC_FAULT_POINT: 'spool-released' });
    await dying.child.exited;
    expect(dying.log()).not.toContain('"msg":"ready"');
    const daemon = await node.start();
    await expectNothingOf(pod);
    await expectOthersUnharmed(pod);
    expect(
      await Array.fromAsync(new Bun.Glob('*.json').scan(join(node.world.folder, 'spool'))),
    ).toEqual([]);
    await finish('DEL', pod);
    await stop(daemon);
  });

  test('every fault point is reached by a test of this file', () => {
    const groups = ['add-', 'undo-', 'del-', 'spool-'].flatMap(points);
    expect(groups.sort()).toEqual([...FAULT_POINTS].sort());
  });
}
