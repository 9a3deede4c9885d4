// Leader election over a coordination.k8s.io Lease. Whether a lease has run out is judged by
// watching it stand still on our own monotonic clock, so clocks of different machines are never
// compared.
import type { Clock } from '../clock.ts';
import { systemClock } from '../clock.ts';
import type { Logger } from '../log.ts';
import type { KubeClient } from './client.ts';
import { isKubeError } from './errors.ts';
import { LEASES } from './resource.ts';

export interface LeaderOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  readonly name: string;
  /**
   * Names this process. Two processes with one identity that run at the same time would both lead.
   */
  readonly identity: string;
  /** Others may take the lease when it was not renewed for this long. */
  readonly leaseDurationMs: number;
  /** We stop leading when no renewal succeeded for this long; less than the above. */
  readonly renewDeadlineMs: number;
  readonly retryPeriodMs: number;
  /**
   * The work of the leader. `signal` aborts when leading ends: stop all writes at once, then
   * return.
   */
  readonly run: (signal: AbortSignal) => Promise<void>;
  readonly signal: AbortSignal;
  readonly log: Logger;
  readonly clock?: Clock;
  readonly random?: () => number;
}

/**
 * 'stopped': `signal` aborted or `run` returned, and the lease was given back if we held it.
 * 'lost': somebody else may lead now; whatever was cached about the cluster is to be thrown away,
 * best by ending the process.
 */
export type LeaderResult = 'stopped' | 'lost';

/** Waits for the lease, then runs. Throws what `run` throws, after giving the lease back. */
export async function runAsLeader(options: LeaderOptions): Promise<LeaderResult> {
  assertTimes(options);
  return await new Candidate(options).lead();
}

function assertTimes(o: LeaderOptions): void {
  const ordered = o.retryPeriodMs < o.renewDeadlineMs && o.renewDeadlineMs < o.leaseDurationMs;
  if (!ordered || o.retryPeriodMs <= 0 || o.leaseDurationMs < 1000) {
    throw new RangeError('0 < retryPeriodMs < renewDeadlineMs < leaseDurationMs >= 1000 is needed');
  }
}

type Lease = NonNullable<Awaited<ReturnType<typeof readLease>>>;

function readLease(o: LeaderOptions, signal: AbortSignal, timeoutMs: number) {
  return o.client.get(LEASES, { name: o.name, namespace: o.namespace }, { signal, timeoutMs });
}

class Candidate {
  readonly #o: LeaderOptions;
  readonly #clock: Clock;
  readonly #random: () => number;
  /** The version last seen in other hands and when we first saw it. */
  #observed: { resourceVersion: string; sinceMs: number } | undefined;
  /** The lease as we wrote it last. */
  #held: Lease | undefined;
  /** The last renewal whose answer did not arrive: it may have been written or not. */
  #unconfirmed: { renewTime: string; sentMs: number } | undefined;
  /**
   * When the request of the last successful write was sent: the lease is ours at least until then +
   * duration.
   */
  #renewedMs = 0;

  constructor(options: LeaderOptions) {
    this.#o = options;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
  }

