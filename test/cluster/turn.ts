// Who may use the one cluster of this machine: test files and benchmarks take turns, each as long as
// its cluster is up, and `up` as long as it is at work.
import { waitFor } from './command.ts';

/** As long as the longest of them takes, with a slow machine in mind. */
export const TURN_MS_MAX = 20 * 60_000;

/**
 * Waits until no other process has the turn. It is given back when it is disposed of, or with the
 * process. `onWait` is called if there is something to wait for.
 */
export async function takeTurn(o: { onWait?: () => void } = {}): Promise<Disposable> {
  const what = 'the turn on the one cluster of this machine';
  let isFirst = true;
  const tryTurn = (): Disposable | undefined => {
    const turn = listen();
    if (turn === undefined && isFirst) o.onWait?.();
    isFirst = false;
    return turn;
  };
  return await waitFor(what, tryTurn, { timeoutMs: TURN_MS_MAX, everyMs: 500 });
}

/**
 * An abstract socket: only one process can have it, it leaves no file, and it ends with its holder.
 */
function listen(): Disposable | undefined {
  try {
    const unix = '\0multi-nic-cluster';
    const listener = Bun.listen({ unix, socket: { data: () => undefined } });
    return { [Symbol.dispose]: () => listener.stop(true) };
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE') return undefined;
    throw error;
  }
}
