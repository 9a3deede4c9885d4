// Who may use the one cluster of this machine: test files and benchmarks take turns.
import { waitFor } from './command.ts';

/** As long as the longest of them takes, with a slow machine in mind. */
export const TURN_MS_MAX = 20 * 60_000;

/**
 * Waits until no other process has the turn. It is given back when it is disposed of, or with the
 * process.
 */
export async function takeTurn(): Promise<Disposable> {
  const turn = await waitFor('the turn on the one cluster of this machine', tryTurn, {
    timeoutMs: TURN_MS_MAX,
    everyMs: 500,
  });
  return { [Symbol.dispose]: () => turn.stop(true) };
}

/**
 * An abstract socket: only one process can have it, it leaves no file, and it ends with its holder.
 */
function tryTurn(): { stop(closeActive: boolean): void } {
  return Bun.listen({ unix: '\0multi-nic-cluster', socket: { data: () => undefined } });
}
