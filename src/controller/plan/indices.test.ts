// Giving indices: the scenarios of the specification and every refusal.
import { describe, expect, test } from 'bun:test';
import { IndexScene } from '../../../test/controller/index-scene.ts';

const A = '10.242.0.0/24';
const B = '10.242.1.0/24';
const C = '10.242.2.0/24';
const D = '10.242.3.0/24';

describe('scenario A (spec api 2.11)', () => {
  const scene = (): IndexScene =>
    new IndexScene({
      subnet: '192.168.0.0/16',
      interfaceBits: 2,
      hostBits: 8,
      excludes: ['192.168.0.64/26', '192.168.0.128/30'],
      masterNets: [A, B, C, D],
    });

  test('each step gives the indices of the table', () => {
    const world = scene().addHost('h0', A, B);
    world.step();
    expect(world.interfaces()).toEqual({ [A]: 0, [B]: 1, [C]: 2, [D]: 3 });
    expect(world.indices(A)).toEqual([['h0', 0]]);

    expect(world.plan().publish).toEqual([]);

    world.addHost('h1', A, B).step();
    expect(world.indices(A)).toEqual([
      ['h0', 0],
      ['h1', 2], // 1 is excluded
    ]);
    expect(world.indices(B).at(-1)).toEqual(['h1', 1]);

    world.addHost('h2', A, B, C).step();
    expect([world.indices(A).at(-1), world.indices(B).at(-1), world.indices(C)]).toEqual([
      ['h2', 3],
      ['h2', 2],
      [['h2', 0]],
    ]);

    world.removeHost('h1').step();
    expect(world.indices(A)).toEqual([
      ['h0', 0],
      ['h2', 3],
    ]);

    // The HostInterface of h2 is missing and its Node exists: its indices stay reserved.
    const away = world.hosts.get('h2');
    world.hosts.delete('h2');
    expect(world.plan().orphans).toEqual([`${A}#3`, `${B}#2`, `${C}#0`]);
    if (away !== undefined) world.hosts.set('h2', away);

    world.gone.delete('h1');
    world.hostRecords = [];
    world.addHost('h1', A, B).step();
    expect([world.indices(A).at(-1), world.indices(B).at(-1)]).toEqual([
      ['h1', 4],
      ['h1', 3],
    ]);
  });

  test('a net address outside masterNets gets nothing', () => {
    const world = scene().addHost('h0', A, '10.9.9.0/24');
    world.step();
    expect(world.interfaces()).not.toHaveProperty('10.9.9.0/24');
    expect(world.indices('10.9.9.0/24')).toEqual([]);
  });
});

describe('scenarios B to G (spec api 2.11)', () => {
  test('B: two hosts get 0 and 1 in both net addresses', () => {
    const world = new IndexScene({
      subnet: '192.168.0.0/16',
      interfaceBits: 2,
      hostBits: 6,
      masterNets: ['10.0.1.0/24', '10.0.2.0/24'],
    })
      .addHost('host1', '10.0.1.0/24', '10.0.2.0/24')
      .addHost('host2', '10.0.1.0/24', '10.0.2.0/24');
    world.step();
    for (const net of ['10.0.1.0/24', '10.0.2.0/24']) {
      expect(world.indices(net)).toEqual([
        ['host1', 0],
        ['host2', 1],
      ]);
    }
  });

  test('C: without masterNets the order is numeric, where the original was random (W-60)', () => {
    const world = new IndexScene({ subnet: '192.168.0.0/16', interfaceBits: 2, hostBits: 8 })
      .addHost('node-1', '10.244.0.0/16', '10.0.0.0/16')
      .addHost('node-2', '10.244.0.0/16', '10.0.0.0/16');
    expect(world.step().masterNets).toEqual(['10.0.0.0/16', '10.244.0.0/16']);
    expect(world.interfaces()).toEqual({ '10.0.0.0/16': 0, '10.244.0.0/16': 1 });
  });

  test('D, W-12: with hostBlock 0 several hosts get nothing and are named', () => {
    const world = new IndexScene({ subnet: '192.168.0.0/16', interfaceBits: 0, hostBits: 0 })
      .addHost('h0', A)
      .addHost('h1', A);
    const { publish, problems } = world.step();
    expect(publish).toEqual([]);
    expect(problems).toEqual([{ kind: 'host-block-zero', netAddress: A, hosts: ['h0', 'h1'] }]);
  });

  test('D: with hostBlock 0 a single host gets index 0 and keeps it when another joins', () => {
    const world = new IndexScene({ subnet: '192.168.0.0/16', interfaceBits: 0, hostBits: 0 });
    world.addHost('h1', A).step();
    const { problems } = world.addHost('h0', A).step();
    expect(world.indices(A)).toEqual([['h1', 0]]);
    expect(problems).toEqual([{ kind: 'host-block-zero', netAddress: A, hosts: ['h0'] }]);
  });

  test('D: a second net address is without index when interfaceBlock is 0', () => {
    const world = new IndexScene({ subnet: '192.168.0.0/16', interfaceBits: 0, hostBits: 4 });
    const { problems } = world.addHost('h0', A, B).step();
    expect(world.interfaces()).toEqual({ [A]: 0 });
    expect(problems).toEqual([{ kind: 'interface-indices-exhausted', netAddresses: [B] }]);
  });

  test('E, W-11: two NICs in one net address are one claim and no endless change', () => {
    const world = new IndexScene({ subnet: '192.168.0.0/16', interfaceBits: 1, hostBits: 4 });
    world.addHost('h0', A, A).step();
    expect(world.indices(A)).toEqual([['h0', 0]]);
    expect(world.plan().publish).toEqual([]);
  });

  test('F, W-05: an empty interface list takes no index away', () => {
    const world = new IndexScene({ subnet: '192.168.0.0/16', interfaceBits: 1, hostBits: 4 });
    world.addHost('h0', A).addHost('h1', A).step();
    const before = world.ledgerText();
    world.addHost('h0').addHost('h1').step();
    expect(world.ledgerText()).toBe(before);
    expect(world.indices(A)).toHaveLength(2);
    expect(world.plan().masterNets).toEqual([A]);
  });

  test('G, W-09: an exclude over a block in use is named and the host keeps it (design D5)', () => {
    const world = new IndexScene({ subnet: '192.168.0.0/16', interfaceBits: 2, hostBits: 8 });
    world.addHost('h0', A).addHost('h1', A).addHost('h2', A).step();
    world.network.excludes = ['192.168.0.64/26'];
    const { problems } = world.step();
    expect(problems).toEqual([{ kind: 'block-excluded', netAddress: A, hosts: ['h1'] }]);
    expect(world.indices(A)).toEqual([
      ['h0', 0],
      ['h1', 1],
      ['h2', 2],
    ]);
  });
});

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
