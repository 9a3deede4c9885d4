// What becomes of claims that were not published and of records that others left, contradictions
// among them.
import { describe, expect, test } from 'bun:test';
import { IndexScene } from '../../../test/controller/index-scene.ts';

const A = '10.242.0.0/24';
const B = '10.242.1.0/24';

describe('claims that were not published', () => {
  const scene = (): IndexScene =>
    new IndexScene({ subnet: '192.168.0.0/16', interfaceBits: 1, hostBits: 2 });

  test('a bit without owner is an orphan and is not given to anybody', () => {
    const world = scene().addHost('h0', A);
    world.ledger = world.plan().ledger; // the leader died before it published
    expect(world.step().orphans).toEqual([`${A}#0`]);
    expect(world.indices(A)).toEqual([['h0', 1]]);
  });

  test('a freeable orphan is given back', () => {
    const world = scene().addHost('h0', A);
    world.ledger = world.plan().ledger;
    world.step();
    world.freeable.add(`${A}#0`);
    world.step();
    expect([...(world.ledger?.nets[0]?.hosts ?? [])]).toEqual([1]);
  });

  test('the leader that claimed an index publishes it when it tries again', () => {
    const world = scene().addHost('h0', A);
    world.ledger = world.plan().ledger;
    world.pending.set('h0', new Map([[A, 0]]));
    expect(world.step().orphans).toEqual([]);
    expect(world.indices(A)).toEqual([['h0', 0]]);
  });

  test('a pending index stays reserved although a gone host left it', () => {
    const world = scene().addHost('h0', A).addHost('h1', A);
    world.step();
    world.removeHost('h1');
    world.addHost('h2', A);
    world.pending.set('h2', new Map([[A, 1]]));
    world.hosts.delete('h2');
    expect(world.step().orphans).toEqual([`${A}#1`]);
  });

  test('a published index that the ledger lacks is set there again', () => {
    const world = scene().addHost('h0', A);
    world.step();
    world.ledger?.nets[0]?.hosts.delete(0);
    world.addHost('h1', A).step();
    expect(world.indices(A)).toEqual([
      ['h0', 0],
      ['h1', 1],
    ]);
  });
});

describe('a block that pods of its former host hold addresses of', () => {
  const scene = (): IndexScene => {
    const world = new IndexScene({ subnet: '192.168.0.0/16', interfaceBits: 1, hostBits: 2 });
    for (const name of ['h0', 'h1', 'h2']) world.addHost(name, A);
    world.step();
    // h1 was gone for a moment and came back: it has another index, and pods of before.
    world.hosts.get('h1')?.published.set(A, 3);
    world.ledger?.nets[0]?.hosts.delete(1);
    return world;
  };
  const record = { hostName: 'h1', netAddress: A, hostIndex: 1, source: 'IPPool net-1' };

  test('is not given to another host', () => {
    const world = scene().addHost('h4', A);
    world.hostRecords.push({ ...record, isInUse: true });
    const { problems, orphans } = world.step();
    expect(problems).toEqual([{ kind: 'host-indices-exhausted', netAddress: A, hosts: ['h4'] }]);
    expect(orphans).toEqual([]);
    expect(world.indices(A).map(([name]) => name)).toEqual(['h0', 'h2', 'h1']);
  });

  test('is given again once they are gone', () => {
    const world = scene().addHost('h4', A);
    world.hostRecords.push({ ...record, isInUse: false });
    expect(world.step().problems).toEqual([]);
    expect(world.hosts.get('h4')?.published.get(A)).toBe(1);
  });

  test('is named when another host has it already', () => {
    const world = scene().addHost('h4', A);
    world.hosts.get('h4')?.published.set(A, 1);
    world.hostRecords.push({ ...record, isInUse: true });
    const conflict = { hostIndex: 1, hosts: ['h1', 'h4'], sources: ['IPPool net-1'] };
    expect(world.step().problems).toEqual([
      { kind: 'index-conflict', netAddress: A, ...conflict, isPublished: true },
    ]);
  });
});

