// ADD: asks the daemon to attach, checks what it says it did, and prints that. What cannot be used
// is undone, so that a pod whose ADD failed holds neither links nor addresses.

import { checkComposedIfName } from '../../shared/model/cni/environment.ts';
import { CniFailure, cniError } from '../../shared/model/cni/error.ts';
import type { CniRequest } from '../../shared/model/daemon-api.ts';
import { CNI_CODE_BUG, DomainError } from '../../shared/model/errors.ts';
import type { CniCall, CniOutcome, CniPorts } from '../ports.ts';
import { checkedConfig, toRequest } from './request.ts';

/** Handles ADD. */
export async function add(call: CniCall, ports: CniPorts): Promise<CniOutcome> {
  const config = checkedConfig(call);
  const wrongName = checkComposedIfName(call.environment.ifName, 1);
  if (wrongName !== undefined) throw new CniFailure(wrongName);
  const request = toRequest(call, { command: 'ADD', config });
  await refuseBadPrevResult(call, request);
  let loading: ReturnType<typeof loadCheck> | undefined;
  const answer = await ports.daemon.call(request, ports.timeoutsMs.ADD, () => {
    loading = loadCheck(ports);
    // Should this fail, it is thrown where the check is needed, or never.
    return loading.catch(() => undefined);
  });
  if (answer.outcome === 'not-sent' || answer.outcome === 'refused') throw answer.error;
  if (answer.outcome === 'unknown') throw await undone(answer.error, request, ports);
  try {
    const { toPrintedResult, core } = await (loading ?? loadCheck(ports));
    const printed = toPrintedResult(core, { call, request, reply: answer.reply });
    return { output: JSON.stringify(printed), takeBack: () => undo(request, ports) };
  } catch (error) {
    throw await undone(error, request, ports);
  }
}

/** The WASM core and what checks answers with it. */
async function loadCheck(ports: CniPorts) {
  const [{ toPrintedResult }, core] = await Promise.all([
    import('../attach-result.ts'),
    ports.loadCore(),
  ]);
  return { toPrintedResult, core };
}

/**
 * Before anything is done: a result of the plugins before us that could not be passed on is an
 * error.
 */
async function refuseBadPrevResult(call: CniCall, { config }: CniRequest): Promise<void> {
  const { prevResult } = config;
  if (prevResult === undefined || prevResult === null) return;
  const { parsePrevResult } = await import('../../shared/model/cni/result.ts');
  parsePrevResult(prevResult, call.cniVersion);
}

/**
 * Undoes an ADD and returns the error to throw, which says what became of the effects. Bugs stay
 * bugs, here and in the daemon.
 */
async function undone(error: unknown, added: CniRequest, ports: CniPorts): Promise<Error> {
  const { requestId } = added;
  const how = await undo(added, ports);
  if (error instanceof DomainError) {
    const details = { requestId, ...error.details, undo: how };
    return new DomainError(error.kind, error.message, { details, cause: error.cause });
  }
  const message = error instanceof Error ? error.message : String(error);
  const document = cniError(CNI_CODE_BUG, message, `requestId=${requestId} undo=${how}`);
  return new CniFailure(document, { cause: error });
}

/**
 * Sends a DEL of the same attachment; if that does not get through, leaves it in the spool. Returns
 * what happened; never throws.
 */
async function undo(added: CniRequest, ports: CniPorts): Promise<string> {
  const request: CniRequest = { ...added, requestId: ports.newRequestId(), command: 'DEL' };
  const answer = await ports.daemon.call(request, ports.timeoutsMs.UNDO);
  if (answer.outcome === 'done') return 'done';
  const { requestId } = added;
  try {
    const file = await ports.spool.record(request);
    ports.log.info('undo of an ADD left in the spool', { requestId, file, error: answer.error });
    return `left to the daemon in ${file}`;
  } catch (error) {
    ports.log.error('ADD could not be undone', { requestId, error });
    return `failed: ${answer.error.message}`;
  }
}
