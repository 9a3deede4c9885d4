// What the commands need of the world. `main.ts` fills it in for the real one, tests for theirs.

import type { Core } from '../../core-wasm/index.ts';
import type { CniEnvironment } from '../shared/model/cni/environment.ts';
import type { JsonObject } from '../shared/model/cni/network-config.ts';
import type { Logger } from '../shared/platform/log.ts';
import type { DaemonClient } from './daemon-port.ts';
import type { Spool } from './spool.ts';
import type { Timeouts } from './timeouts.ts';

export interface CniPorts {
  readonly daemon: DaemonClient;
  readonly spool: Spool;
  readonly timeoutsMs: Timeouts;
  /** Starts the WASM core; asked for at most once, and only by ADD. */
  readonly loadCore: () => Promise<Core>;
  readonly log: Logger;
  readonly newRequestId: () => string;
}

/** One call of a runtime after the checks that all verbs share. */
export interface CniCall {
  readonly environment: CniEnvironment;
  /** Identifies the call in the daemon's log and in ours. */
  readonly requestId: string;
  /** The version to answer in; one of the supported ones. */
  readonly cniVersion: string;
  /** Name of the network. */
  readonly network: string;
  /** The configuration as it was sent; only `name` and `cniVersion` have been looked at. */
  readonly config: JsonObject;
}

/** What a command leaves to be printed. */
export interface CniOutcome {
  /** The document for standard output, or nothing. */
  readonly output: string;
  /** Takes the effects back. Called when the runtime cannot be told about them. */
  readonly takeBack?: () => Promise<unknown>;
}

/**
 * Answers a verb, or throws: a DomainError or CniFailure for what is foreseen, anything else is a
 * bug.
 */
export type CniCommandHandler = (call: CniCall, ports: CniPorts) => Promise<CniOutcome>;

/** The outcome of verbs that print nothing. */
export const SILENT: CniOutcome = { output: '' };
