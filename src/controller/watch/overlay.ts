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

export class Overlay<P extends Versioned> {
  readonly #source: () => Source<P>;
  readonly #writes = new Map<string, { basedOn: string | undefined; value: P }>();

  constructor(source: () => Source<P>) {
    this.#source = source;
  }

  get(key: string): P | undefined {
    const cached = this.#source().get(key);
    const write = this.#writes.get(key);
    return write !== undefined && write.basedOn === cached?.resourceVersion ? write.value : cached;
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
   * creation.
   */
  put(key: string, value: P, basedOn: string | undefined): void {
    this.#writes.set(key, { basedOn, value });
  }

  /** To be called for every change that the watch reports: from then on it knows better. */
  forget(key: string): void {
    this.#writes.delete(key);
  }
}
