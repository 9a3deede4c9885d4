// Who may use the one cluster of this machine: test files and benchmarks take turns, each as long as
// its cluster is up, and `up` as long as it is at work.
import { waitFor } from './command.ts';

const SOCKET = '\0multi-nic-cluster';

/** A holder that is at work answers late. */
const ANSWER_MS_MAX = 5000;

/** As long as the longest of them takes, with a slow machine in mind. */
export const TURN_MS_MAX = 20 * 60_000;

/**
 * Waits until no other process has the turn. It is given back when it is disposed of, or with the
 * process. `onWait` is called if there is something to wait for.
 */
export async function takeTurn(o: { onWait?: () => void } = {}): Promise<Disposable> {
  const what = 'the turn on the one cluster of this machine';
  let isFirst = true;
  const take = (): Disposable | undefined => {
    const turn = tryTurn();
    if (turn === undefined && isFirst) o.onWait?.();
    isFirst = false;
    return turn;
  };
  return await waitFor(what, take, { timeoutMs: TURN_MS_MAX, everyMs: 500 });
}

/** Number of the process that has the turn; undefined if none has, or if it says nothing. */
export async function turnHolder(): Promise<number | undefined> {
  const answer = Promise.withResolvers<string>();
  const timer = setTimeout(() => answer.resolve(''), ANSWER_MS_MAX);
  try {
    await Bun.connect({
      unix: SOCKET,
      socket: {
        data: (socket, text) => {
          answer.resolve(text.toString());
          socket.end();
        },
        close: () => answer.resolve(''),
        error: () => answer.resolve(''),
      },
    });
    const text = await answer.promise;
    return /^\d+$/.test(text) ? Number(text) : undefined;
  } catch {
    return undefined; // given back meanwhile
  } finally {
    clearTimeout(timer);
  }
}

/**
 * An abstract socket: only one process can have it, it leaves no file, and it ends with its holder.
 * Whoever connects is told the holder's process number. Undefined if another process has it.
 */
export function tryTurn(): Disposable | undefined {
  try {
    const socket = {
      // Who asked hangs up: to one whom we leave first the connection may look as if refused.
      open: (peer: Bun.Socket) => void peer.write(`${process.pid}`),
      data: () => undefined,
    };
    const listener = Bun.listen({ unix: SOCKET, socket });
    return { [Symbol.dispose]: () => listener.stop(true) };
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE') return undefined;
    throw error;
  }
}
