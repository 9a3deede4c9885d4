// The laws of planning (style 6) over random worlds: hosts come, go and change their NICs, excludes
// and modes change, claims are lost between the ledger and publishing.
import { describe, expect, test } from 'bun:test';
import { type Cidr, loadCore } from '../../../core-wasm/index.ts';
import { Random, seedTitle } from '../../../core-wasm/test/random.ts';
import { cidr, IndexScene } from '../../../test/controller/index-scene.ts';
import type { IndexPlan } from './indices.ts';
import { formatLedger, type Ledger } from './ledger.ts';

const core = await loadCore();
const NETS = ['10.1.0.0/16', '10.2.0.0/16', '10.3.0.0/16', '10.4.0.0/16', 'fd00:1::/64'] as const;
const WORLDS = 150;
const STEPS = 25;

function randomScene(random: Random): IndexScene {
  const subnet = random.pick(['192.168.0.0/16', '', '192.168.0.0/16,fd00::/48', '172.16.0.0/12']);
  const excludes = ['192.168.16.0/20', '192.168.64.0/18', '172.18.0.0/15', '192.168.0.0/24'];
  return new IndexScene({
    subnet,
    interfaceBits: random.between(0, 3),
    hostBits: random.between(0, 6),
    excludes: excludes.filter(() => random.oneIn(3)),
    masterNets: random.oneIn(2) ? [] : NETS.filter(() => random.oneIn(2)),
  });
}

/** One thing that happens in a cluster. */
function disturb(random: Random, world: IndexScene): void {
  const name = `h${random.below(12)}`;
  const known = world.hosts.has(name);
  switch (random.below(6)) {
    case 0:
      if (known) world.removeHost(name);
      break;
    case 1:
      world.freeable = new Set(world.plan().orphans);
      break;
    case 2: {
      // A leader dies between the claim and publishing.
      world.ledger = world.plan().ledger;
      break;
    }
    default: {
      const nets = NETS.filter(() => !random.oneIn(3));
      world.gone.delete(name);
      world.hostRecords = world.hostRecords.filter((record) => record.hostName !== name);
      world.addHost(name, ...nets);
    }
  }
}

const view = (plan: IndexPlan): string =>
  JSON.stringify([formatLedger(plan.ledger), plan.publish, plan.orphans, plan.problems]);

/** Owners of each index; a second owner is a violation of the one rule that matters. */
function assertSingleOwners(world: IndexScene, ledger: Ledger): void {
  for (const net of ledger.nets) {
    const owners = new Map<number, string>();
    for (const [host, index] of world.indices(net.netAddress)) {
      expect(owners.get(index), `${net.netAddress}#${index}`).toBeUndefined();
      owners.set(index, host);
      expect(net.hosts.has(index)).toBe(true);
    }
  }
  const indices = ledger.nets.map(({ interfaceIndex }) => interfaceIndex);
  expect(new Set(indices).size).toBe(indices.length);
}

describe(`laws of planning, ${seedTitle}`, () => {
  test('planning the planned state changes nothing, and planning twice gives the same', () => {
    for (let number = 0; number < WORLDS; number++) {
      const random = new Random(number);
      const world = randomScene(random);
      for (let step = 0; step < STEPS; step++) {
        disturb(random, world);
        expect(view(world.plan())).toBe(view(world.plan()));
        world.step();
        const again = world.plan();
        expect(again.publish).toEqual([]);
        expect(formatLedger(again.ledger)).toBe(world.ledgerText());
      }
    }
  }, 120_000);

  test('no prefix of the effects gives one index to two hosts', () => {
    for (let number = 0; number < WORLDS; number++) {
      const random = new Random(1000 + number);
      const world = randomScene(random);
      for (let step = 0; step < STEPS; step++) {
        disturb(random, world);
        const plan = world.plan();
        world.ledger = plan.ledger;
        assertSingleOwners(world, plan.ledger);
        for (const { hostName, indices } of plan.publish.slice(0, random.below(20))) {
          for (const { netAddress, hostIndex } of indices) {
            world.hosts.get(hostName)?.published.set(netAddress, hostIndex);
          }
          assertSingleOwners(world, plan.ledger);
        }
      }
    }
  });

  test('an index once published never changes while its host is there', () => {
    for (let number = 0; number < WORLDS; number++) {
      const random = new Random(2000 + number);
      const world = randomScene(random);
      for (let step = 0; step < STEPS; step++) {
        const before = publishedIn(world);
        disturb(random, world);
        const kept = [...before].filter(([key]) => world.hosts.has(key.slice(0, key.indexOf(' '))));
        world.step();
        const after = publishedIn(world);
        for (const [key, index] of kept) expect(after.get(key)).toBe(index);
      }
    }
  });

  test('the order in which hosts and NICs are listed does not matter', () => {
    for (let number = 0; number < WORLDS; number++) {
      const random = new Random(3000 + number);
      const world = randomScene(random);
      const other = new IndexScene(world.network);
      const names = Array.from({ length: 12 }, (_, index) => `h${index}`);
      for (const name of names) world.addHost(name, ...NETS);
      for (const name of names.reverse()) other.addHost(name, ...NETS);
      expect(view(world.plan())).toBe(view(other.plan()));
    }
  });

  test('published blocks are never excluded, and of dual networks in neither family', () => {
    for (let number = 0; number < WORLDS; number++) {
      const world = randomScene(new Random(4000 + number));
      for (let index = 0; index < 20; index++) world.addHost(`h${index}`, ...NETS);
      world.step();
      const { excludes } = world.input().network;
      for (const block of podBlocks(world)) expect(core.isCovered(block, excludes)).toBe(false);
    }
  });
});

/** `host net` -> index. */
function publishedIn(world: IndexScene): Map<string, number> {
  return new Map(
    [...world.hosts].flatMap(([host, { published }]) =>
      [...published].map(([net, index]): [string, number] => [`${host} ${net}`, index]),
    ),
  );
}

/** The pod blocks of all published indices. */
function podBlocks(world: IndexScene): Cidr[] {
  const { subnets, interfaceBits, hostBits } = world.input().network;
  const divide = (parent: Cidr, index: number, bits: number): Cidr => {
    const division = core.subnetAt(parent, index, bits);
    if (!division.ok) throw new Error(division.reason);
    return division.cidr;
  };
  return (world.ledger?.nets ?? []).flatMap((net) => {
    const vlans =
      subnets.length === 0
        ? [cidr(net.netAddress)]
        : subnets.map((subnet) => divide(subnet, net.interfaceIndex, interfaceBits));
    const indices = world.indices(net.netAddress).map(([, index]) => index);
    return vlans.flatMap((vlan) => indices.map((index) => divide(vlan, index, hostBits)));
  });
}