  async lead(): Promise<LeaderResult> {
    const { signal, log, name, identity } = this.#o;
    if (!(await this.#acquire())) return 'stopped';
    log.info('became leader', { lease: name, identity });
    const stop = new AbortController();
    const forward = (): void => stop.abort(signal.reason);
    if (signal.aborted) forward();
    signal.addEventListener('abort', forward, { once: true });
    const ended = new AbortController();
    const start = async (): Promise<void> => await this.#o.run(stop.signal);
    const work = start().finally(() => ended.abort());
    work.catch(() => undefined); // awaited below, after the lease was dealt with
    try {
      // Renewing goes on while the work winds down: until then the lease must not pass to others.
      const kept = await this.#renewUntil(ended.signal);
      if (!kept) {
        stop.abort(new Error('leadership lost'));
        log.error('leadership lost', { lease: name, identity });
        await work.catch((error) => log.error('work of the lost leader failed', { error }));
        return 'lost';
      }
      await this.#release();
      await work;
      return 'stopped';
    } finally {
      signal.removeEventListener('abort', forward);
    }
  }

  /** True when we hold the lease, false when `signal` aborted first. */
  async #acquire(): Promise<boolean> {
    const { signal, log, name } = this.#o;
    while (!signal.aborted) {
      try {
        if (await this.#tryAcquire()) return true;
      } catch (error) {
        if (!signal.aborted && !isKubeError(error, 'conflict', 'already-exists')) {
          log.error('lease not acquired', { lease: name, error });
        }
      }
      // the loop looks at it
      await this.#clock.sleep(this.#period(), signal).catch(() => undefined);
    }
    return false;
  }

  async #tryAcquire(): Promise<boolean> {
    const o = this.#o;
    const timeoutMs = o.renewDeadlineMs;
    const lease = await readLease(o, o.signal, timeoutMs);
    if (lease !== undefined && !this.#isFree(lease)) return false;
    const sentMs = this.#clock.monotonic();
    const wanted = this.#wantedLease(lease, true);
    const options = { signal: o.signal, timeoutMs };
    this.#held =
      lease === undefined
        ? await o.client.create(LEASES, wanted, options)
        : await o.client.replace(LEASES, wanted, options);
    this.#renewedMs = sentMs;
    // After too slow an answer the lease is hardly ours any more: the next round takes it again.
    return this.#clock.monotonic() - sentMs < o.renewDeadlineMs;
  }

  /** Ours, given back, or standing still for its whole duration while we looked. */
  #isFree(lease: Lease): boolean {
    const holder = lease.spec?.holderIdentity ?? '';
    if (holder === '' || holder === this.#o.identity) return true;
    const resourceVersion = lease.metadata?.resourceVersion ?? '';
    const nowMs = this.#clock.monotonic();
    if (this.#observed?.resourceVersion !== resourceVersion) {
      this.#observed = { resourceVersion, sinceMs: nowMs };
      return false;
    }
    // The holder's own word counts, and never less than what we would promise.
    const promisedMs = (lease.spec?.leaseDurationSeconds ?? 0) * 1000;
    return nowMs - this.#observed.sinceMs >= Math.max(promisedMs, this.#o.leaseDurationMs);
  }

  /**
   * False as soon as we cannot be sure any more to be the only leader; true when `ended` aborts.
   */
  async #renewUntil(ended: AbortSignal): Promise<boolean> {
    while (!ended.aborted) {
      const leftMs = this.#renewedMs + this.#o.renewDeadlineMs - this.#clock.monotonic();
      if (leftMs <= 0) return false;
      // see above
      await this.#clock.sleep(Math.min(this.#period(), leftMs), ended).catch(() => undefined);
      if (ended.aborted) return true;
      // Not cut short by `ended`: giving back needs to know the version that the last write made.
      if ((await this.#renewOnce()) === 'taken') return false;
    }
    return true;
  }

  /**
   * One renewal, ended by us when it takes too long, so that a hung connection leaves time for
   * another.
   */
  async #renewOnce(): Promise<'renewed' | 'failed' | 'taken'> {
    const { client, renewDeadlineMs, retryPeriodMs, log, name } = this.#o;
    const sentMs = this.#clock.monotonic();
    const leftMs = this.#renewedMs + renewDeadlineMs - sentMs;
    if (leftMs <= 0) return 'failed';
    const timeoutMs = Math.min(leftMs, Math.max(renewDeadlineMs / 3, retryPeriodMs));
    const wanted = this.#wantedLease(this.#held, false);
    using limit = this.#limit(timeoutMs);
    try {
      const options = { signal: limit.signal, timeoutMs };
      this.#held = await client.replace(LEASES, wanted, options);
      this.#renewedMs = sentMs;
      this.#unconfirmed = undefined;
      return 'renewed';
    } catch (error) {
      if (isKubeError(error, 'not-found')) return 'taken';
      if (isKubeError(error, 'conflict')) return await this.#explainConflict();
      this.#unconfirmed = { renewTime: wanted.spec.renewTime, sentMs };
      log.error('lease not renewed', { lease: name, error });
      return 'failed';
    }
  }

  /**
   * A conflict means that somebody else leads, but for one case: a write of ours whose answer got
   * lost.
   */
  async #explainConflict(): Promise<'failed' | 'taken'> {
    const unconfirmed = this.#unconfirmed;
    const leftMs = this.#renewedMs + this.#o.renewDeadlineMs - this.#clock.monotonic();
    if (unconfirmed === undefined || leftMs <= 0) return 'taken';
    using limit = this.#limit(leftMs);
    try {
      const lease = await readLease(this.#o, limit.signal, leftMs);
      const isOurs =
        lease?.spec?.holderIdentity === this.#o.identity &&
        lease.spec.renewTime === unconfirmed.renewTime;
      if (!isOurs) return 'taken';
      this.#held = lease;
      this.#renewedMs = unconfirmed.sentMs;
      this.#unconfirmed = undefined;
      return 'failed';
    } catch (error) {
      this.#o.log.error('lease not read after a conflict', { lease: this.#o.name, error });
      return 'failed';
    }
  }

  /** A signal that aborts after `ms` on our clock. */
  #limit(ms: number): { signal: AbortSignal } & Disposable {
    const controller = new AbortController();
    const timer = new AbortController();
    this.#clock.sleep(ms, timer.signal).then(
      () => controller.abort(new Error(`no answer within ${Math.round(ms)} ms`)),
      () => undefined, // rejected by our own abort only
    );
    return {
      signal: controller.signal,
      [Symbol.dispose]() {
        timer.abort();
      },
    };
  }

  /** Lets the next candidate start at once. Failing is harmless: the lease then runs out. */
  async #release(): Promise<void> {
    const { client, renewDeadlineMs, log, name } = this.#o;
    const held = this.#held;
    if (held === undefined) return;
    const spec = { ...held.spec, holderIdentity: '', leaseDurationSeconds: 1 };
    try {
      await client.replace(LEASES, { ...held, spec }, { timeoutMs: renewDeadlineMs });
      log.info('lease given back', { lease: name });
    } catch (error) {
      log.error('lease not given back', { lease: name, error });
    }
  }

  #wantedLease(lease: Lease | undefined, isAcquiring: boolean) {
    const { name, namespace, identity, leaseDurationMs } = this.#o;
    const nowText = toMicroTime(this.#clock.now());
    const transitions = lease?.spec?.leaseTransitions ?? 0;
    return {
      ...lease,
      metadata: { ...lease?.metadata, name, namespace },
      spec: {
        ...lease?.spec,
        holderIdentity: identity,
        leaseDurationSeconds: Math.ceil(leaseDurationMs / 1000),
        renewTime: nowText,
        acquireTime: isAcquiring ? nowText : (lease?.spec?.acquireTime ?? nowText),
        leaseTransitions: isAcquiring && lease !== undefined ? transitions + 1 : transitions,
      },
    };
  }

  /** Up to a fifth more, so that candidates do not keep step. */
  #period(): number {
    return this.#o.retryPeriodMs * (1 + this.#random() / 5);
  }
}

/** metav1.MicroTime wants six digits. */
function toMicroTime(ms: number): string {
  return new Date(ms).toISOString().replace('Z', '000Z');
}
