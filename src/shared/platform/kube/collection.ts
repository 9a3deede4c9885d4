// A live, projected copy of the objects of one kind: paged list, then watch, for ever. Errors make
// it stale, never empty: an object leaves only by a delete event or by being absent from a complete
// list.
import { type Backoff, backoffMs, RECONNECT_BACKOFF } from '../backoff.ts';
import { type Clock, systemClock } from '../clock.ts';
import type { Logger } from '../log.ts';
import type { KubeClient, WatchEvent } from './client.ts';
import { isKubeError } from './errors.ts';
import { type NamedObject, parseNamed, type Resource, toKey } from './resource.ts';

export interface CollectionOptions<T, P> {
  readonly client: KubeClient;
  readonly resource: Resource<T>;
  /**
   * What is kept of each object; everything else becomes garbage. Throwing keeps the previous
   * projection.
   */
  readonly project: (object: T) => P;
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** Called after the change is visible, with the key only: put it into a queue and return. */
  readonly onChange: (key: string) => void;
  readonly signal: AbortSignal;
  readonly log: Logger;
  readonly clock?: Clock;
  readonly random?: () => number;
  readonly backoff?: Backoff;
  readonly pageSize?: number;
  /**
   * Silence after which a watch counts as broken. The server sends a bookmark about every minute.
   */
  readonly idleTimeoutMs?: number;
}

export interface CollectionStats {
  readonly lists: number;
  readonly watches: number;
  readonly events: number;
  readonly bookmarks: number;
  readonly errors: number;
  /** Objects seen that could not be parsed or projected. */
  readonly rejected: number;
  /** Monotonic ms of the last answer or event, for health checks. */
  readonly lastContactMs: number;
}

/** Keys are `name`, or `namespace/name` for namespaced kinds. */
export interface Collection<P> {
  get(key: string): P | undefined;
  has(key: string): boolean;
  keys(): IterableIterator<string>;
  values(): IterableIterator<P>;
  readonly size: number;
  /** Resolves after the first complete list; rejects only if `signal` aborts before. */
  readonly synced: Promise<void>;
  readonly isSynced: boolean;
  /** Resolves when the loop has ended after `signal`; until then it never gives up. */
  readonly stopped: Promise<void>;
  stats(): CollectionStats;
}

const DEFAULT_IDLE_TIMEOUT_MS = 150_000;
/** A watch that lived this long without an event counts as having worked. */
const WATCH_SUCCESS_MS = 5_000;

/** Starts at once; ends with `signal`. */
export function watchCollection<T, P>(options: CollectionOptions<T, P>): Collection<P> {
  const loop = new CollectionLoop(options);
  loop.start();
  return loop;
}

interface Entry<P> {
  /** Compared for equality only; undefined when the key's callback has not succeeded yet. */
  resourceVersion: string | undefined;
  value: P;
}

