// Host-subnet mode: pods and hosts have addresses of the same subnet, and no pod may get one of any
// host (W-13).
import { expect, setDefaultTimeout, test } from 'bun:test';
import type { FaultPoint, FaultPoints } from '../../src/daemon/attach/fault-points.ts';
import { parseCidr } from '../../src/shared/model/ip/cidr.ts';
import { eventually } from '../helpers/eventually.ts';
import { hostObject, NODE, networkObject, putHost, startCluster } from './cluster.ts';
import {
  AWAY,
  addressesIn,
  cniRequest,
  createFakeHost,
  type Harness,
  send,
  startHarness,
} from './harness.ts';

setDefaultTimeout(120_000);

/** Blocks of 16 addresses: 10.0.1.0/28 holds the NICs of hosts 0 to 5, from .10 on. */
const network = networkObject({
  nics: 1,
  ipam: { hostBlock: 4, interfaceBlock: 0 },
  spec: { subnet: '' },
});
const host = (index: number): Record<string, unknown> =>
  hostObject({ name: index === 0 ? NODE : `p${index}`, hostIndex: index, nics: 1 });

/** Attaches pods until none can be; the addresses that they got. */
async function fill(socket: string, hostNet: ReturnType<typeof createFakeHost>, prefix: string) {
  const given: string[] = [];
  for (let i = 0; i < 32; i += 1) {
    const container = `${prefix}${i}`;
    hostNet.addNetns(`/run/netns/${container}`);
    const answer = await send(socket, cniRequest('ADD', { container }));
    if (answer.status !== 200) {
      expect(answer.problem.type).toContain('pool-exhausted');
      return given;
    }
    given.push(...addressesIn(answer));
  }
  throw new Error('a block of 16 gives more than 32 addresses');
}

const addresses = (first: number, last: number): string[] =>
  Array.from({ length: last - first + 1 }, (_, i) => `10.0.1.${first + i}`);

test('no pod gets the address of any host', async () => {
  const hostNet = createFakeHost(1);
  await using h = await startHarness({ hostNet, objects: [network, ...[0, 1, 2].map(host)] });
  const given = await fill(h.socket, hostNet, 'c');
  expect(given.sort()).toEqual([...addresses(1, 9), ...addresses(13, 14)].sort());
});

test('a host that joins takes its address out of the pool', async () => {
  const hostNet = createFakeHost(1);
  await using h = await startHarness({ hostNet, objects: [network, host(0)] });
  await putHost(h.client, host(3));
  await eventually('13 is left out', () =>
    h.daemon.parts.pools.records().some(({ plan }) => plan.excludes.length === 2),
  );
  expect(await fill(h.socket, hostNet, 'c')).not.toContain('10.0.1.13');
});

test('a start without the API server still knows the addresses of the hosts', async () => {
  const api = await startCluster([network, ...[0, 1, 2].map(host)]);
  const hostNet = createFakeHost(1);
  const first = await startHarness({ api, hostNet });
  const { journal } = first.daemon.parts;
  await eventually('saved, the host last', () => journal.plans('host').size === 1);
  await first.daemon.stop();
  await api.stop();
  const second = await startHarness({ api, hostNet, directory: first.directory, env: AWAY });
  const given = await fill(second.socket, hostNet, 'd');
  expect(given).not.toEqual([]);
  for (const address of addresses(10, 12)) expect(given).not.toContain(address);
  await second.daemon.stop();
  await first[Symbol.asyncDispose]();
  await api.close();
});

test('ADDs that are under way are not refused when a host joins', async () => {
  const hostNet = createFakeHost(1);
  const harness: { current?: Harness } = {};
  let joined = 3;
  // Between taking an address and recording it, the pool gets the excludes of one host more.
  const join = (point: FaultPoint): void => {
    const pools = harness.current?.daemon.parts.pools;
    if (pools === undefined || point !== 'add-addresses-taken') return;
    joined += 1;
    const more = [0, 1, 2, joined].map((index) => parseCidr(`10.0.1.${10 + index}/32`) ?? []);
    pools.apply(
      pools.records().map(({ plan }) => ({
        plan: { ...plan, excludes: more.flat() },
        reason: undefined,
      })),
    );
  };
  const faults: FaultPoints = { isActive: () => false, reach: join };
  await using h = await startHarness({ hostNet, faults, objects: [network, host(0)] });
  await h.daemon.idle();
  harness.current = h;
  const containers = Array.from({ length: 6 }, (_, i) => `c${i}`);
  for (const container of containers) hostNet.addNetns(`/run/netns/${container}`);
  const answers = await Promise.all(
    containers.map((container) => send(h.socket, cniRequest('ADD', { container }))),
  );
  expect(answers.map(({ problem }) => problem.detail)).toEqual(containers.map(() => undefined));
  expect(new Set(answers.flatMap(addressesIn)).size).toBe(containers.length);
});
