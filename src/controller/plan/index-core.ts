// The part of the WASM core that planning of indices needs, and the two questions it asks.
import { addressBits } from '../../shared/model/ip/address.ts';
import type { Cidr } from '../../shared/model/ip/cidr.ts';
import { POD_BITS_MIN } from '../../shared/model/objects/network-rules.ts';
import { IndexSet } from './index-set.ts';

/** Structural subset of Core in core-wasm/index.ts. */
export interface IndexCore {
  subnetAt(
    parent: Cidr,
    index: number,
    bits: number,
  ): { readonly ok: true; readonly cidr: Cidr } | { readonly ok: false };
  isCovered(block: Cidr, excludes: readonly Cidr[]): boolean;
  overlaps(a: Cidr, b: Cidr): boolean;
}

/** Says for an index whether its block exists and is not excluded as a whole. */
export type IndexCheck = (index: number) => boolean;

/** The greatest index that `bits` allow, within what an IndexSet can hold. */
export function indexLast(bits: number): number {
  return bits >= 20 ? 2 ** 20 - 1 : 2 ** bits - 1;
}

/**
 * Checks blocks of `bits` inside all `parents` (one per address family). Excludes that are smaller
 * than a block never cover one (spec api 2.2 P2), so they are sorted out first.
 */
export function createIndexCheck(
  core: IndexCore,
  o: { parents: readonly Cidr[]; bits: number; excludes: readonly Cidr[] },
): { readonly isUsable: IndexCheck; readonly hasExcludes: boolean; readonly fits: boolean } {
  const last = indexLast(o.bits);
  const fits = o.parents.every(
    ({ family, prefix }) => addressBits[family] - prefix - o.bits >= POD_BITS_MIN,
  );
  const parents = o.parents.map((parent) => ({
    parent,
    excludes: o.excludes.filter(
      (exclude) =>
        exclude.family === parent.family &&
        exclude.prefix <= parent.prefix + o.bits &&
        core.overlaps(exclude, parent),
    ),
  }));
  const limited = parents.filter(({ excludes }) => excludes.length > 0);
  const isUsable = (index: number): boolean =>
    fits &&
    IndexSet.isIndex(index) &&
    index <= last &&
    limited.every(({ parent, excludes }) => {
      const division = core.subnetAt(parent, index, o.bits);
      return division.ok && !core.isCovered(division.cidr, excludes);
    });
  return { isUsable, hasExcludes: limited.length > 0, fits };
}

/** Takes the lowest usable index that is not used (spec api 2.7), or undefined. */
export function takeFirstGap(
  used: IndexSet,
  last: number,
  isUsable: IndexCheck,
): number | undefined {
  for (let index = 0; index <= last; index++) {
    if (used.has(index) || !isUsable(index)) continue;
    used.add(index);
    return index;
  }
  return undefined;
}

/**
 * Takes indices above the greatest used one and, once these are at an end, the gaps (spec api 2.8).
 * It adds what it takes to `used`, and passes over each index once in either search.
 */
export function createAfterHighest(
  used: IndexSet,
  last: number,
  isUsable: IndexCheck,
): () => number | undefined {
  let above = used.last + 1;
  let gap = 0;
  const take = (index: number): boolean => {
    if (used.has(index) || !isUsable(index)) return false;
    used.add(index);
    return true;
  };
  return () => {
    while (above <= last) {
      const index = above++;
      if (take(index)) return index;
    }
    while (gap <= last) {
      const index = gap++;
      if (take(index)) return index;
    }
    return undefined;
  };
}
