// Measures the core: dividing a subnet for a large cluster as the programs do it, indices as the controller chooses them
// and blocks as each program computes them; and the verbs of a pool. Run it with
//   bun bench/core.bench.ts
import { type Cidr, type Core, loadCore } from '../core-wasm/index.ts';
import {
  createAfterHighest,
  createIndexCheck,
  indexLast,
} from '../src/controller/plan/index-core.ts';
import { IndexSet } from '../src/controller/plan/index-set.ts';
import { blockBase, divide, greatestOf, nextIndex, SetPool } from './core-peer.ts';
import { type BenchRow, measure, printRows, summarise, timeRow } from './row.ts';

const HOSTS = 5000;
const NICS = 16;
const INTERFACE_BITS = 4;
const HOST_BITS = 13;
const PEER = 'TypeScript with bigint and Set';

/** A network of a large cluster: 16 rails, 8,192 hosts at most. */
interface Network {
  readonly subnet: Cidr;
  readonly excludes: readonly Cidr[];
}

const IPV4: Network = {
  subnet: { family: 4, base: 0x0a000000n, prefix: 8 },
  excludes: [
    { family: 4, base: 0x0a000100n, prefix: 24 },
    { family: 4, base: 0x0a800000n, prefix: 26 },
  ],
};

const IPV6: Network = {
  subnet: { family: 6, base: 0xfd00n << 112n, prefix: 48 },
  excludes: [{ family: 6, base: (0xfd00n << 112n) | (0x10n << 60n), prefix: 60 }],
};

/** The vlan CIDRs, one per NIC. */
function rails(core: Core, subnet: Cidr): Cidr[] {
  return Array.from({ length: NICS }, (_, index) => {
    const division = core.subnetAt(subnet, index, INTERFACE_BITS);
    if (!division.ok) throw new Error(division.reason);
    return division.cidr;
  });
}

/** Gives so many hosts an index on each rail and computes their blocks; `give` sees each index. */
function addHosts(
  core: Core,
  { subnet, excludes }: Network,
  o: { used: readonly IndexSet[]; hosts: number; give?: (rail: number, index: number) => void },
): number {
  let count = 0;
  for (const [rail, parent] of rails(core, subnet).entries()) {
    const check = createIndexCheck(core, { parents: [parent], bits: HOST_BITS, excludes });
    const used = o.used[rail] ?? new IndexSet();
    const take = createAfterHighest(used, indexLast(HOST_BITS), check.isUsable);
    for (let host = 0; host < o.hosts; host++) {
      const index = take() ?? -1;
      if (core.subnetAt(parent, index, HOST_BITS).ok) count++;
      o.give?.(rail, index);
    }
  }
  return count;
}

function divideAllPeer(core: Core, { subnet, excludes }: Network): number {
  let count = 0;
  for (const parent of rails(core, subnet)) {
    count += divide(parent, HOST_BITS, HOSTS, excludes).length;
  }
  return count;
}

function divisionRow(core: Core, network: Network): BenchRow {
  const divideAll = (): number => addHosts(core, network, { used: [], hosts: HOSTS });
  if (divideAll() !== NICS * HOSTS) throw new Error('the division is not whole');
  if (divideAllPeer(core, network) !== NICS * HOSTS) throw new Error('the peer leaves blocks out');
  const ours = measure(divideAll, { samples: 100, warmups: 10 });
  const peerTimes = measure(() => divideAllPeer(core, network), { samples: 20, warmups: 3 });
  return timeRow(
    `division for ${HOSTS} hosts x ${NICS} NICs from nothing, IPv${network.subnet.family}`,
    'ms',
    ours,
    {
      peer: PEER,
      peerTimes,
      target: '50 ms',
      note: 'the original, measured elsewhere: 3800 ms',
    },
  );
}

