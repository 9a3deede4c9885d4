// ADD: asks the daemon to attach, checks what it says it did, and prints that. What cannot be used is undone, so that a
// pod whose ADD failed holds neither links nor addresses.

import { checkComposedIfName } from '../../shared/model/cni/environment.ts';
import { CniFailure } from '../../shared/model/cni/error.ts';
import type { CniNetworkConfig } from '../../shared/model/cni/network-config.ts';
import { type CniResult, parsePrevResult, toResultVersion } from '../../shared/model/cni/result.ts';
import type { CniReply, CniRequest } from '../../shared/model/daemon-api.ts';
import { DomainError } from '../../shared/model/errors.ts';
import { IPAM_TYPE } from '../../shared/model/names.ts';
import { mergeResults } from '../merge-results.ts';
import type { CniCall, CniOutcome, CniPorts } from '../ports.ts';
import { TIMEOUTS_MS } from '../timeouts.ts';
import { verifyReply } from '../verify-reply.ts';
import { checkedConfig, toRequest } from './request.ts';

/** Handles ADD. */
export async function add(call: CniCall, ports: CniPorts): Promise<CniOutcome> {
  const config = checkedConfig(call);
  const tooLong = checkComposedIfName(call.environment.ifName, 1);
  if (tooLong !== undefined) throw new CniFailure(tooLong);
  const previous = previousResult(call, config);
  const request = toRequest(call, { command: 'ADD', config });
  const asked = ports.daemon.call(request, TIMEOUTS_MS.ADD);
  // The daemon works meanwhile. A core that does not load must not go unnoticed when nobody waits for it any more.
  const core = ports.loadCore();
  core.catch(() => undefined);
  const answer = await asked;
  if (answer.outcome === 'not-sent') throw adviseOnDaemon(answer.error);
  if (answer.outcome === 'refused') throw answer.error;
  const takeBack = (): Promise<string> => undo(request, ports);
  if (answer.outcome === 'unknown') throw noteUndo(answer.error, await takeBack());
  try {
    const verified = verifyReply(await core, answer.reply, expectations(request, answer.reply));
    const result = mergeResults(previous, verified);
    const output = JSON.stringify(toResultVersion(result, call.cniVersion));
    return { output, takeBack: async () => void (await takeBack()) };
  } catch (error) {
    throw noteUndo(error, await takeBack());
  }
}

/** The result of the plugins before us in a chain. Throws `decode-failed` or `incompatible-version`. */
function previousResult(call: CniCall, config: CniNetworkConfig): CniResult | undefined {
  const { prevResult } = config;
  if (prevResult === undefined || prevResult === null) return undefined;
  return parsePrevResult(prevResult, call.cniVersion);
}

function expectations({ ifName, netns, config }: CniRequest, reply: CniReply) {
  const managed = config.ipam?.type === IPAM_TYPE || config.multiNICIPAM === true;
  return { ifName, netns, poolsRequired: managed, families: reply.families };
}

/**
 * Sends a DEL of the same attachment; if that does not get through, leaves it in the spool. Returns what happened, for
 * the error that the caller is about to throw; never throws.
 */
async function undo(added: CniRequest, ports: CniPorts): Promise<string> {
  const request: CniRequest = { ...added, requestId: ports.newRequestId(), command: 'DEL' };
  const answer = await ports.daemon.call(request, TIMEOUTS_MS.UNDO);
  if (answer.outcome === 'done') return 'undone';
  try {
    return `left to the daemon in ${await ports.spool.record(request)}`;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    ports.log.error('ADD could not be undone', { requestId: added.requestId, error });
    return `not undone: ${answer.error.message}; ${reason}`;
  }
}

/** The same error, with a detail that says what became of the effects. Bugs stay bugs. */
function noteUndo(error: unknown, undone: string): unknown {
  if (!(error instanceof DomainError)) return error;
  const details = { ...error.details, undo: undone };
  return new DomainError(error.kind, error.message, { details, cause: error.cause });
}

/** Says what a person can do about a daemon that is not there. */
function adviseOnDaemon(error: DomainError): DomainError {
  const advice =
    'see whether its pod runs on this node (kubectl -n multi-nic-cni-operator get pods -l app=multi-nicd -o wide)';
  const details = { ...error.details, advice };
  return new DomainError(error.kind, error.message, { details, cause: error.cause });
}
