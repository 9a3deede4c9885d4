// What the core must answer, by the plainest means: bigint, Set and loops. Slow and short, so that
// it can be believed. The property tests and the bench compare the core with it.
import type { Cidr, Division } from '../index.ts';

function width(family: 4 | 6): number {
  return family === 4 ? 32 : 128;
}

/** The first and the last address of a block. */
export function endsOf(block: Cidr): { first: bigint; last: bigint } {
  const size = 1n << BigInt(width(block.family) - block.prefix);
  const first = (block.base / size) * size;
  return { first, last: first + size - 1n };
}

/** `Core.subnetAt`. */
export function subnetAt(parent: Cidr, index: number, bits: number): Division {
  if (endsOf(parent).first !== parent.base) return { ok: false, reason: 'host-bits-set' };
  const prefix = parent.prefix + bits;
  if (prefix > width(parent.family)) return { ok: false, reason: 'prefix-too-long' };
  if (index < 0 || index >= 2 ** Math.min(bits, 32)) {
    return { ok: false, reason: 'index-out-of-range' };
  }
  const base = parent.base + BigInt(index) * (1n << BigInt(width(parent.family) - prefix));
  return { ok: true, cidr: { family: parent.family, base, prefix } };
}

/** `Core.isCovered`. */
export function isCovered(block: Cidr, excludes: readonly Cidr[]): boolean {
  const inner = endsOf(block);
  return excludes.some((exclude) => {
    const outer = endsOf(exclude);
    const around = outer.first <= inner.first && inner.last <= outer.last;
    return exclude.family === block.family && around;
  });
}

/** `Core.overlaps`. */
export function overlaps(a: Cidr, b: Cidr): boolean {
  const [left, right] = [endsOf(a), endsOf(b)];
  return a.family === b.family && left.first <= right.last && right.first <= left.last;
}

/** The usable indices of a pod CIDR. */
export function usableIndices(podCidr: Cidr, excludes: readonly Cidr[]): Set<number> {
  const { first, last } = endsOf(podCidr);
  const usable = new Set<number>();
  for (let index = 1; index < 65536 && first + BigInt(index) <= last; index++) {
    const address = first + BigInt(index);
    if (podCidr.family === 4 && address === last) continue;
    const one = { family: podCidr.family, base: address, prefix: width(podCidr.family) };
    if (!isCovered(one, excludes)) usable.add(index);
  }
  return usable;
}

/** `Pool` with a Set per state. */
export class NaivePool {
  readonly size: number;
  readonly usable: ReadonlySet<number>;
  readonly occupied = new Set<number>();
  readonly quarantined = new Set<number>();
  cursor = 0;

  constructor(podCidr: Cidr, excludes: readonly Cidr[]) {
    const { first, last } = endsOf(podCidr);
    this.size = last - first < 65536n ? Number(last - first) + 1 : 65536;
    this.usable = usableIndices(podCidr, excludes);
  }

  get free(): number {
    return this.usable.size - this.occupied.size - this.quarantined.size;
  }

  occupy(index: number): 'occupied' | 'already-occupied' | 'not-usable' | 'out-of-range' {
    if (index < 0 || index >= this.size) return 'out-of-range';
    if (!this.usable.has(index)) return 'not-usable';
    if (this.occupied.has(index)) return 'already-occupied';
    this.quarantined.delete(index);
    this.occupied.add(index);
    if (index >= this.cursor) this.cursor = (index + 1) % this.size;
    return 'occupied';
  }

  take(): number | undefined {
    for (let step = 0; step < this.size; step++) {
      const index = (this.cursor + step) % this.size;
      if (!this.usable.has(index) || this.occupied.has(index) || this.quarantined.has(index)) {
        continue;
      }
      this.occupied.add(index);
      this.cursor = (index + 1) % this.size;
      return index;
    }
    return undefined;
  }

  release(index: number): 'released' | 'not-occupied' {
    return this.occupied.delete(index) ? 'released' : 'not-occupied';
  }

  quarantine(index: number): 'quarantined' | 'not-occupied' {
    if (!this.occupied.delete(index)) return 'not-occupied';
    this.quarantined.add(index);
    return 'quarantined';
  }

  endQuarantine(index: number): 'released' | 'not-quarantined' {
    return this.quarantined.delete(index) ? 'released' : 'not-quarantined';
  }
}
