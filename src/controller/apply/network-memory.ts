// What the leader remembers of one network: claims that are perhaps not published yet, and since
// when a bit of the ledger has had no owner.
import type { HostIndices } from '../plan/indices.ts';
import type { Ledger } from '../plan/ledger.ts';

export class NetworkMemory {
  readonly uid: string;
  /** Host -> net address -> host index. */
  readonly pending = new Map<string, Map<string, number>>();
  /** Monotonic time of the last write of the CIDR object, and how large it was. */
  cidrWritten: { readonly atMs: number; readonly bytes: number } | undefined;
  /** What the CIDR object was found to be right for. */
  cidrRightFor: string | undefined;
  #orphans = new Map<string, number>();

  constructor(uid: string) {
    this.uid = uid;
  }

  /** Bits that have been without owner for longer than `ageMs`. */
  freeable(nowMs: number, ageMs: number): ReadonlySet<string> {
    const old = [...this.#orphans].filter(([, sinceMs]) => nowMs - sinceMs > ageMs);
    return new Set(old.map(([key]) => key));
  }

  /**
   * Takes note of the bits that have no owner now; one that had an owner in between starts anew.
   */
  noteOrphans(keys: readonly string[], nowMs: number): void {
    this.#orphans = new Map(keys.map((key) => [key, this.#orphans.get(key) ?? nowMs]));
  }

  /** Time until the next bit may be given back. */
  waitMs(nowMs: number, ageMs: number): number | undefined {
    if (this.#orphans.size === 0) return undefined;
    return Math.max(Math.min(...this.#orphans.values()) + ageMs - nowMs, 0) + 1;
  }

  /**
   * Before publishing: from now on a host's index may be published, whatever the answer will be.
   */
  notePending({ hostName, indices }: HostIndices, published: ReadonlyMap<string, number>): void {
    const added = indices.filter(({ netAddress }) => !published.has(netAddress));
    if (added.length === 0) return;
    const known = this.pending.get(hostName) ?? new Map<string, number>();
    for (const { netAddress, hostIndex } of added) known.set(netAddress, hostIndex);
    this.pending.set(hostName, known);
  }

  /** After publishing, or when it turned out that somebody else did. */
  settle(hostName: string): void {
    this.pending.delete(hostName);
  }

  /** Forgets claims whose bit the ledger no longer has. */
  prune(ledger: Ledger): void {
    const nets = new Map(ledger.nets.map(({ netAddress, hosts }) => [netAddress, hosts]));
    for (const [hostName, indices] of this.pending) {
      for (const [netAddress, index] of indices) {
        if (nets.get(netAddress)?.has(index) !== true) indices.delete(netAddress);
      }
      if (indices.size === 0) this.pending.delete(hostName);
    }
  }
}
