// Candidates for one Lease on a fake clock, for tests of leader election. The API server is given
// by its address; the connection of each candidate can be cut, hung or made to lose answers.
import {
  createKubeClient,
  type KubeClient,
  type RequestOptions,
} from '../../src/shared/platform/kube/client.ts';
import { KubeError } from '../../src/shared/platform/kube/errors.ts';
import { type LeaderResult, runAsLeader } from '../../src/shared/platform/kube/leader.ts';
import { LEASES } from '../../src/shared/platform/kube/resource.ts';
import { createLogger } from '../../src/shared/platform/log.ts';
import { createFakeClock, type FakeClock, settle } from './fake-clock.ts';

export const NAMESPACE = 'default';
export const LEASE_MS = 15_000;
export const RENEW_MS = 10_000;
export const RETRY_MS = 2_000;

/** What happens to the requests of a candidate. */
export type Line = 'up' | 'down' | 'hung' | 'answers lost';

export interface Candidate {
  readonly identity: string;
  line: Line;
  /** A dead process does nothing any more, not even give up. */
  isDead: boolean;
  readonly stop: AbortController;
  readonly result: Promise<LeaderResult>;
  /** Its work runs and has not been told to stop. */
  readonly leads: boolean;
  readonly starts: number;
  /** Ends its work once it has been told to stop; otherwise it does so at once. */
  hold: Promise<void>;
}

/** Candidates of one lease on one clock. */
export class Election {
  readonly clock: FakeClock = createFakeClock();
  readonly name = `lease-${crypto.randomUUID()}`;
  readonly candidates: Candidate[] = [];
  readonly lines: string[] = [];
  /** Set when two lead at a time. */
  overlap: string | undefined;
  readonly #requests = new Set<Promise<unknown>>();
  readonly #server: string;

  constructor(server: string) {
    this.#server = server;
  }

  enter(identity: string, o: { random?: () => number; fail?: Error } = {}): Candidate {
    const stop = new AbortController();
    let running: AbortSignal | undefined;
    let starts = 0;
    const candidate: Candidate = {
      identity,
      line: 'up',
      isDead: false,
      stop,
      hold: Promise.resolve(),
      get starts() {
        return starts;
      },
      get leads() {
        return running !== undefined && !running.aborted && !candidate.isDead;
      },
      result: Promise.resolve().then(() =>
        runAsLeader({
          client: this.#wire(() => candidate),
          namespace: NAMESPACE,
          name: this.name,
          identity,
          leaseDurationMs: LEASE_MS,
          renewDeadlineMs: RENEW_MS,
          retryPeriodMs: RETRY_MS,
          signal: stop.signal,
          clock: this.clock,
          random: o.random ?? (() => 0),
          log: createLogger({ component: identity, write: (line) => this.lines.push(line) }),
          run: async (signal) => {
            running = signal;
            starts += 1;
            this.check();
            if (o.fail !== undefined) throw o.fail;
            await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
            await candidate.hold;
            running = undefined;
          },
        }),
      ),
    };
    candidate.result.catch(() => undefined);
    this.candidates.push(candidate);
    return candidate;
  }

  /** Notes it when two lead now. */
  check(): void {
    const leading = this.candidates.filter((one) => one.leads).map((one) => one.identity);
    if (leading.length > 1) this.overlap = leading.join(' and ');
  }

  /** Moves time in small steps and lets the requests of each step finish. */
  async pass(ms: number, stepMs = 500): Promise<void> {
    await this.quiet();
    for (let passed = 0; passed < ms; passed += stepMs) {
      await this.clock.advance(Math.min(stepMs, ms - passed));
      await this.quiet();
      this.check();
    }
  }

  /** Until no request is on its way. */
  async quiet(): Promise<void> {
    await settle();
    while (this.#requests.size > 0) {
      await Promise.allSettled(this.#requests);
      await settle();
    }
  }

  async lease() {
    return await createKubeClient({ server: this.#server }).get(LEASES, {
      name: this.name,
      namespace: NAMESPACE,
    });
  }

  /** Lets everybody leave in good order. */
  async close(): Promise<void> {
    for (const candidate of this.candidates) {
      candidate.line = 'up';
      candidate.stop.abort(new Error('the test is over'));
    }
    await this.pass(RENEW_MS * 2);
    await Promise.allSettled(this.candidates.map((candidate) => candidate.result));
  }

  /** As the client's own limits do, this one ends: nobody hangs for ever. */
  async #hang({ timeoutMs = RENEW_MS, signal }: RequestOptions = {}): Promise<never> {
    await this.clock.sleep(timeoutMs, signal);
    throw failed('timeout', `no answer within ${timeoutMs} ms`);
  }

  #wire(owner: () => Candidate): KubeClient {
    const client = createKubeClient({ server: this.#server });
    const through = async <T>(
      o: RequestOptions | undefined,
      send: () => Promise<T>,
    ): Promise<T> => {
      const { line, isDead } = owner();
      if (isDead || line === 'hung') return await this.#hang(o);
      if (line === 'down') throw failed('unavailable', 'cut by the test');
      const request = send();
      this.#requests.add(request);
      try {
        const answer = await request;
        if (line === 'answers lost') throw failed('unavailable', 'cut by the test');
        return answer;
      } finally {
        this.#requests.delete(request);
      }
    };
    // The real timers of the client must not end a request before the fake clock does.
    const timeoutMs = 60_000;
    return {
      ...client,
      get: (r, key, o) => through(o, () => client.get(r, key, { ...o, timeoutMs })),
      create: (r, object, o) => through(o, () => client.create(r, object, { ...o, timeoutMs })),
      replace: (r, object, o) => through(o, () => client.replace(r, object, { ...o, timeoutMs })),
    };
  }
}

function failed(kind: 'timeout' | 'unavailable', detail: string): KubeError {
  return new KubeError({ kind, status: 0, reason: 'Test', attempt: 'talk', detail });
}
