// How long to wait before trying again: exponential, capped, with jitter. Pure; the caller sleeps.

export interface Backoff {
  readonly initialMs: number;
  readonly maxMs: number;
  /** Growth per failure. Default 2. */
  readonly factor?: number;
}

/** For connections to servers that may be away for a while. */
export const RECONNECT_BACKOFF: Backoff = { initialMs: 200, maxMs: 30_000 };

/**
 * Wait before retry number `failures` (1 is the first); between half and all of the exponential
 * delay.
 */
export function backoffMs(backoff: Backoff, failures: number, random: () => number): number {
  const steps = Math.min(Math.max(failures, 1) - 1, 64); // the cap is reached long before
  const full = Math.min(backoff.initialMs * (backoff.factor ?? 2) ** steps, backoff.maxMs);
  return Math.round(full / 2 + random() * (full / 2));
}
