// What is taken away, and what a step of it came to.
import type { MultiNicNetwork } from '../../shared/model/objects/multi-nic-network.ts';
import type { NetworkFinding } from '../plan/network-status.ts';

/** A network that is being deleted, or is gone: then there is no object. */
export interface EndingNetwork {
  readonly name: string;
  readonly object: MultiNicNetwork | undefined;
}

/** `finding` is undefined when nothing is left. */
export interface Termination {
  readonly finding: NetworkFinding | undefined;
  /** To be called again after it, or when something changed. */
  readonly afterMs: number;
}

export function waiting(reason: string, message: string, afterMs: number): Termination {
  return { finding: { type: 'Drained', status: 'False', reason, message }, afterMs };
}
