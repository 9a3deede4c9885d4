// Waits for a fact to become true by asking again, at once at first and then less and less often,
// for a bounded time.

const WAIT_MS_MAX = 25;
/** No measure of speed: a machine with ten other things to do must be able to keep it. */
const TIMEOUT_MS = 90_000;

/**
 * Returns the first value of `probe` that is neither undefined nor false. A throwing probe counts
 * as "not yet". Fails after `timeoutMs` naming `what` and what was wrong the last time.
 */
export async function eventually<T>(
  what: string,
  probe: () => T | Promise<T>,
  timeoutMs = TIMEOUT_MS,
): Promise<Exclude<T, undefined | false>> {
  const endMs = performance.now() + timeoutMs;
  let last: unknown;
  for (let waitMs = 0; ; waitMs = Math.min(waitMs * 2 + 0.5, WAIT_MS_MAX)) {
    try {
      const value = await probe();
      last = `still ${value}`;
      if (value !== undefined && value !== false) return value as Exclude<T, undefined | false>;
    } catch (error) {
      last = error;
    }
    if (performance.now() > endMs) {
      throw new Error(`not within ${timeoutMs} ms: ${what}: ${last}`, { cause: last });
    }
    await new Promise((resolve) => setTimeout(resolve, waitMs));
  }
}
