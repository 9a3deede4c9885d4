// The daemon as a process on the real kernel: links that work, routes that heal, and what happens
// when the disk is full, the journal is damaged, or a second daemon is started.
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test';
import { mkdirSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hostObject, NODE, networkObject } from '../daemon/cluster.ts';
import { type Answer, addressesIn, cniRequest } from '../daemon/harness.ts';
import { RealNode } from '../daemon/real-node.ts';
import { eventually } from '../helpers/eventually.ts';
import { netnsObstacle, type TestNetns } from '../helpers/netns.ts';
import { requirement } from '../helpers/requirement.ts';

const NICS = 3;
let node: RealNode;
let podCount = 0;

interface Pod {
  readonly name: string;
  readonly netns: TestNetns;
}

const addPod = (): Pod => {
  podCount += 1;
  return { name: `p${podCount}`, netns: node.addPod(`p${podCount}`) };
};

const call = (
  command: 'ADD' | 'DEL' | 'CHECK',
  { name, netns }: Pod,
  config: Record<string, unknown> = {},
): Promise<Answer> =>
  node.send(cniRequest(command, { container: name, netns: netns.path, config }));

const kindOf = (answer: Answer): string => answer.problem.type?.split(':').at(-1) ?? 'ok';

/** Destinations and gateways of the daemon's routes on the host. */
function hostRoutes(): string[] {
  const routes: { dst: string; gateway: string }[] = JSON.parse(
    node.world.ip(node.host, ['-json', 'route', 'show', 'proto', '77']),
  );
  return routes.map(({ dst, gateway }) => `${dst} ${gateway}`).sort();
}

/** A file system of its own for the journal, so that it can be full. */
function mountSmall(path: string): void {
  mkdirSync(path, { recursive: true });
  const { exitCode, stderr } = Bun.spawnSync(
    ['mount', '-t', 'tmpfs', '-o', 'size=2m,mode=700', 'mnd-small', path],
    { stderr: 'pipe' },
  );
  if (exitCode !== 0) throw new Error(`mount: ${stderr}`);
}

const unmount = (path: string): void => {
  Bun.spawnSync(['umount', '--lazy', path]);
};

