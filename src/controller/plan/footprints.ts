// Which networks use addresses that an earlier network uses too. Two networks with one block would
// give one address to two pods (W-17), so the later one is refused.
import { type Cidr, containsCidr, formatCidr } from '../../shared/model/ip/cidr.ts';
import { compareText } from './net-order.ts';

export interface Footprint {
  readonly name: string;
  /** RFC 3339; the earlier network has the right. */
  readonly createdAt: string;
  /** Blocks that its pod addresses come from. */
  readonly blocks: readonly Cidr[];
  /** True when hosts hold indices already: then the addresses are in use, refused or not. */
  readonly isInUse: boolean;
}

export interface Overlap {
  readonly other: string;
  readonly block: string;
}

/**
 * Network name -> what it overlaps with. Networks in use come first, then the earlier, then by
 * name.
 */
export function planOverlaps(footprints: readonly Footprint[]): ReadonlyMap<string, Overlap> {
  const ordered = [...footprints].sort(
    (a, b) =>
      Number(b.isInUse) - Number(a.isInUse) ||
      compareText(a.createdAt, b.createdAt) ||
      compareText(a.name, b.name),
  );
  const meetings = findMeetings(ordered);
  const taken = new Set<number>();
  const overlaps = new Map<string, Overlap>();
  for (const [rank, { name, isInUse }] of ordered.entries()) {
    const earlier = [...(meetings.get(rank) ?? [])].filter(([other]) => taken.has(other));
    const [first] = earlier.sort(([a], [b]) => a - b);
    const other = first && ordered[first[0]];
    if (first !== undefined && other !== undefined) {
      overlaps.set(name, { other: other.name, block: formatCidr(first[1]) });
    }
    if (first === undefined || isInUse) taken.add(rank);
  }
  return overlaps;
}

interface Place {
  /** Position of its network in the order of precedence. */
  readonly rank: number;
  readonly block: Cidr;
}

/**
 * Rank -> the ranks before it that it has addresses in common with -> the block in which. Blocks in
 * the order of their addresses either nest or follow each other, so each is compared only with
 * those that it lies in: networks may be many.
 */
function findMeetings(ordered: readonly Footprint[]): Map<number, Map<number, Cidr>> {
  const places = ordered.flatMap(({ blocks }, rank) =>
    blocks.map((block): Place => ({ rank, block })),
  );
  places.sort((a, b) => compareBlocks(a.block, b.block));
  const meetings = new Map<number, Map<number, Cidr>>();
  let around: Place[] = [];
  for (const place of places) {
    around = around.filter(({ block }) => containsCidr(block, place.block));
    for (const outer of around) {
      if (outer.rank === place.rank) continue;
      const [before, after] = outer.rank < place.rank ? [outer, place] : [place, outer];
      const met = meetings.get(after.rank) ?? new Map<number, Cidr>();
      meetings.set(after.rank, met);
      if (!met.has(before.rank)) met.set(before.rank, after.block);
    }
    around.push(place);
  }
  return meetings;
}

/** By address; of two that begin with the same one the larger comes first. */
function compareBlocks(a: Cidr, b: Cidr): number {
  if (a.family !== b.family) return a.family - b.family;
  if (a.base !== b.base) return a.base < b.base ? -1 : 1;
  return a.prefix - b.prefix;
}
