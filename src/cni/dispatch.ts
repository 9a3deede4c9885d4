// From a runtime's call to one JSON document and an exit status: the protocol itself, without a
// process. The order of the checks decides which error a wrong call gets (spec cni 1.7).

import {
  type CniEnvironment,
  checkDispatch,
  checkOwnNetns,
  isCniCommand,
  parseCniEnvironment,
} from '../shared/model/cni/environment.ts';
import { CniFailure, toCniError } from '../shared/model/cni/error.ts';
import { parseRequestConfig } from '../shared/model/cni/network-config.ts';
import { effectiveVersion, isSupported, NEWEST_VERSION } from '../shared/model/cni/version.ts';
import { DomainError } from '../shared/model/errors.ts';
import { decodeText } from './bounded-text.ts';
import { add } from './commands/add.ts';
import { check } from './commands/check.ts';
import { del } from './commands/del.ts';
import { formerName } from './commands/former-name.ts';
import { gc } from './commands/gc.ts';
import { status } from './commands/status.ts';
import { banner, versionReply } from './commands/version.ts';
import {
  type CniCall,
  type CniCommandHandler,
  type CniOutcome,
  type CniPorts,
  SILENT,
} from './ports.ts';
import type { ProgramName } from './program.ts';

/** Everything a call has and touches. */
export interface Dispatch extends CniPorts {
  readonly program: ProgramName;
  /** Version of the executable, for the banner. */
  readonly version: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /**
   * Reads standard input to its end, or to some point behind the limit. Not called for VERSION.
   */
  readonly stdin: (limitBytes: number) => Uint8Array;
  /** Prints to standard output, at most once; throws if nobody reads it. */
  readonly stdout: (text: string) => void;
  /** Prints one or more lines for people. */
  readonly stderr: (text: string) => void;
  /** Whether the path is the network namespace that this process is in. Never throws. */
  readonly isOwnNetns: (path: string) => boolean;
}

/** Bytes of the largest configuration that is read. */
export const STDIN_BYTES_MAX = 1024 * 1024;

const EXIT_OK = 0;
const EXIT_FAILED = 1;

/** What is known about a call when something fails. */
interface Progress {
  command: string | undefined;
  requestId: string | undefined;
  cniVersion: string;
}

/** Answers one call and returns the exit status. Never throws. */
export async function dispatch(o: Dispatch): Promise<number> {
  const progress: Progress = {
    command: undefined,
    requestId: undefined,
    cniVersion: NEWEST_VERSION,
  };
  try {
    const outcome = await answer(o, progress);
    if (outcome.output !== '') await printOrTakeBack(o, outcome);
    return EXIT_OK;
  } catch (error) {
    printError(o, { error, progress });
    return EXIT_FAILED;
  }
}

async function answer(o: Dispatch, progress: Progress): Promise<CniOutcome> {
  const parsed = parseCniEnvironment(o.env);
  if (parsed.outcome === 'banner') {
    o.stderr(banner(o));
    return SILENT;
  }
  if (parsed.outcome === 'refused') throw new CniFailure(parsed.error);
  const { environment } = parsed;
  progress.command = environment.command;
  if (environment.command === 'VERSION') return { output: versionReply() };
  const call = readCall(o, { environment, progress });
  const handler = handlerOf(o.program, environment.command);
  if (handler === undefined) throw new Error(`no handler for ${environment.command}`);
  return handler(call, o);
}

/** Steps 3 to 7 and 9: standard input, the configuration, the verb, its version, the namespace. */
function readCall(
  o: Dispatch,
  { environment, progress }: { environment: CniEnvironment; progress: Progress },
): CniCall {
  const { command, netns, netnsOverride } = environment;
  const config = parseRequestConfig(readStdin(o));
  if (!config.ok) throw new CniFailure(config.error);
  const cniVersion = effectiveVersion(config.value.cniVersion);
  if (isSupported(cniVersion)) progress.cniVersion = cniVersion;
  const wrongCall = checkDispatch(command, cniVersion);
  if (wrongCall !== undefined) throw new CniFailure(wrongCall);
  // Judged last, but before anything is done. The reference judges after it has acted.
  const isOwnNetns = netns !== '' && o.isOwnNetns(netns);
  const wrongNetns = checkOwnNetns({ command, isOwnNetns, netnsOverride });
  if (wrongNetns !== undefined) throw new CniFailure(wrongNetns);
  const requestId = o.newRequestId();
  progress.requestId = requestId;
  const { name: network, value } = config.value;
  return { environment, requestId, cniVersion, network, config: value };
}

function readStdin(o: Dispatch): string {
  try {
    return decodeText(o.stdin(STDIN_BYTES_MAX), STDIN_BYTES_MAX);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new DomainError('io-failed', `error reading from stdin: ${reason}`, { cause: error });
  }
}

const HANDLERS: Readonly<Record<string, CniCommandHandler>> = {
  ADD: add,
  DEL: del,
  CHECK: check,
  STATUS: status,
  GC: gc,
};

/** What the program does for a verb that has a configuration. */
function handlerOf(program: ProgramName, command: string): CniCommandHandler | undefined {
  if (!isCniCommand(command)) return undefined;
  if (program === 'multi-nic' || command === 'STATUS') return HANDLERS[command];
  return formerName(program);
}

/**
 * A result that cannot be delivered must not stay in force: the runtime takes the call for failed.
 */
async function printOrTakeBack(o: Dispatch, outcome: CniOutcome): Promise<void> {
  try {
    o.stdout(outcome.output);
  } catch (error) {
    await outcome.takeBack?.();
    throw new DomainError('io-failed', 'the result cannot be printed', { cause: error });
  }
}

function printError(
  o: Dispatch,
  { error, progress }: { error: unknown; progress: Progress },
): void {
  const { command, requestId } = progress;
  const { CNI_CONTAINERID: containerId, CNI_IFNAME: ifName } = o.env;
  const document = toCniError(error, progress);
  const { code } = document;
  o.log.error('call failed', { command, requestId, containerId, ifName, code, error });
  try {
    o.stdout(JSON.stringify(document));
  } catch (printing) {
    o.log.error('the error cannot be printed', { requestId, error: printing });
  }
}
