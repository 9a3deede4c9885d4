// The contract of HostNet about the host's routes: ours are kept exactly, others' never touched.
import { describe, expect, test } from 'bun:test';
import type { HostRoute } from '../../src/daemon/hostnet/host-net.ts';
import { type HostNetLab, nicIndex } from './lab.ts';

const OURS = 77;
const STATIC = 4;
const MAIN = 254;

/** The same facts in both families. `far` is reached through `near` hosts on the NIC `rail0`. */
const families = [
  {
    title: 'IPv4',
    nic: ['10.0.0.1/24'],
    near: ['10.0.0.2', '10.0.0.3'],
    far: ['192.168.1.0/24', '192.168.2.0/26'],
    many: (n: number) => `172.16.${n >> 6}.${(n & 63) * 4}/30`,
    everything: '0.0.0.0/0',
    unreachable: '172.31.0.1',
  },
  {
    title: 'IPv6',
    nic: ['fd00:10::1/64'],
    near: ['fd00:10::2', 'fd00:10::3'],
    far: ['fd00:1:1::/64', 'fd00:1:2::/80'],
    many: (n: number) => `fd00:77:${n.toString(16)}::/64`,
    everything: '::/0',
    unreachable: 'fd00:99::1',
  },
] as const;

/** Registers the route part of the suite. */
export function describeRouteContract(createLab: () => HostNetLab): void {
  for (const family of families) {
    describe(`routes of the host, ${family.title}`, () => describeFamily(family, createLab));
  }

  test('routes of protocols that belong to the kernel or to administrators are not ours', () => {
    using lab = createLab();
    lab.addNic({ name: 'rail0', addresses: ['10.0.0.1/24'] });
    const route = routeOver(lab, { destination: '192.168.1.0/24', via: '10.0.0.2' });
    const change = (protocol: number) => () =>
      lab.hostNet.changeRoutes({ add: [], remove: [{ ...route, protocol }] });
    for (const protocol of [0, 2, 3, STATIC, 256]) expect(change(protocol)).toThrow(RangeError);
  });
}

