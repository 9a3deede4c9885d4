// The choice of indices against the golden files, and random divisions against a plain search.
import { describe, expect, test } from 'bun:test';
import { type Cidr, loadCore } from '../../../core-wasm/index.ts';
import * as oracle from '../../../core-wasm/test/oracle.ts';
import { Random, seedTitle } from '../../../core-wasm/test/random.ts';
import { blockOf, cidr, excludes } from '../../../core-wasm/test/text.ts';
import firstGap from '../../../test/golden/cidr/first-gap.json';
import hostIndex from '../../../test/golden/cidr/host-index.json';
import hostSubnet from '../../../test/golden/cidr/host-subnet-mode.json';
import interfaceIndices from '../../../test/golden/cidr/interface-indices.json';
import { createAfterHighest, createIndexCheck, indexLast, takeFirstGap } from './index-core.ts';
import { IndexSet } from './index-set.ts';

const core = await loadCore();

/** A division and what is not given of it. */
interface Choice {
  readonly parents: readonly Cidr[];
  readonly bits: number;
  readonly excludes: readonly Cidr[];
}

function setOf(indices: Iterable<number>): IndexSet {
  const set = new IndexSet();
  for (const index of indices) set.add(index);
  return set;
}

/** The next index in each order; `used` is left as it is. */
const orders = {
  'first-gap': (choice: Choice, used: IndexSet) =>
    takeFirstGap(used.copy(), indexLast(choice.bits), createIndexCheck(core, choice).isUsable),
  'after-highest': (choice: Choice, used: IndexSet) => {
    const { isUsable } = createIndexCheck(core, choice);
    return createAfterHighest(used.copy(), indexLast(choice.bits), isUsable)();
  },
};

interface Step {
  readonly name?: string;
  readonly gone?: string;
  readonly index?: number | null;
  readonly block?: string | null;
}

/** Blocks that leave less than two bits hold no pod. */
const canHoldPods = ({ parents, bits }: Choice): boolean =>
  parents.every(({ family, prefix }) => prefix + bits <= (family === 4 ? 30 : 126));

/**
 * Plays arrivals and departures; each arrival must get the index and the block that it names, or
 * none where no block can hold a pod.
 */
function play(order: keyof typeof orders, choice: Choice, steps: readonly Step[]): void {
  if (!canHoldPods(choice)) {
    expect(orders[order](choice, new IndexSet())).toBeUndefined();
    return;
  }
  const held = new Map<string, number>();
  for (const { name, gone, index, block } of steps) {
    if (gone !== undefined) held.delete(gone);
    if (name === undefined) continue;
    const next = orders[order](choice, setOf(held.values()));
    expect([name, next ?? null]).toEqual([name, index ?? null]);
    if (next === undefined) continue;
    held.set(name, next);
    if (block) expect(blockAt(choice, next)).toEqual(cidr(block));
  }
}

function blockAt({ parents: [parent], bits }: Choice, index: number): Cidr | undefined {
  const division = parent === undefined ? undefined : core.subnetAt(parent, index, bits);
  return division?.ok ? division.cidr : undefined;
}

/** What a row is about, as a title. */
const storyOf = (steps: readonly Step[]): string =>
  steps.map((step) => ('gone' in step ? '-' : step.index)).join(' ');

describe('the first gap', () => {
  for (const row of firstGap.rows) {
    test(`of [${row.used}] is ${row.gap}, the next index ${row.next}`, () => {
      const choice = { parents: [cidr('10.0.0.0/8')], bits: 12, excludes: [] };
      expect(orders['first-gap'](choice, setOf(row.used))).toBe(row.next);
      expect(row.gap === null ? Math.max(-1, ...row.used) + 1 : row.gap).toBe(row.next);
    });
  }
});

describe('interface indices', () => {
  for (const row of [...interfaceIndices.created, ...interfaceIndices.seen]) {
    const { bits, steps } = row;
    test(`${row.parent} in 2^${bits} without [${row.excludes}]: ${storyOf(steps)}`, () => {
      const parent = blockOf(row.parent);
      if (parent === undefined) {
        expect(row).toMatchObject({ refused: 'not-a-cidr' });
        return;
      }
      play('first-gap', { parents: [parent], bits, excludes: excludes(row.excludes) }, steps);
    });
  }
});

describe('host indices', () => {
  for (const row of hostIndex.rows) {
    const { bits, steps } = row;
    test(`${row.parent} in 2^${bits} without [${row.excludes}]: ${storyOf(steps)}`, () => {
      const choice = { parents: [cidr(row.parent)], bits, excludes: excludes(row.excludes) };
      play('after-highest', choice, steps);
    });
  }
});

describe('host-subnet mode', () => {
  // Rows without hosts are for the CIDR object, which has no entry then: no index is chosen.
  for (const row of hostSubnet.blocks.filter(({ hosts }) => hosts.length > 0)) {
    const count = row.hosts.length;
    test(`${row.netAddress} in 2^${row.hostBits} for ${count} of the hosts`, () => {
      const choice = { parents: [cidr(row.vlanCidr)], bits: row.hostBits, excludes: [] };
      const steps = row.hosts.map((host) => ({
        name: host.host,
        index: host.hostIndex,
        block: host.podCidr,
      }));
      play('after-highest', choice, steps);
    });
  }

  for (const row of hostSubnet.interfaceIndices.filter(({ steps }) => steps.length > 0)) {
    test(row.about, () => {
      const parents = [cidr('0.0.0.0/0')]; // these numbers divide nothing
      play('first-gap', { parents, bits: 16, excludes: [] }, row.steps);
    });
  }
});

/** What must be given next: the first index that is free and that no exclude covers in any family. */
function search(choice: Choice, used: IndexSet, start: number): number | undefined {
  const count = 2 ** choice.bits;
  for (let step = 0; step < count; step++) {
    const index = (start + step) % count;
    const isUsable = choice.parents.every((parent) => {
      const block = oracle.subnetAt(parent, index, choice.bits);
      return block.ok && !oracle.isCovered(block.cidr, choice.excludes);
    });
    if (isUsable && !used.has(index)) return index;
  }
  return undefined;
}

test(`random divisions give what a plain search finds, ${seedTitle}`, () => {
  for (let number = 0; number < 300; number++) {
    const random = new Random(5000 + number);
    const parents = [
      ...(random.oneIn(4) ? [] : [cidr(random.pick(['192.168.0.0/16', '10.0.0.0/20']))]),
      ...(random.oneIn(2) ? [cidr('fd00::/60')] : []),
    ];
    const choice = {
      parents,
      bits: random.between(0, 7),
      excludes: [
        '192.168.0.0/18',
        '192.168.128.0/20',
        'fd00::/62',
        'fd00:0:0:8::/65',
        '10.0.8.0/21',
      ]
        .filter(() => random.oneIn(2))
        .map(cidr),
    };
    const last = indexLast(choice.bits);
    const start = new IndexSet();
    for (let index = 0; index <= last; index++) if (random.oneIn(3)) start.add(index);
    const { isUsable } = createIndexCheck(core, choice);
    const highest = start.copy();
    const take = createAfterHighest(highest, last, isUsable);
    const gaps = start.copy();
    for (let count = 0; count <= last + 1; count++) {
      const above = search(choice, highest, (highest.last + 1) % (last + 1));
      expect(take()).toBe(above);
      const gap = search(choice, gaps, 0);
      expect(takeFirstGap(gaps, last, isUsable)).toBe(gap);
    }
  }
});
