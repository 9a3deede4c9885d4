// Which networks use addresses that an earlier network uses too. Two networks with one block would
// give one address to two pods (W-17), so the later one is refused.
import { type Cidr, formatCidr, overlapsCidr } from '../../shared/model/ip/cidr.ts';
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
  const taken: Footprint[] = [];
  const overlaps = new Map<string, Overlap>();
  for (const footprint of ordered) {
    const overlap = findOverlap(footprint, taken);
    if (overlap !== undefined) overlaps.set(footprint.name, overlap);
    if (overlap === undefined || footprint.isInUse) taken.push(footprint);
  }
  return overlaps;
}

function findOverlap(footprint: Footprint, taken: readonly Footprint[]): Overlap | undefined {
  for (const other of taken) {
    const block = footprint.blocks.find((own) =>
      other.blocks.some((theirs) => overlapsCidr(own, theirs)),
    );
    if (block !== undefined) return { other: other.name, block: formatCidr(block) };
  }
  return undefined;
}
