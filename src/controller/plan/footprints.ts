// Which networks use addresses that an earlier network uses too. Two networks with one block would
// give one address to two pods (W-17), so the later one is refused.
import { type Cidr, containsCidr, formatCidr } from '../../shared/model/ip/cidr.ts';
import { compareText } from './net-order.ts';

export interface Footprint {
  readonly name: string;
  /** RFC 3339; the earlier network has the right. */
  readonly createdAt: string;
  /** Blocks that hosts hold indices of: these addresses are in use, refused or not. */
  readonly held: readonly Cidr[];
  /** Blocks that its definition asks for. */
  readonly wanted: readonly Cidr[];
}

export interface Overlap {
  readonly other: string;
  readonly block: string;
}

/** What a network holds and what it wants have different rights. */
interface Stake extends Pick<Footprint, 'name' | 'createdAt'> {
  readonly isHeld: boolean;
  readonly blocks: readonly Cidr[];
}

/**
 * Network name -> what it overlaps with. What hosts hold comes first, then the earlier network,
 * then the name.
 */
export function planOverlaps(footprints: readonly Footprint[]): ReadonlyMap<string, Overlap> {
  const ordered = footprints.flatMap(({ name, createdAt, held, wanted }): Stake[] => [
    { name, createdAt, isHeld: true, blocks: held },
    { name, createdAt, isHeld: false, blocks: wanted },
  ]);
  ordered.sort(
    (a, b) =>
      Number(b.isHeld) - Number(a.isHeld) ||
      compareText(a.createdAt, b.createdAt) ||
      compareText(a.name, b.name),
  );
  const meetings = findMeetings(ordered);
  const taken = new Set<number>();
  const overlaps = new Map<string, Overlap>();
  for (const [rank, { name, isHeld }] of ordered.entries()) {
    const earlier = [...(meetings.get(rank) ?? [])].filter(([other]) => taken.has(other));
    const [first] = earlier.sort(([a], [b]) => a - b);
    const other = first && ordered[first[0]];
    if (first !== undefined && other !== undefined && !overlaps.has(name)) {
      overlaps.set(name, { other: other.name, block: formatCidr(first[1]) });
    }
    if (first === undefined || isHeld) taken.add(rank);
  }
  return overlaps;
}

interface Place {
  /** Position in the order of precedence. */
  readonly rank: number;
  readonly name: string;
  readonly block: Cidr;
}

/**
 * Rank -> the ranks before it that it has addresses in common with -> the block in which. Blocks in
 * the order of their addresses either nest or follow each other, so each is compared only with
 * those that it lies in: networks may be many.
 */
function findMeetings(ordered: readonly Stake[]): Map<number, Map<number, Cidr>> {
  const places = ordered.flatMap(({ name, blocks }, rank) =>
    blocks.map((block): Place => ({ rank, name, block })),
  );
  places.sort((a, b) => compareBlocks(a.block, b.block));
  const meetings = new Map<number, Map<number, Cidr>>();
  let around: Place[] = [];
  for (const place of places) {
    around = around.filter(({ block }) => containsCidr(block, place.block));
    for (const outer of around) {
      if (outer.name === place.name) continue;
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
