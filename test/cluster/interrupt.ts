// A cluster that one process brings up and takes down again, also when it is interrupted: ^C first
// stops what is under way and then removes it, so that nothing is started behind its back.
import { clusterDown, clusterUp, isKept, leftovers, type Report } from './cluster.ts';
import type { ClusterShape } from './settings.ts';

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/** Times that the cluster is taken down while a test, which knows no signal, starts parts of it. */
const ROUNDS_MAX = 5;

/**
 * Brings a cluster up, as `clusterUp` does. Until it is disposed of, which takes it down, ^C ends
 * this process with code 130, and before that removes everything that is not to be kept.
 */
export async function ownCluster(shape: ClusterShape, report?: Report): Promise<AsyncDisposable> {
  const abort = new AbortController();
  const exited = Promise.withResolvers<never>();
  const onSignal = (): void => {
    if (abort.signal.aborted) return; // pressed again
    console.error('interrupted: removing the cluster');
    abort.abort(new Error('interrupted'));
    exitWithoutCluster(up).catch(exited.reject);
  };
  for (const name of SIGNALS) process.on(name, onSignal);
  const ignoreSignals = (): void => {
    for (const name of SIGNALS) process.off(name, onSignal);
  };
  const up = clusterUp(shape, { report, signal: abort.signal });
  try {
    await up;
  } catch (error) {
    if (abort.signal.aborted) await exited.promise;
    ignoreSignals();
    throw error;
  }
  return {
    [Symbol.asyncDispose]: async () => {
      if (abort.signal.aborted) await exited.promise;
      await clusterDown();
      ignoreSignals();
    },
  };
}

/** Rejects with what could not be removed; otherwise it does not return. */
async function exitWithoutCluster(up: Promise<void>): Promise<never> {
  await up.catch(() => undefined);
  if (isKept()) process.exit(130);
  for (let round = 0; round < ROUNDS_MAX; round++) {
    await clusterDown();
    // Between this look and the exit nothing else of this process can run.
    if (leftovers().length === 0) process.exit(130);
  }
  throw new Error(`still there after ^C: ${leftovers().join(', ')}`);
}
