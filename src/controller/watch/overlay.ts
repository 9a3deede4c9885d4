// A collection with our own latest writes on top, until the watch has caught up with them. Without
// it every write would be planned, and refused as a conflict, once more.

interface Versioned {
  readonly resourceVersion: string;
}

/** The part of a Collection that is needed. */
export interface Source<P> {
  get(key: string): P | undefined;
  keys(): Iterable<string>;
}

interface Write<P> {
  readonly value: P;
  /** The versions that it is newer than; undefined among them when the object was made by us. */
  readonly replaces: ReadonlySet<string | undefined>;
}

export class Overlay<P extends Versioned> {
  readonly #source: () => Source<P>;
  readonly #writes = new Map<string, Write<P>>();

  constructor(source: () => Source<P>) {
    this.#source = source;
  }

  get(key: string): P | undefined {
    const cached = this.#source().get(key);
    const write = this.#writes.get(key);
    return write?.replaces.has(cached?.resourceVersion) === true ? write.value : cached;
  }

  /** Distinct keys in no particular order. */
  keys(): Iterable<string> {
    if (this.#writes.size === 0) return this.#source().keys();
    return new Set([...this.#source().keys(), ...this.#writes.keys()]);
  }

  *values(): IterableIterator<P> {
    for (const key of this.keys()) {
      const value = this.get(key);
      if (value !== undefined) yield value;
    }
  }

  /**
   * What a write answered; `basedOn` is the version it was conditional on, undefined for a
   * creation. One on top of another of ours replaces what that one replaced too, in whichever
   * order their answers come.
   */
  put(key: string, value: P, basedOn: string | undefined): void {
    const known = this.#writes.get(key);
    const isLate = known?.replaces.has(value.resourceVersion) === true;
    const isNext = known !== undefined && known.value.resourceVersion === basedOn;
    const replaces = new Set(isLate || isNext ? known?.replaces : []).add(basedOn);
    this.#writes.set(key, { value: isLate ? known.value : value, replaces });
  }

  /**
   * To be called for every change that the watch reports: from then on it knows better, unless it
   * only reports a version on which our write was built.
   */
  forget(key: string): void {
    const reported = this.#source().get(key)?.resourceVersion;
    const isBehind = reported !== undefined && this.#writes.get(key)?.replaces.has(reported);
    if (isBehind !== true) this.#writes.delete(key);
  }
}