/** One more host: an index and a pod CIDR on each rail, 4,999 indices being in use on each. */
function oneMoreRow(core: Core, network: Network): BenchRow {
  const { subnet, excludes } = network;
  const used = Array.from({ length: NICS }, () => new IndexSet());
  addHosts(core, network, { used, hosts: HOSTS - 1 });
  // What was given is taken back, so that each sample finds the same.
  const give = (rail: number, index: number): void => used[rail]?.delete(index);
  const addHost = (): number => addHosts(core, network, { used, hosts: 1, give });
  if (addHost() !== NICS) throw new Error('the new host has not all its blocks');
  const set = new Set(used[0]);
  const parents = rails(core, subnet);
  const addHostPeer = (): void => {
    for (const parent of parents) {
      const index = nextIndex(parent, HOST_BITS, set, excludes, greatestOf(set));
      blockBase(parent, HOST_BITS, index ?? -1);
    }
  };
  const count = { samples: 1000, warmups: 200 };
  const peerTimes = measure(addHostPeer, count);
  return timeRow(`one more host x ${NICS} NICs`, 'ms', measure(addHost, count), {
    peer: PEER,
    peerTimes,
    target: '0.1 ms',
  });
}

interface Verbs {
  take(): number | undefined;
  release(index: number): unknown;
}

const BATCH = 1000;

/** Times of `take` and of `release`, each in batches, on a pool of which `held` are taken. */
function verbTimes(pool: Verbs, held: number): { take: number[]; release: number[] } {
  const queue: number[] = [];
  const takeOne = (): void => {
    const index = pool.take();
    if (index === undefined) throw new Error('the pool is full');
    queue.push(index);
  };
  while (queue.length < held) takeOne();
  const times = { take: [] as number[], release: [] as number[] };
  for (let sample = -50; sample < 500; sample++) {
    const [start, indices] = [queue.length, queue.splice(0, BATCH)];
    const begin = Bun.nanoseconds();
    for (const index of indices) pool.release(index);
    const middle = Bun.nanoseconds();
    while (queue.length < start) takeOne();
    const end = Bun.nanoseconds();
    if (sample < 0) continue;
    times.release.push((middle - begin) / 1e6 / BATCH);
    times.take.push((end - middle) / 1e6 / BATCH);
  }
  return times;
}

/** Take and release on a pool of 65,536 indices of which `held` are taken. */
function verbRows(core: Core, held: number): BenchRow[] {
  using pool = core.createPool({ podCidr: { ...IPV4.subnet, prefix: 16 }, excludes: [] });
  const ours = verbTimes(pool, held);
  const peer = verbTimes(new SetPool(65536), held);
  return (['take', 'release'] as const).map((verb) =>
    timeRow(`${verb}, ${held} of 65534 addresses taken`, 'ns', summarise(ours[verb]), {
      peer: PEER,
      peerTimes: summarise(peer[verb]),
    }),
  );
}

async function loadRow(): Promise<BenchRow> {
  const times: number[] = [];
  for (let sample = 0; sample < 30; sample++) {
    const start = Bun.nanoseconds();
    await loadCore();
    times.push((Bun.nanoseconds() - start) / 1e6);
  }
  return timeRow('load the core', 'ms', summarise(times));
}

function poolRow(core: Core): BenchRow {
  const definition = { podCidr: IPV6.subnet, excludes: IPV6.excludes };
  const createAndDispose = (): void => core.createPool(definition)[Symbol.dispose]();
  const ours = measure(createAndDispose, { samples: 1000, warmups: 100 });
  return timeRow('create and dispose of a pool of 65536 indices', 'µs', ours);
}

/** All rows of the core, in a few seconds. */
export async function runCoreBench(): Promise<BenchRow[]> {
  const core = await loadCore();
  return [
    divisionRow(core, IPV4),
    divisionRow(core, IPV6),
    oneMoreRow(core, IPV4),
    ...verbRows(core, 32_000),
    ...verbRows(core, 65_000),
    poolRow(core),
    await loadRow(),
  ];
}

if (import.meta.main) printRows(await runCoreBench());
