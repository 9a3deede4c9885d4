// Giving indices: the order, and every refusal. Whole scenarios: test/controller/scenarios.test.ts.
import { describe, expect, test } from 'bun:test';
import { IndexScene } from '../../../test/controller/index-scene.ts';

const A = '10.242.0.0/24';
const B = '10.242.1.0/24';
const C = '10.242.2.0/24';

describe('interface indices (spec api 2.4, 2.7)', () => {
  const nets = (world: IndexScene): Record<string, number> => world.interfaces();

  test('excluded indices are skipped', () => {
    const world = new IndexScene({
      subnet: '192.168.0.0/16',
      interfaceBits: 2,
      hostBits: 6,
      excludes: ['192.168.64.0/18'],
      masterNets: [A, B, C],
    });
    world.step();
    expect(nets(world)).toEqual({ [A]: 0, [B]: 2, [C]: 3 });
  });

  test('W-25: more net addresses than indices end in a named problem', () => {
    const world = new IndexScene({
      subnet: '192.168.0.0/16',
      interfaceBits: 1,
      hostBits: 6,
      excludes: ['192.168.128.0/17'],
      masterNets: [A, B],
    });
    expect(world.step().problems).toEqual([
      { kind: 'interface-indices-exhausted', netAddresses: [B] },
    ]);
  });

  test('the index of a net address that nobody has any more is given again', () => {
    const world = new IndexScene({ subnet: '192.168.0.0/16', interfaceBits: 1, hostBits: 6 });
    world.addHost('h0', A).addHost('h1', B).addHost('h2', C);
    expect(world.step().problems).toHaveLength(1);
    world.removeHost('h0').step();
    expect(nets(world)).toEqual({ [B]: 1, [C]: 0 });
    expect(world.indices(C)).toEqual([['h2', 0]]);
  });

  test('the index of a net address stays while a host holds an index there', () => {
    const world = new IndexScene({ subnet: '192.168.0.0/16', interfaceBits: 1, hostBits: 6 });
    world.addHost('h0', A).step();
    world.addHost('h0', B).step();
    expect(nets(world)).toEqual({ [A]: 0, [B]: 1 });
  });

  test('host-subnet mode needs no interface bits (W-24: first free index)', () => {
    const world = new IndexScene({ subnet: '', interfaceBits: 0, hostBits: 4 });
    world.addHost('h0', A, B, C).step();
    expect(nets(world)).toEqual({ [A]: 0, [B]: 1, [C]: 2 });
  });

  test('host-subnet mode refuses a net address without room for the host bits (W-15)', () => {
    const world = new IndexScene({ subnet: '', interfaceBits: 0, hostBits: 10 });
    expect(world.addHost('h0', A).step().problems).toEqual([
      { kind: 'net-too-small', netAddress: A, hostBits: 10 },
    ]);
  });
});

describe('host indices (spec api 2.8)', () => {
  const narrow = (excludes: string[], hostBits: number): IndexScene =>
    new IndexScene({ subnet: '192.168.0.0/16', interfaceBits: 2, hostBits, excludes });

  test('W-22: hosts without index are named; a freed index serves the one that waits', () => {
    const world = narrow([], 1).addHost('h0', A).addHost('h1', A).addHost('h2', A);
    expect(world.step().problems).toEqual([
      { kind: 'host-indices-exhausted', netAddress: A, hosts: ['h2'] },
    ]);
    world.removeHost('h0').step();
    expect(world.indices(A)).toEqual([
      ['h2', 0],
      ['h1', 1],
    ]);
  });

  test('excluded blocks are skipped, also after wrapping to the first gap', () => {
    const world = narrow(['192.168.16.0/20'], 2);
    for (const name of ['a', 'b', 'c', 'd']) world.addHost(name, A);
    expect(world.step().problems).toEqual([
      { kind: 'host-indices-exhausted', netAddress: A, hosts: ['d'] },
    ]);
    expect(world.indices(A)).toEqual([
      ['a', 0],
      ['b', 2],
      ['c', 3],
    ]);
    world.removeHost('b').step();
    expect(world.indices(A).at(1)).toEqual(['d', 2]);
  });

  test('at most assignHostsMax hosts are served in one plan, the rest in the next', () => {
    const world = narrow([], 6);
    for (let i = 0; i < 7; i++) world.addHost(`h${i}`, A);
    world.assignHostsMax = 3;
    expect(world.step().hasMore).toBe(true);
    expect(world.indices(A)).toHaveLength(3);
    expect(world.step().hasMore).toBe(true);
    expect(world.step().hasMore).toBe(false);
    expect(world.indices(A).map(([name]) => name)).toEqual(
      Array.from({ length: 7 }, (_, i) => `h${i}`),
    );
  });

  test('in mode adopt nothing new is given', () => {
    const world = narrow([], 6).addHost('h0', A);
    world.mode = 'adopt';
    const plan = world.step();
    expect([plan.publish, plan.ledger.nets, plan.problems]).toEqual([[], [], []]);
  });
});
