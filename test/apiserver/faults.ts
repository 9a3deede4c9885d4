// Test equipment: faults that tests put between a client and the embedded API server.
import type { ApiRequest } from './requests.ts';

/** Which requests a fault meets. Absent members match everything. */
export interface FaultMatch {
  readonly method?: string;
  readonly plural?: string;
  readonly name?: string;
  readonly namespace?: string;
  readonly subresource?: string;
  readonly isWatch?: boolean;
  readonly userAgent?: string;
}

export type FaultAction =
  /** Tears the connection: before anything was done, or after, so that only the answer is lost. */
  | { readonly action: 'drop'; readonly when?: 'before' | 'after' }
  /** Waits, then goes on. */
  | { readonly action: 'delay'; readonly delayMs: number }
  /** Never answers; the connection stays open until the server stops or the client leaves. */
  | { readonly action: 'hang' }
  /** Answers with a refusal, without doing anything. */
  | {
      readonly action: 'status';
      readonly code: number;
      readonly reason?: string;
      readonly retryAfterSeconds?: number;
      /** Sent instead of a Status object, as by a proxy. */
      readonly text?: string;
    }
  /** Lets a watch connect, then ends it after this many events. */
  | {
      readonly action: 'reset-watch';
      readonly afterEvents?: number;
      readonly how?: 'end' | 'reset' | 'expired';
    };

export type Fault = FaultAction & {
  readonly match?: FaultMatch | ((request: ApiRequest) => boolean);
  /** How many matching requests it lets pass first. Default: none. */
  readonly skip?: number;
  /** How often it strikes; then it is gone. Default: for ever. */
  readonly times?: number;
};

export interface FaultHandle extends Disposable {
  /** How often it has struck. */
  readonly hits: number;
}

interface Armed {
  readonly fault: Fault;
  hits: number;
  /** Requests that may still pass. */
  left: number;
}

export class Faults {
  readonly #armed = new Set<Armed>();

  /** Arms a fault; disposing the handle disarms it. */
  add(fault: Fault): FaultHandle {
    const armed = { fault, hits: 0, left: fault.skip ?? 0 };
    this.#armed.add(armed);
    return {
      get hits() {
        return armed.hits;
      },
      [Symbol.dispose]: () => this.#armed.delete(armed),
    };
  }

  clear(): void {
    this.#armed.clear();
  }

  /** The faults that strike this request, in the order in which they were added. */
  strike(request: ApiRequest): Fault[] {
    return [...this.#armed].flatMap((armed) => {
      if (!isMet(armed.fault, request)) return [];
      if (armed.left > 0) {
        armed.left -= 1;
        return [];
      }
      armed.hits += 1;
      if (armed.hits >= (armed.fault.times ?? Number.POSITIVE_INFINITY)) this.#armed.delete(armed);
      return [armed.fault];
    });
  }
}

function isMet(fault: Fault, request: ApiRequest): boolean {
  if (fault.action === 'reset-watch' && !request.isWatch) return false;
  if (typeof fault.match === 'function') return fault.match(request);
  const { method, ...rest } = fault.match ?? {};
  if (method !== undefined && method !== request.method) return false;
  const seen: Record<string, unknown> = { ...request, plural: request.kind?.plural ?? '' };
  return Object.entries(rest).every(([key, value]) => value === undefined || seen[key] === value);
}
