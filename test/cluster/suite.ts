// A cluster for the tests of one file. There is one cluster per machine, so files that are run at
// the same time, by anybody, wait for each other.
import { afterAll, beforeAll } from 'bun:test';
import { clusterDown, clusterUp, downWhenInterrupted } from './cluster.ts';
import type { ClusterShape } from './settings.ts';
import { TURN_MS_MAX, takeTurn } from './turn.ts';

const START_MS_MAX = 10 * 60_000;

/**
 * Registers hooks that bring a cluster up, run `prepare` on it, and take it down in the end or when
 * interrupted. A cluster that somebody brought up to keep is left alone, and the tests of this file
 * then fail.
 */
export function useCluster(shape: ClusterShape, prepare: () => Promise<void>): void {
  let isOurs = false;
  let turn: Disposable | undefined;
  beforeAll(async () => {
    turn = await takeTurn();
    downWhenInterrupted();
    await clusterUp(shape);
    isOurs = true;
    await prepare();
  }, TURN_MS_MAX + START_MS_MAX);
  afterAll(async () => {
    if (isOurs) await clusterDown();
    turn?.[Symbol.dispose]();
  });
}
