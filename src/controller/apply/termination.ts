// What a step of taking a network away came to.
import type { NetworkFinding } from '../plan/network-status.ts';

/** `finding` is undefined when nothing is left. */
export interface Termination {
  readonly finding: NetworkFinding | undefined;
  /** To be called again after it, or when something changed. */
  readonly afterMs: number;
}

export function waiting(reason: string, message: string, afterMs: number): Termination {
  return { finding: { type: 'Drained', status: 'False', reason, message }, afterMs };
}
