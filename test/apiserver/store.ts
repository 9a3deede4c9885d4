// Test equipment: the memory of the embedded API server. One revision counter for everything, a
// bounded history that watches start from, and snapshots that paged lists continue on. Objects in
// it are never changed in place.

import { type JsonObject, objectAt, textAt } from './json.ts';
import { expired, tooLargeVersion } from './status.ts';

export interface Change {
  readonly revision: number;
  readonly store: string;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly key: string;
  readonly object: JsonObject;
  /** The object before; undefined for ADDED. */
  readonly previous: JsonObject | undefined;
}

export type ChangeListener = (change: Change) => void;

/** `namespace/name`; the namespace is empty for cluster-wide kinds. Sorts like the real keys do. */
export function objectKey(namespace: string, name: string): string {
  return `${namespace}/${name}`;
}

export function keyOf(object: JsonObject): string {
  const metadata = objectAt(object, 'metadata');
  return objectKey(textAt(metadata, 'namespace'), textAt(metadata, 'name'));
}

const byKey = ([a]: [string, unknown], [b]: [string, unknown]): number =>
  a < b ? -1 : a > b ? 1 : 0;

const SNAPSHOTS_MAX = 64;

export class Store {
  readonly #tables = new Map<string, Map<string, JsonObject>>();
  readonly #listeners = new Set<ChangeListener>();
  readonly #snapshots = new Map<string, { revision: number; items: JsonObject[] }>();
  readonly #historyMax: number;
  #history: Change[] = [];
  /** Changes up to and including this revision are forgotten. */
  #compacted = 0;
  #revision = 1;

  constructor(historyMax: number) {
    this.#historyMax = historyMax;
  }

  get revision(): number {
    return this.#revision;
  }

  get(store: string, key: string): JsonObject | undefined {
    return this.#tables.get(store)?.get(key);
  }

  /** In key order. */
  list(store: string): JsonObject[] {
    const table = this.#tables.get(store) ?? new Map<string, JsonObject>();
    return [...table.entries()].sort(byKey).map(([, object]) => object);
  }

  stores(): string[] {
    return [...this.#tables.keys()];
  }

  /**
   * Stores a new version of an object and returns it with its resourceVersion. Takes ownership of
   * `object`.
   */
  put(store: string, object: JsonObject): JsonObject {
    const key = keyOf(object);
    const previous = this.get(store, key);
    const stored = this.#stamp(object);
    this.#tableOf(store).set(key, stored);
    const type = previous === undefined ? 'ADDED' : 'MODIFIED';
    this.#record({ revision: this.#revision, store, type, key, object: stored, previous });
    return stored;
  }

  /** Removes an object; its last state carries the revision of the deletion. */
  remove(store: string, key: string, last?: JsonObject): JsonObject | undefined {
    const previous = this.get(store, key);
    if (previous === undefined) return undefined;
    const object = this.#stamp(last ?? previous);
    this.#tableOf(store).delete(key);
    this.#record({ revision: this.#revision, store, type: 'DELETED', key, object, previous });
    return object;
  }

  /**
   * Changes of a store after `revision`. Throws 410 when some are forgotten, 504 for a revision of
   * the future.
   */
  changesAfter(store: string, revision: number): Change[] {
    if (revision > this.#revision) throw tooLargeVersion(revision, this.#revision);
    if (revision < this.#compacted) {
      throw expired(`too old resource version: ${revision} (${this.#compacted})`);
    }
    return this.#history.filter((one) => one.store === store && one.revision > revision);
  }

  subscribe(listener: ChangeListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Forgets all history: every older watch and every list in progress then meets 410. */
  compact(): void {
    this.#history = [];
    this.#compacted = this.#revision;
    this.#snapshots.clear();
  }

  /** Keeps a list for its next pages. The oldest one is given up when there are too many. */
  keepSnapshot(id: string, snapshot: { revision: number; items: JsonObject[] }): void {
    if (this.#snapshots.size >= SNAPSHOTS_MAX) {
      const [oldest] = this.#snapshots.keys();
      if (oldest !== undefined) this.#snapshots.delete(oldest);
    }
    this.#snapshots.set(id, snapshot);
  }

  snapshot(id: string): { revision: number; items: JsonObject[] } {
    const found = this.#snapshots.get(id);
    if (found !== undefined) return found;
    throw expired(
      'The provided continue parameter is too old to display a consistent list result. ' +
        'You must start a new list without the continue parameter.',
    );
  }

  #stamp(object: JsonObject): JsonObject {
    this.#revision += 1;
    const metadata = objectAt(object, 'metadata');
    return { ...object, metadata: { ...metadata, resourceVersion: String(this.#revision) } };
  }

  #tableOf(store: string): Map<string, JsonObject> {
    const known = this.#tables.get(store);
    if (known !== undefined) return known;
    const fresh = new Map<string, JsonObject>();
    this.#tables.set(store, fresh);
    return fresh;
  }

  #record(change: Change): void {
    this.#history.push(change);
    // In steps, as taking one from the front of a long list for each change would be slow.
    if (this.#history.length > this.#historyMax * 1.25) {
      const dropped = this.#history.splice(0, this.#history.length - this.#historyMax);
      this.#compacted = dropped.at(-1)?.revision ?? this.#compacted;
    }
    for (const listener of [...this.#listeners]) listener(change);
  }
}