function describeFamily(family: (typeof families)[number], createLab: () => HostNetLab): void {
  const setUp = (lab: HostNetLab): void => {
    lab.addNic({ name: 'rail0', addresses: family.nic });
  };
  const [near, other] = family.near;
  const [far, farther] = family.far;

  test('start empty, appear when added, and may be added again', () => {
    using lab = createLab();
    setUp(lab);
    expect(lab.hostNet.routes({ protocol: OURS })).toEqual([]);
    const add = [
      routeOver(lab, { destination: far, via: near }),
      routeOver(lab, { destination: farther, via: other }),
    ];
    expect(lab.hostNet.changeRoutes({ add, remove: [] })).toEqual({ failed: [] });
    expect(sorted(lab.hostNet.routes({ protocol: OURS }))).toEqual(sorted(add));
    expect(lab.hostNet.changeRoutes({ add, remove: [] })).toEqual({ failed: [] });
    expect(sorted(lab.hostNet.routes({ protocol: OURS }))).toEqual(sorted(add));
  });

  test('are removed, and removing them again is done', () => {
    using lab = createLab();
    setUp(lab);
    const kept = routeOver(lab, { destination: farther, via: near });
    const gone = routeOver(lab, { destination: far, via: near });
    lab.hostNet.changeRoutes({ add: [kept, gone], remove: [] });
    expect(lab.hostNet.changeRoutes({ add: [], remove: [gone] })).toEqual({ failed: [] });
    expect(lab.hostNet.routes({ protocol: OURS })).toEqual([kept]);
    expect(lab.hostNet.changeRoutes({ add: [], remove: [gone] })).toEqual({ failed: [] });
  });

  test('get a new next hop by being added with it', () => {
    using lab = createLab();
    setUp(lab);
    const old = routeOver(lab, { destination: far, via: near });
    const moved = { ...old, via: other };
    lab.hostNet.changeRoutes({ add: [old], remove: [] });
    expect(lab.hostNet.changeRoutes({ add: [moved], remove: [] })).toEqual({ failed: [] });
    expect(lab.hostNet.routes({ protocol: OURS })).toEqual([moved]);
    // As a difference between desired and actual would say it.
    expect(lab.hostNet.changeRoutes({ add: [old], remove: [moved] })).toEqual({ failed: [] });
    expect(lab.hostNet.routes({ protocol: OURS })).toEqual([old]);
  });

  test('never replace or remove one that somebody else made', () => {
    using lab = createLab();
    setUp(lab);
    const foreign = { destination: far, via: other, interfaceName: 'rail0' };
    lab.addForeignRoute(foreign);
    const before = lab.hostNet.routes({ protocol: STATIC });
    const mine = routeOver(lab, { destination: far, via: near });
    const beside = routeOver(lab, { destination: farther, via: near });
    expect(lab.hostNet.changeRoutes({ add: [mine, beside], remove: [] })).toEqual({
      failed: [{ route: mine, errno: 'EEXIST' }],
    });
    const alike = { ...mine, via: other };
    expect(lab.hostNet.changeRoutes({ add: [], remove: [mine, alike] })).toEqual({ failed: [] });
    expect(lab.hostNet.routes({ protocol: STATIC })).toEqual(before);
    expect(lab.hostNet.routes({ protocol: OURS })).toEqual([beside]);
  });

  test('that the kernel refuses are named, and the others are made', () => {
    using lab = createLab();
    setUp(lab);
    const good = routeOver(lab, { destination: far, via: near });
    const everything = { ...good, destination: family.everything };
    const nowhere = { ...good, destination: farther, interfaceIndex: 9999 };
    const unreachable = { ...good, destination: family.many(0), via: family.unreachable };
    const add = [everything, nowhere, unreachable, good];
    const { failed } = lab.hostNet.changeRoutes({ add, remove: [] });
    expect(new Set(failed.map(({ route }) => route))).toEqual(
      new Set([everything, nowhere, unreachable]),
    );
    const errnoOf = (route: HostRoute) => failed.find((entry) => entry.route === route)?.errno;
    expect(errnoOf(everything)).toBe('EINVAL');
    expect(errnoOf(nowhere)).toMatch(/^E(NODEV|NETUNREACH)$/);
    expect(errnoOf(unreachable)).toMatch(/^E(NETUNREACH|HOSTUNREACH|INVAL)$/);
    expect(lab.hostNet.routes({ protocol: OURS })).toEqual([good]);
  });

  test('go when their NIC goes', () => {
    using lab = createLab();
    setUp(lab);
    lab.hostNet.changeRoutes({
      add: [routeOver(lab, { destination: far, via: near })],
      remove: [],
    });
    lab.removeNic('rail0');
    expect(lab.hostNet.routes({ protocol: OURS })).toEqual([]);
  });

  test('come in batches of any size, each with its own outcome', () => {
    using lab = createLab();
    setUp(lab);
    const add = Array.from({ length: 500 }, (_, n) =>
      routeOver(lab, { destination: family.many(n), via: near }),
    );
    const [first, last] = [add[0], add[499]].map((route) => route?.destination ?? '');
    for (const destination of [first, last]) {
      lab.addForeignRoute({ destination: destination ?? '', via: other, interfaceName: 'rail0' });
    }
    const { failed } = lab.hostNet.changeRoutes({ add, remove: [] });
    expect(failed).toEqual([
      { route: add[0] ?? expect.anything(), errno: 'EEXIST' },
      { route: add[499] ?? expect.anything(), errno: 'EEXIST' },
    ]);
    expect(lab.hostNet.routes({ protocol: OURS })).toHaveLength(498);
    expect(lab.hostNet.changeRoutes({ add: [], remove: add })).toEqual({ failed: [] });
    expect(lab.hostNet.routes({ protocol: OURS })).toEqual([]);
    expect(lab.hostNet.routes({ protocol: STATIC })).toHaveLength(2);
  });
}

function routeOver(lab: HostNetLab, o: { destination: string; via: string }): HostRoute {
  return { ...o, interfaceIndex: nicIndex(lab, 'rail0'), table: MAIN, protocol: OURS };
}

const sorted = (routes: readonly HostRoute[]): HostRoute[] =>
  routes.toSorted((a, b) => a.destination.localeCompare(b.destination));