describe('adoption', () => {
  const scene = (hostBits = 4): IndexScene =>
    new IndexScene({ subnet: '192.168.0.0/16', interfaceBits: 1, hostBits });
  const record = (hostName: string, hostIndex: number, source = 'CIDR') => ({
    hostName,
    netAddress: A,
    hostIndex,
    source,
  });

  test('records give hosts the indices they had', () => {
    const world = scene().addHost('h0', A).addHost('h1', A).addHost('h2', A);
    world.interfaceRecords = [{ netAddress: A, interfaceIndex: 1 }];
    world.hostRecords = [record('h0', 5), record('h0', 5, 'IPPool'), record('h1', 3)];
    world.step();
    expect(world.interfaces()).toEqual({ [A]: 1 });
    expect(world.indices(A)).toEqual([
      ['h1', 3],
      ['h0', 5],
      ['h2', 6],
    ]);
  });

  test('two hosts with one recorded index get none, and both are named', () => {
    const world = scene().addHost('h0', A).addHost('h1', A).addHost('h2', A);
    world.interfaceRecords = [{ netAddress: A, interfaceIndex: 0 }];
    world.hostRecords = [record('h0', 2), record('h1', 2, 'IPPool x')];
    expect(world.step().problems).toEqual([
      {
        kind: 'index-conflict',
        netAddress: A,
        hostIndex: 2,
        hosts: ['h0', 'h1'],
        sources: ['CIDR', 'IPPool x'],
        isPublished: false,
      },
    ]);
    expect(world.indices(A)).toEqual([['h2', 3]]);
  });

  test('a record against a published index blocks the host of the record only', () => {
    const world = scene().addHost('h0', A).addHost('h1', A);
    world.hosts.get('h0')?.published.set(A, 2);
    world.interfaceRecords = [{ netAddress: A, interfaceIndex: 0 }];
    world.hostRecords = [record('h1', 2)];
    expect(world.step().problems).toMatchObject([
      { kind: 'index-conflict', hosts: ['h0', 'h1'], isPublished: true },
    ]);
    expect(world.indices(A)).toEqual([['h0', 2]]);
  });

  test('records that disagree about one host give it nothing and reserve both', () => {
    const world = scene().addHost('h0', A).addHost('h1', A);
    world.interfaceRecords = [{ netAddress: A, interfaceIndex: 0 }];
    world.hostRecords = [record('h0', 1), record('h0', 0, 'IPPool')];
    expect(world.step().problems).toEqual([
      { kind: 'records-disagree', netAddress: A, hostName: 'h0', indices: [0, 1] },
    ]);
    expect(world.indices(A)).toEqual([['h1', 2]]);
  });

  test('hostBlock 0 shared by several hosts is named as that (original state 04)', () => {
    const world = scene(0).addHost('h0', A).addHost('h1', A);
    world.interfaceRecords = [{ netAddress: A, interfaceIndex: 0 }];
    world.hostRecords = [record('h0', 0), record('h1', 0)];
    expect(world.step().problems).toEqual([
      { kind: 'host-block-zero', netAddress: A, hosts: ['h0', 'h1'] },
    ]);
    expect(world.indices(A)).toEqual([]);
  });

  test('two published owners of one index both keep it and are named', () => {
    const world = scene().addHost('h0', A).addHost('h1', A);
    for (const name of ['h0', 'h1']) world.hosts.get(name)?.published.set(A, 2);
    world.interfaceRecords = [{ netAddress: A, interfaceIndex: 0 }];
    expect(world.step().problems).toEqual([
      { kind: 'index-held-twice', netAddress: A, hostIndex: 2, hosts: ['h0', 'h1'] },
    ]);
  });

  test('interface records in contradiction give no index to any of the net addresses', () => {
    const world = scene().addHost('h0', A, B);
    world.interfaceRecords = [
      { netAddress: A, interfaceIndex: 0 },
      { netAddress: B, interfaceIndex: 0 },
    ];
    expect(world.step().problems.map(({ kind }) => kind)).toEqual([
      'interface-conflict',
      'interface-conflict',
    ]);
    expect(world.interfaces()).toEqual({});
  });

  test('an index outside the division is refused', () => {
    const world = scene(2).addHost('h0', A);
    world.interfaceRecords = [{ netAddress: A, interfaceIndex: 0 }];
    world.hostRecords = [record('h0', 4)];
    expect(world.step().problems).toEqual([
      { kind: 'index-outside', netAddress: A, hostName: 'h0', hostIndex: 4 },
    ]);
  });

  test('an index recorded for a host that is not known here stays reserved', () => {
    const world = scene().addHost('h0', A);
    world.interfaceRecords = [{ netAddress: A, interfaceIndex: 0 }];
    world.hostRecords = [record('away', 0)];
    world.step();
    expect(world.indices(A)).toEqual([['h0', 1]]);
    expect(world.ledger?.nets[0]?.hosts.has(0)).toBe(true);
  });

  test('a record of a net address that the ledger gave up does not bring it back', () => {
    const world = scene().addHost('h0', A).addHost('h1', B);
    world.step();
    world.removeHost('h0').step();
    world.addHost('h2', '10.9.0.0/16');
    world.interfaceRecords = [{ netAddress: A, interfaceIndex: 0 }];
    expect(world.step().problems).toEqual([]);
    expect(world.interfaces()).toEqual({ [B]: 1, '10.9.0.0/16': 0 });
  });

  test('a net address that the ledger lost comes back where hosts have an index in it', () => {
    const world = scene().addHost('h0', A, B);
    world.step();
    const { ledger } = world;
    if (ledger === undefined) throw new Error('no ledger');
    world.interfaceRecords = [
      { netAddress: A, interfaceIndex: 0 },
      { netAddress: B, interfaceIndex: 1 },
    ];
    world.ledger = { ...ledger, nets: ledger.nets.filter(({ netAddress }) => netAddress !== A) };
    world.step();
    expect(world.interfaces()).toEqual({ [B]: 1, [A]: 0 });
    expect(world.ledger.nets.map(({ hosts }) => [...hosts])).toEqual([[0], [0]]);
  });
});
