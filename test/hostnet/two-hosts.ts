// Two hosts (namespaces) with two NICs each, a pod on each host with a link on every NIC: the
// smallest cluster in which "every pod reaches every other one over every NIC" can be seen.
import { describe, expect, test } from 'bun:test';
import type { HostNet, HostRoute, SlaveKind } from '../../src/daemon/hostnet/host-net.ts';
import { ROUTE_PROTOCOL } from '../../src/shared/model/names.ts';
import { NetnsWorld, type TestNetns } from '../helpers/netns.ts';

const RAILS = [0, 1];

interface Host {
  readonly number: number;
  readonly netns: TestNetns;
  readonly pod: TestNetns;
  readonly hostNet: HostNet;
}

/** Rail r is 10.r.0.0/24; pods of host h on it have addresses of 192.168.(64r + h).0/24. */
const plan = {
  hostAddress: (rail: number, host: number) => [
    `10.${rail}.0.${host}`,
    `fd00:10:${rail + 1}::${host}`,
  ],
  podAddress: (rail: number, host: number) => [
    `192.168.${64 * rail + host}.5`,
    `fd00:168:${rail + 1}:${host}::5`,
  ],
  podBlock: (rail: number, host: number) => [
    `192.168.${64 * rail + host}.0/24`,
    `fd00:168:${rail + 1}:${host}::/64`,
  ],
};

/** Lengths that pods' addresses get: the whole rail is on the link, as the division makes it. */
const vlanPrefix = { 4: 18, 6: 48 } as const;

/** Registers the suite for one kind of link; `isRouted` kinds need routes between the hosts. */
export function describeTwoHosts(o: {
  link: SlaveKind;
  isRouted: boolean;
  open: (netnsPath: string) => HostNet;
}): void {
  const title = `${o.link.kind} ${o.link.mode}`;
  describe(`pods on two hosts, ${title}`, () => {
    test('reach each other over every NIC, in both families', () => {
      using world = new NetnsWorld();
      const first = addHost(world, 1, o.open);
      const second = addHost(world, 2, o.open);
      using _firstNet = first.hostNet;
      using _secondNet = second.hostNet;
      connect(world, first, second);
      for (const host of [first, second]) attach(host, o.link);
      if (o.isRouted) {
        expect(reachable(world, { from: first, to: second, attempts: 1 })).toEqual([]);
        addRoutes(first, second);
        addRoutes(second, first);
      }
      expect(reachable(world, { from: first, to: second })).toEqual(podAddresses(second));
      expect(reachable(world, { from: second, to: first })).toEqual(podAddresses(first));
      if (o.isRouted) expectCutOffWithoutRoutes(world, first, second);
    });
  });
}

function addHost(world: NetnsWorld, number: number, open: (path: string) => HostNet): Host {
  const netns = world.addNetns(`host${number}`);
  return { number, netns, pod: world.addNetns(`pod${number}`), hostNet: open(netns.path) };
}

/** One cable per rail between the two hosts. */
function connect(world: NetnsWorld, first: Host, second: Host): void {
  for (const rail of RAILS) {
    const name = `rail${rail}`;
    world.addVeth({ netns: first.netns, name }, { netns: second.netns, name });
    for (const { netns, number } of [first, second]) {
      const [ipv4 = '', ipv6 = ''] = plan.hostAddress(rail, number);
      world.ipBatch(netns, [
        `address add ${ipv4}/24 dev ${name}`,
        `address add ${ipv6}/64 dev ${name} nodad`,
      ]);
    }
  }
}

function attach(host: Host, link: SlaveKind): void {
  using pod = host.hostNet.openNetns(host.pod.path);
  pod.createLinks(
    RAILS.map((rail) => ({
      name: `net1-${rail}`,
      parentIndex: indexOf(host, `rail${rail}`),
      link,
      mtu: 0,
      group: 1,
      addresses: plan.podAddress(rail, host.number).map((address) => {
        const family = address.includes(':') ? 6 : 4;
        return { family, address, prefix: vlanPrefix[family] };
      }),
      routes: [],
    })),
  );
}

/** The other host's pod blocks through the other host's NICs. */
function addRoutes(host: Host, other: Host): void {
  const add = RAILS.flatMap((rail): HostRoute[] =>
    plan.podBlock(rail, other.number).map((destination, family) => ({
      destination,
      via: plan.hostAddress(rail, other.number)[family] ?? '',
      interfaceIndex: indexOf(host, `rail${rail}`),
      table: 254,
      protocol: ROUTE_PROTOCOL,
    })),
  );
  expect(host.hostNet.changeRoutes({ add, remove: [] })).toEqual({ failed: [] });
}

/** Nothing but the routes connected the pods. */
function expectCutOffWithoutRoutes(world: NetnsWorld, host: Host, other: Host): void {
  const remove = host.hostNet.routes({ protocol: ROUTE_PROTOCOL });
  expect(remove).toHaveLength(2 * RAILS.length);
  expect(host.hostNet.changeRoutes({ add: [], remove })).toEqual({ failed: [] });
  expect(reachable(world, { from: host, to: other, attempts: 1 })).toEqual([]);
}

const podAddresses = ({ number }: Host): string[] =>
  RAILS.flatMap((rail) => plan.podAddress(rail, number));

/** The addresses of one host's pod that answer to the other host's pod. */
function reachable(
  world: NetnsWorld,
  { from, to, attempts }: { from: Host; to: Host; attempts?: number },
): string[] {
  return podAddresses(to).filter((address) => world.ping(from.pod, address, attempts));
}

function indexOf(host: Host, name: string): number {
  return host.hostNet.links().find((link) => link.name === name)?.index ?? 0;
}
