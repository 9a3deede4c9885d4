// Everything the daemon does by itself, as keys of one work queue: plans, routes, published
// objects, quarantine, spool, garbage. Kernel and API events only add keys.
import type { Clock } from '../shared/platform/clock.ts';
import type { Logger } from '../shared/platform/log.ts';
import { createWorkQueue, type Outcome, type WorkQueue } from '../shared/platform/work-queue.ts';
import type { ClusterChange } from './cluster/cluster-view.ts';
import type { HostNetEvent } from './hostnet/host-net.ts';

/** One kind of work. `arg` is what follows the colon of a key, if anything. */
export type Job = (signal: AbortSignal, arg: string) => Promise<Outcome>;

/** The jobs by name. */
export interface Jobs {
  readonly inventory: Job;
  readonly plan: Job;
  readonly routes: Job;
  readonly host: Job;
  readonly report: Job;
  readonly pool: Job;
  readonly quarantine: Job;
  readonly spool: Job;
  readonly recover: Job;
  readonly collect: Job;
}

/** Shortest time between two runs of a job: a burst of events costs one run and a last one. */
const INTERVAL_MS: Readonly<Partial<Record<keyof Jobs, number>>> = {
  inventory: 250,
  plan: 200,
  routes: 200,
  host: 200,
  report: 1_000,
};
/**
 * How long such a job waits after it was asked for. An ADD makes kernel events of its own; the work
 * that they ask for must not delay the ADD.
 */
const SETTLE_MS = 50;
/**
 * A job rests this many times as long as it took: with thousands of peers, planning is not free.
 */
const REST_FACTOR = 4;
const REST_MS_MAX = 5_000;
/** A pool that pods change is published when it has not changed for so many delays... */
const QUIET_DELAYS = 3;
/** ...or has waited for so many. */
const QUIET_DELAYS_MAX = 5;
const CONCURRENCY = 8;
const DEADLINE_MS = 60_000;
const BACKOFF = { initialMs: 200, maxMs: 30_000 };

/** When a pool is to be published, and until when pods may put that off. Monotonic ms. */
interface PoolDue {
  readonly dueMs: number;
  readonly latestMs: number;
}

/** The queue with its jobs. */
export class Upkeep {
  readonly #queue: WorkQueue;
  readonly #clock: Clock;
  readonly #jobs: Jobs;
  readonly #poolDelayMs: number;
  readonly #lastRunMs = new Map<string, number>();
  readonly #tookMs = new Map<string, number>();
  /** Pools to be published. */
  readonly #pools = new Map<string, PoolDue>();
  /** When a job was first asked for since it last began. */
  readonly #askedMs = new Map<string, number>();

  constructor(o: { jobs: Jobs; clock: Clock; log: Logger; poolDelayMs: number }) {
    this.#jobs = o.jobs;
    this.#poolDelayMs = o.poolDelayMs;
    this.#clock = o.clock;
    this.#queue = createWorkQueue({
      reconcile: (key, signal) => this.#reconcile(key, signal),
      concurrency: CONCURRENCY,
      backoff: BACKOFF,
      deadlineMs: DEADLINE_MS,
      log: o.log,
      clock: o.clock,
    });
  }

  /** Asks for a job soon. */
  request(name: Exclude<keyof Jobs, 'pool'>): void {
    if (!this.#askedMs.has(name)) this.#askedMs.set(name, this.#clock.monotonic());
    this.#queue.add(name);
  }

  /** Asks for pools to be published one delay from now, whatever pods do. */
  requestPools(names: Iterable<string>): void {
    const dueMs = this.#clock.monotonic() + this.#poolDelayMs;
    for (const name of names) {
      const waiting = this.#pools.get(name)?.dueMs ?? dueMs;
      this.#setPoolDue(name, { dueMs: Math.min(dueMs, waiting), latestMs: dueMs });
    }
  }

  /**
   * Asks for pools that pods have changed to be published when they do not change any more: while
   * many pods start, the processors are theirs, and one write tells of all of them.
   */
  poolsChanged(names: Iterable<string>): void {
    const nowMs = this.#clock.monotonic();
    const dueMs = nowMs + QUIET_DELAYS * this.#poolDelayMs;
    const latestMs = nowMs + QUIET_DELAYS_MAX * this.#poolDelayMs;
    for (const name of names) this.#setPoolDue(name, { dueMs, latestMs });
  }

  /** Publishes what waits for that now. */
  publishWaiting(): void {
    const nowMs = this.#clock.monotonic();
    for (const name of this.#pools.keys()) {
      this.#pools.set(name, { dueMs: nowMs, latestMs: nowMs });
      this.#queue.add(`pool:${name}`);
    }
  }

  /** Works until the signal; resolves when what was under way has ended. */
  run(signal: AbortSignal): Promise<void> {
    return this.#queue.run(signal);
  }

  /** Resolves when nothing is left to do at once; never before `run`. */
  idle(): Promise<void> {
    return this.#queue.idle();
  }

  async #reconcile(key: string, signal: AbortSignal): Promise<Outcome> {
    const [name = '', ...rest] = key.split(':');
    const arg = rest.join(':');
    const job = Object.entries(this.#jobs).find(([known]) => known === name);
    if (job === undefined) throw new TypeError(`no job ${key}`);
    const waitMs = name === 'pool' ? this.#poolWaitMs(arg) : this.#waitMs(name);
    if (waitMs > 0) return { afterMs: waitMs };
    const startMs = this.#clock.monotonic();
    this.#lastRunMs.set(name, startMs);
    this.#askedMs.delete(name);
    if (name === 'pool') this.#pools.delete(arg);
    const outcome = await job[1](signal, arg);
    this.#tookMs.set(name, this.#clock.monotonic() - startMs);
    return outcome;
  }

  /** Nobody may put off longer what was asked for already. */
  #setPoolDue(pool: string, asked: PoolDue): void {
    const latestMs = Math.min(asked.latestMs, this.#pools.get(pool)?.latestMs ?? asked.latestMs);
    const dueMs = Math.min(asked.dueMs, latestMs);
    this.#pools.set(pool, { dueMs, latestMs });
    this.#queue.addAfter(`pool:${pool}`, dueMs - this.#clock.monotonic());
  }

  #poolWaitMs(pool: string): number {
    const due = this.#pools.get(pool);
    return due === undefined ? 0 : Math.ceil(due.dueMs - this.#clock.monotonic());
  }

  #waitMs(name: string): number {
    const interval = Object.entries(INTERVAL_MS).find(([known]) => known === name)?.[1] ?? 0;
    const last = this.#lastRunMs.get(name);
    if (interval === 0 || last === undefined) return 0;
    const asked = this.#askedMs.get(name) ?? Number.NEGATIVE_INFINITY;
    const rest = Math.min(REST_FACTOR * (this.#tookMs.get(name) ?? 0), REST_MS_MAX);
    const rested = last + Math.max(interval, rest);
    return Math.ceil(Math.max(rested, asked + SETTLE_MS) - this.#clock.monotonic());
  }
}

/** Which job a kernel event asks for. */
export function jobForKernelEvent(event: HostNetEvent): 'routes' | 'inventory' {
  return event === 'route' ? 'routes' : 'inventory';
}

/** Which jobs a change in the cluster asks for. */
export function jobsForClusterChange(what: ClusterChange): Exclude<keyof Jobs, 'pool'>[] {
  switch (what) {
    case 'network':
      return ['plan', 'routes'];
    case 'host':
      return ['plan', 'routes', 'host'];
    case 'class':
      return ['plan'];
    case 'pool':
    case 'pod':
      return [];
    default:
      return what satisfies never;
  }
}