class CollectionLoop<T, P> implements Collection<P> {
  readonly #options: CollectionOptions<T, P>;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #raw: Resource<NamedObject>;
  readonly #entries = new Map<string, Entry<P>>();
  readonly #synced = Promise.withResolvers<void>();
  readonly #stopped = Promise.withResolvers<void>();
  /** Keys whose deletion is applied but whose callback threw. */
  readonly #unreported = new Set<string>();
  #isSynced = false;
  /** Where the next watch continues; undefined: list first. */
  #resourceVersion: string | undefined;
  #failures = 0;
  #stats = {
    lists: 0,
    watches: 0,
    events: 0,
    bookmarks: 0,
    errors: 0,
    rejected: 0,
    lastContactMs: 0,
  };

  constructor(options: CollectionOptions<T, P>) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
    // Parsed here and one by one, so that a single bad object cannot make a whole list fail.
    this.#raw = { ...options.resource, parse: parseNamed };
    this.#synced.promise.catch(() => undefined); // nobody has to wait for it
  }

  start(): void {
    this.#run().then(this.#stopped.resolve, this.#stopped.reject);
  }

  get(key: string): P | undefined {
    return this.#entries.get(key)?.value;
  }

  has(key: string): boolean {
    return this.#entries.has(key);
  }

  keys(): IterableIterator<string> {
    return this.#entries.keys();
  }

  *values(): IterableIterator<P> {
    for (const entry of this.#entries.values()) yield entry.value;
  }

  get size(): number {
    return this.#entries.size;
  }

  get synced(): Promise<void> {
    return this.#synced.promise;
  }

  get isSynced(): boolean {
    return this.#isSynced;
  }

  get stopped(): Promise<void> {
    return this.#stopped.promise;
  }

  stats(): CollectionStats {
    return { ...this.#stats };
  }

  async #run(): Promise<void> {
    const { signal } = this.#options;
    while (!signal.aborted) {
      try {
        if (this.#resourceVersion === undefined) await this.#list();
        await this.#watch(this.#resourceVersion ?? '');
      } catch (error) {
        if (signal.aborted) break;
        this.#noteFailure(error);
      }
      await this.#pause();
    }
    this.#synced.reject(signal.reason); // without effect once it has resolved
  }

  #noteFailure(error: unknown): void {
    this.#stats.errors += 1;
    this.#failures += 1;
    const { log, resource } = this.#options;
    if (isKubeError(error, 'gone')) {
      this.#resourceVersion = undefined;
      log.info('watch is too far behind, listing again', { resource: resource.plural, error });
      return;
    }
    if (error instanceof CallbackError) this.#resourceVersion = undefined;
    log.error('watch failed', { resource: resource.plural, failures: this.#failures, error });
  }

  /** No wait after a watch that worked: the server ends each one after a few minutes. */
  async #pause(): Promise<void> {
    if (this.#failures === 0) return;
    const backoff = this.#options.backoff ?? RECONNECT_BACKOFF;
    const waitMs = backoffMs(backoff, this.#failures, this.#random);
    // the loop looks at the signal
    await this.#clock.sleep(waitMs, this.#options.signal).catch(() => undefined);
  }

  async #list(): Promise<void> {
    const seen = new Set<string>();
    let resourceVersion = '';
    this.#stats.lists += 1;
    for await (const page of this.#options.client.pages(this.#raw, this.#scope())) {
      this.#touch();
      resourceVersion = page.resourceVersion;
      for (const object of page.items) {
        seen.add(keyOf(object));
        this.#store(object);
      }
    }
    for (const key of [...this.#entries.keys()]) if (!seen.has(key)) this.#remove(key);
    for (const key of [...this.#unreported]) this.#remove(key);
    this.#resourceVersion = resourceVersion;
    this.#isSynced = true;
    this.#synced.resolve();
  }

  async #watch(resourceVersion: string): Promise<void> {
    const startMs = this.#clock.monotonic();
    this.#stats.watches += 1;
    const events = this.#options.client.watch(this.#raw, {
      ...this.#scope(),
      resourceVersion,
      signal: this.#options.signal,
      idleTimeoutMs: this.#options.idleTimeoutMs ?? DEFAULT_IDLE_TIMEOUT_MS,
    });
    for await (const event of events) {
      this.#touch();
      this.#failures = 0;
      this.#apply(event);
      this.#resourceVersion = event.resourceVersion;
    }
    // A server that accepts watches and ends them at once must not be asked in a tight loop.
    const worked = this.#clock.monotonic() - startMs >= WATCH_SUCCESS_MS;
    this.#failures = worked ? 0 : this.#failures + 1;
  }

  #apply(event: WatchEvent<NamedObject>): void {
    if (event.type === 'BOOKMARK') {
      this.#stats.bookmarks += 1;
      return;
    }
    this.#stats.events += 1;
    if (event.type === 'DELETED') this.#remove(keyOf(event.object));
    else this.#store(event.object);
  }

  #store(object: NamedObject): void {
    const key = keyOf(object);
    const resourceVersion = object.metadata.resourceVersion;
    const known = this.#entries.get(key);
    if (known?.resourceVersion !== undefined && known.resourceVersion === resourceVersion) return;
    const projected = this.#project(key, object);
    if (projected === undefined) return;
    const entry: Entry<P> = { resourceVersion: undefined, value: projected.value };
    this.#entries.set(key, entry);
    this.#unreported.delete(key);
    this.#notify(key);
    entry.resourceVersion = resourceVersion;
  }

  #remove(key: string): void {
    if (!this.#entries.delete(key) && !this.#unreported.has(key)) return;
    this.#unreported.add(key);
    this.#notify(key);
    this.#unreported.delete(key);
  }

  #project(key: string, object: NamedObject): { value: P } | undefined {
    const { resource, project, log } = this.#options;
    try {
      return { value: project(resource.parse(object)) };
    } catch (error) {
      this.#stats.rejected += 1;
      log.error('object not understood', { resource: resource.plural, key, error });
      return undefined;
    }
  }

  /** A throwing callback is a bug of the caller; the key is reported again after the next list. */
  #notify(key: string): void {
    try {
      this.#options.onChange(key);
    } catch (error) {
      throw new CallbackError(`change of ${this.#options.resource.plural}/${key} not taken`, {
        cause: error,
      });
    }
  }

  #touch(): void {
    this.#stats.lastContactMs = this.#clock.monotonic();
  }

  #scope(): { namespace?: string; labelSelector?: string; fieldSelector?: string } & Paging {
    const { namespace, labelSelector, fieldSelector, pageSize, signal } = this.#options;
    return {
      signal,
      ...(namespace === undefined ? {} : { namespace }),
      ...(labelSelector === undefined ? {} : { labelSelector }),
      ...(fieldSelector === undefined ? {} : { fieldSelector }),
      ...(pageSize === undefined ? {} : { pageSize }),
    };
  }
}

interface Paging {
  readonly pageSize?: number;
  readonly signal: AbortSignal;
}

class CallbackError extends Error {
  override readonly name = 'CallbackError';
}

function keyOf(object: NamedObject): string {
  return toKey(object.metadata);
}