if (requirement('daemon on the real kernel', netnsObstacle())) {
  beforeAll(async () => {
    const objects = [
      networkObject({ nics: NICS, ipam: { vlanMode: 'l3' } }),
      hostObject({ name: NODE, hostIndex: 0, nics: NICS }),
      hostObject({ name: 'n2', hostIndex: 2, nics: NICS }),
    ];
    node = await RealNode.create({ nics: NICS, objects });
  });
  afterEach(async () => {
    await node.killDaemons();
    rmSync(node.stateDirectory, { recursive: true, force: true });
  });
  afterAll(async () => {
    await node[Symbol.asyncDispose]();
  });

  describe('pods', () => {
    test('get a link per NIC, reach each other, and leave no trace', async () => {
      const daemon = await node.start();
      const [first, second] = [addPod(), addPod()];
      await call('ADD', first);
      const answer = await call('ADD', second);
      expect(addressesIn(answer)).toHaveLength(NICS);
      for (const address of addressesIn(answer)) {
        expect(node.world.ping(first.netns, address)).toBe(true);
      }
      for (const pod of [first, second]) {
        expect(node.linksIn(pod.netns)).toEqual(['net1-0', 'net1-1', 'net1-2']);
        expect((await call('DEL', pod)).status).toBe(200);
        expect(node.linksIn(pod.netns)).toEqual([]);
      }
      daemon.child.kill('SIGTERM');
      expect(await daemon.child.exited).toBe(0);
    });

    test.each(['bridge', 'private', 'vepa', 'passthru'])('macvlan mode %s', async (mode) => {
      await node.start();
      const pod = addPod();
      const config = { plugin: { type: 'macvlan', mode, mtu: 1400 } };
      expect((await call('ADD', pod, config)).reply.result?.interfaces?.[0]?.mtu).toBe(1400);
      const links = node.world.ip(pod.netns, ['-details', 'link', 'show', 'net1-0']);
      expect(links).toContain(`macvlan mode ${mode}`);
      expect((await call('CHECK', pod, config)).status).toBe(200);
      await call('DEL', pod, config);
    });

    test('get their routes, also several next hops and none, and CHECK sees what is lost', async () => {
      await node.start();
      const pod = addPod();
      const routes = [
        { dst: '172.16.0.0/12', gw: '192.168.0.200' },
        { dst: '10.9.0.0/16', gw: '192.168.64.200' },
        { dst: '10.9.0.0/16', gw: '192.168.128.200' },
        { dst: '10.8.0.0/16' },
      ];
      const config = { ipam: { type: 'multi-nic-ipam', routes } };
      const answer = await call('ADD', pod, config);
      expect(answer.reply.result?.routes).toEqual(routes);
      const text = node.world.ip(pod.netns, ['route']);
      expect(text).toContain('172.16.0.0/12 via 192.168.0.200 dev net1-0');
      expect(text.match(/nexthop via 192\.168\.(64|128)\.200 dev net1-[12]/g)).toHaveLength(2);
      expect(text.match(/nexthop dev net1-[012]/g)).toHaveLength(3);
      expect((await call('CHECK', pod, config)).status).toBe(200);
      node.world.ip(pod.netns, ['route', 'del', '172.16.0.0/12']);
      node.world.ip(pod.netns, ['address', 'flush', 'dev', 'net1-2']);
      const checked = await call('CHECK', pod, config);
      expect(checked.problem.detail).toContain('the route to 172.16.0.0/12 is missing');
      expect(checked.problem.detail).toContain('net1-2 has lost address');
      await call('DEL', pod, config);
    });

    test('whose link was given another MTU, MAC or state fail CHECK', async () => {
      await node.start();
      const pod = addPod();
      const { result } = (await call('ADD', pod)).reply;
      const config = { cniVersion: '1.1.0', prevResult: result };
      expect((await call('CHECK', pod, config)).status).toBe(200);
      const set = (...args: string[]) => node.world.ip(pod.netns, ['link', 'set', ...args]);
      set('net1-0', 'mtu', '1300');
      set('net1-1', 'address', '02:00:00:00:00:77');
      set('net1-2', 'down');
      const { detail } = (await call('CHECK', pod, config)).problem;
      expect(detail).toContain('net1-0 has MTU 1300, not 1500');
      expect(detail).toContain('net1-1 has MAC 02:00:00:00:00:77, not');
      expect(detail).toContain('net1-2 is down');
      await call('DEL', pod);
    });

    test('whose interface name is taken get nothing', async () => {
      await node.start();
      const pod = addPod();
      node.world.ip(pod.netns, ['link', 'add', 'net1-2', 'type', 'bridge']);
      expect(kindOf(await call('ADD', pod))).toBe('name-in-use');
      expect(node.linksIn(pod.netns)).toEqual(['net1-2']);
    });

    test('get no link on a NIC that vanished, and all once it is back', async () => {
      await node.start();
      const pod = addPod();
      node.world.ip(node.host, ['link', 'set', 'eth2', 'down']);
      const answer = await eventually('refused', async () => {
        const one = await call('ADD', pod);
        if (one.status === 200) await call('DEL', pod);
        return one.status !== 200 && one;
      });
      expect(['no-master', 'link-failed']).toContain(kindOf(answer));
      expect(node.linksIn(pod.netns)).toEqual([]);
      node.world.ip(node.host, ['link', 'set', 'eth2', 'up']);
      await eventually('attached', async () => (await call('ADD', pod)).status === 200);
      await call('DEL', pod);
    });
  });

  describe('routes between hosts', () => {
    const wanted = [0, 1, 2].map((i) => `192.168.${64 * i + 2}.0/24 10.0.${i + 1}.12`).sort();
    // In less time than the slow round takes that compares them anyway.
    const settled = (): Promise<unknown> =>
      eventually('routes', () => hostRoutes().join() === wanted.join(), 15_000);

    test('are made, come back when deleted, and follow their NIC', async () => {
      await node.start();
      await settled();
      node.world.ip(node.host, ['route', 'del', '192.168.2.0/24']);
      await settled();
      node.world.ip(node.host, ['link', 'set', 'eth1', 'down']);
      node.world.ip(node.host, ['link', 'set', 'eth1', 'up']);
      await settled();
    });

    test('of others are not touched', async () => {
      const args = ['192.168.2.0/24', 'via', '10.0.1.99', 'proto', 'static'];
      node.world.ip(node.host, ['route', 'flush', 'proto', '77']);
      node.world.ip(node.host, ['route', 'add', ...args]);
      await node.start();
      await eventually('the other two', () => hostRoutes().length === 2);
      await eventually('the one that is missing is named', async () => {
        const { missing } = (await node.view('/v1/routes')) as {
          missing: { destination: string }[];
        };
        return `${missing.map(({ destination }) => destination)}` === '192.168.2.0/24';
      });
      node.world.ip(node.host, ['route', 'del', ...args]);
      await settled();
    });
  });

  describe('the journal', () => {
    test('on a full disk refuses as transient, loses nothing, and goes on when there is room', async () => {
      mountSmall(node.stateDirectory);
      try {
        await node.start();
        const [kept, late] = [addPod(), addPod()];
        expect((await call('ADD', kept)).status).toBe(200);
        const filler = join(node.stateDirectory, 'filler');
        // Whatever room there is, in pieces that get smaller.
        for (let sizeBytes = 1 << 20; sizeBytes >= 512; sizeBytes >>= 1) fill(filler, sizeBytes);
        const refused = await eventually('refused', async () => {
          const answer = await call('ADD', late);
          if (answer.status === 200) await call('DEL', late);
          return answer.status !== 200 && answer;
        });
        expect(kindOf(refused)).toBe('not-ready');
        expect(refused.problem.detail).toContain('cannot be written');
        expect(node.linksIn(late.netns)).toEqual([]);
        expect(kindOf(await call('DEL', kept))).toBe('not-ready');
        rmSync(filler);
        expect((await call('CHECK', kept)).problem.type ?? 'ok').toBe('ok');
        const answer = await call('ADD', late);
        expect(answer.status).toBe(200);
        for (const pod of [kept, late]) expect((await call('DEL', pod)).status).toBe(200);
        await node.killDaemons();
        await node.start();
        expect(await node.view('/v1/attachments')).toMatchObject({ count: 0 });
      } finally {
        await node.killDaemons();
        unmount(node.stateDirectory);
      }
    });

    const damages: [string, (path: string) => void][] = [
      // Inside the first page: the log may make good every other one.
      ['is cut', (path) => truncateSync(path, 2_048)],
      ['lost its log', (path) => rmSync(`${path}-wal`)],
    ];
    test.each(damages)('that %s is refused with steps that work', async (_title, damage) => {
      await node.start();
      const pod = addPod();
      const before = addressesIn(await call('ADD', pod));
      await eventually('published', () => {
        const text = node.getFromApi('/apis/multinic.fms.io/v1/ippools');
        return before.every((address) => text.includes(`"${address}"`));
      });
      await node.killDaemons();
      const path = join(node.stateDirectory, 'journal.db');
      damage(path);
      for (let time = 0; time < 2; time += 1) {
        const refused = await node.start();
        expect(refused.child.exitCode).toBe(1);
        expect(refused.log()).toContain(`move ${path}`);
      }
      const aside = join(node.world.folder, 'aside');
      mkdirSync(aside, { recursive: true });
      renameSync(path, join(aside, 'journal.db'));
      for (const suffix of ['-wal', '-shm']) rmSync(path + suffix, { force: true });
      await node.start();
      const other = addPod();
      const after = addressesIn(await call('ADD', other));
      expect(after).toHaveLength(NICS);
      expect(after.filter((address) => before.includes(address))).toEqual([]);
    });

    test('is used by one daemon only', async () => {
      await node.start();
      const second = await node.start({ MULTI_NIC_SOCKET: join(node.world.folder, 'other.sock') });
      expect(second.child.exitCode).toBe(1);
      expect(second.log()).toContain('another daemon has the journal');
    });
  });

  test('a second daemon on the same socket leaves the first alone', async () => {
    await node.start();
    const state = join(node.world.folder, 'other-state');
    const second = await node.start({ MULTI_NIC_STATE: state });
    expect(second.child.exitCode).toBe(1);
    expect(second.log()).toContain('another daemon answers');
    expect((await node.send(cniRequest('STATUS'))).status).toBe(200);
  });
}

/** Appends as long as there is room for so much. */
function fill(path: string, sizeBytes: number): void {
  const block = Buffer.alloc(sizeBytes, 1);
  for (;;) {
    try {
      writeFileSync(path, block, { flag: 'a' });
    } catch {
      return; // no room for a piece of this size
    }
  }
}
