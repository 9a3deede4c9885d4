// The core against the golden files of address pools, test/golden/bitmap.
import { describe, expect, test } from 'bun:test';
import addressAt from '../../test/golden/bitmap/address-at.json';
import capacity from '../../test/golden/bitmap/capacity.json';
import choose from '../../test/golden/bitmap/choose.json';
import excludeRanges from '../../test/golden/bitmap/exclude-ranges.json';
import firstGap from '../../test/golden/bitmap/first-gap.json';
import sequences from '../../test/golden/bitmap/sequences.json';
import { type Cidr, loadCore, type Pool } from '../index.ts';
import { addressOf, cidr, excludes } from './text.ts';

const core = await loadCore();

/** Every index from `first` to `last`, both inclusive. */
function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, at) => first + at);
}

function ranges(list: readonly (readonly number[])[]): number[] {
  return list.flatMap(([first = 0, last = -1]) => range(first, last));
}

describe('the first gap', () => {
  for (const row of firstGap.rows) {
    const what = `occupied [${row.occupied}] excluded ${JSON.stringify(row.excluded)}`;
    test(`${what}: ${row.gap}`, () => {
      const podCidr: Cidr = { family: 4, base: 0n, prefix: 32 - Math.log2(row.size) };
      const excluded = ranges(row.excluded).map((index) => cidr(`0.0.0.${index}/32`));
      using pool = core.createPool({ podCidr, excludes: excluded });
      for (const index of row.occupied) pool.occupy(index);
      const taken = range(1, row.size - 2).filter(
        (index) => pool.isOccupied(index) || !pool.isUsable(index),
      );
      expect(taken).toEqual(row.taken);
      const free: number[] = [];
      for (let index = pool.take(); index !== undefined; index = pool.take()) free.push(index);
      const gaps = free.filter((index) => index < Math.max(0, ...taken));
      expect(gaps.length === 0 ? null : Math.min(...gaps)).toBe(row.gap);
    });
  }
});

describe('the address of an index', () => {
  for (const row of addressAt.rows) {
    test(`${row.index} of ${row.podCidr} is ${row.address ?? row.refused}`, () => {
      const podCidr = cidr(row.podCidr);
      if (row.address === undefined) {
        const attempt = (): bigint => {
          using pool = core.createPool({ podCidr, excludes: [] });
          return pool.addressAt(row.index);
        };
        expect(attempt).toThrow(RangeError);
        return;
      }
      using pool = core.createPool({ podCidr, excludes: [] });
      expect(pool.addressAt(row.index)).toBe(addressOf(row.address)?.value ?? -1n);
    });
  }

  for (const row of addressAt.numbers) {
    test(`${row.address} is the number ${row.number ?? row.refused}`, () => {
      expect(String(addressOf(row.address)?.value)).toBe(row.number ?? 'undefined');
    });
  }
});

describe('excluded indices', () => {
  for (const row of excludeRanges.rows) {
    test(`[${row.excludes}] of ${row.podCidr}: ${JSON.stringify(row.ranges)}`, () => {
      const podCidr = cidr(row.podCidr);
      using pool = core.createPool({ podCidr, excludes: excludes(row.excludes) });
      using whole = core.createPool({ podCidr, excludes: [] });
      const excluded = new Set(ranges(row.ranges));
      const wrong = range(0, pool.size - 1).filter(
        (index) => pool.isUsable(index) !== (whole.isUsable(index) && !excluded.has(index)),
      );
      expect(wrong).toEqual([]);
    });
  }
});

describe('the address handed out next', () => {
  for (const row of choose.rows) {
    const state = `occupied [${row.occupied}] quarantined [${row.quarantined}]`;
    test(`${row.podCidr} ${state} without [${row.excludes}]: ${row.address}`, () => {
      using pool = core.createPool({
        podCidr: cidr(row.podCidr),
        excludes: excludes(row.excludes),
      });
      for (const index of row.occupied) pool.occupy(index);
      for (const index of row.quarantined) {
        pool.occupy(index);
        pool.quarantine(index);
      }
      const index = pool.take();
      const address = index === undefined ? null : pool.addressAt(index);
      expect(address).toBe(row.address === null ? null : (addressOf(row.address)?.value ?? -1n));
    });
  }
});

describe('capacity', () => {
  for (const row of capacity.rows) {
    test(`${row.podCidr} has ${row.usable} usable of ${row.size} indices`, () => {
      using pool = core.createPool({ podCidr: cidr(row.podCidr), excludes: [] });
      expect([pool.size, pool.usable, pool.free]).toEqual([row.size, row.usable, row.usable]);
      const usable = range(0, pool.size - 1).filter((index) => pool.isUsable(index));
      expect([usable.at(0) ?? null, usable.at(-1) ?? null]).toEqual([row.first, row.last]);
      const taken = range(1, row.usable).map(() => pool.take());
      expect([new Set(taken).size, pool.take(), pool.free]).toEqual([row.usable, undefined, 0]);
    });
  }
});

/** Does one step of a sequence and returns its outcome in the form of the golden file. */
function perform(pool: Pool, verb: unknown, index: number): unknown[] {
  switch (verb) {
    case 'take':
      return [pool.take() ?? null];
    case 'occupy':
      return [index, pool.occupy(index)];
    case 'release':
      return [index, pool.release(index)];
    case 'quarantine':
      return [index, pool.quarantine(index)];
    case 'endQuarantine':
      return [index, pool.endQuarantine(index)];
    case 'counts':
      return [pool.occupied, pool.quarantined, pool.free];
    default:
      throw new Error(`the golden file has an unknown verb: ${verb}`);
  }
}

describe('sequences', () => {
  for (const row of sequences.rows) {
    test(row.title, () => {
      using pool = core.createPool({
        podCidr: cidr(row.podCidr),
        excludes: excludes(row.excludes),
      });
      for (const [verb, ...rest] of row.steps) {
        const outcome: unknown[] = [verb, ...perform(pool, verb, Number(rest[0]))];
        expect(outcome).toEqual([verb, ...rest]);
      }
    });
  }
});
