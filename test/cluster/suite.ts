// A cluster for the tests of one file. There is one cluster per machine, so files that are run at
// the same time, by anybody, wait for each other.
import { afterAll, beforeAll } from 'bun:test';
import { BUILT } from './cluster.ts';
import { ownCluster } from './interrupt.ts';
import type { ClusterShape } from './settings.ts';
import { TURN_MS_MAX, takeTurn } from './turn.ts';

const START_MS_MAX = 10 * 60_000;

/**
 * Registers hooks that bring a cluster up, run `prepare` on it with the milliseconds that it took
 * once everything was built, and take it down in the end or when interrupted. A cluster that somebody brought up to keep is left alone, and the tests of this file
 * then fail.
 */
export function useCluster(shape: ClusterShape, prepare: (upMs: number) => Promise<void>): void {
  let cluster: AsyncDisposable | undefined;
  let turn: Disposable | undefined;
  beforeAll(async () => {
    turn = await takeTurn();
    let begin = performance.now();
    cluster = await ownCluster(shape, (message) => {
      if (message === BUILT) begin = performance.now();
    });
    await prepare(performance.now() - begin);
  }, TURN_MS_MAX + START_MS_MAX);
  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]();
    turn?.[Symbol.dispose]();
  });
}
