// DEL: asks the daemon to release an attachment. A daemon that is away gets the request later from
// the spool; the pod must be able to go meanwhile, and its addresses stay taken until the daemon
// has seen the request.

import type { CniNetworkConfig } from '../../shared/model/cni/network-config.ts';
import { DomainError, isDomainError } from '../../shared/model/errors.ts';
import { type CniCall, type CniOutcome, type CniPorts, SILENT } from '../ports.ts';
import { toRequest } from './request.ts';

/**
 * Handles DEL. Reports success once the attachment is released, or its release is recorded durably.
 */
export async function del(call: CniCall, ports: CniPorts): Promise<CniOutcome> {
  const request = toRequest(call, { command: 'DEL', config: configOf(call) });
  const answer = await ports.daemon.call(request, ports.timeoutsMs.DEL);
  if (answer.outcome === 'done') return SILENT;
  const { error } = answer;
  // A daemon that refuses for good must be heard; one that is not ready yet is as good as away.
  // What it cannot even read (the name of the network may be too long) it never attached; it puts
  // the file aside and says so, and the pod can end.
  const isHeard = answer.outcome === 'refused';
  const later = !isHeard || isDomainError(error, 'not-ready', 'timeout', 'decode-failed');
  if (!later) throw error;
  try {
    const file = await ports.spool.record(request);
    const { requestId } = request;
    ports.log.info('DEL left in the spool', { requestId, file, error });
    return SILENT;
  } catch (spoolError) {
    throw neither(error, spoolError);
  }
}

/** Code 11, so that the runtime tries again; both reasons are in the details. */
function neither(error: Error, spoolError: unknown): DomainError {
  const spool = spoolError instanceof Error ? spoolError.message : String(spoolError);
  const message = `${error.message}, and the release could not be recorded for later`;
  const details = isDomainError(error) ? error.details : {};
  return new DomainError('daemon-unreachable', message, {
    details: { ...details, spool },
    cause: spoolError,
  });
}

/**
 * As much of a configuration as a release needs: an attachment is released by its identity, and a
 * network edited into nonsense, or beyond all bounds, must not keep its pods from going.
 */
function configOf({ cniVersion, network }: CniCall): CniNetworkConfig {
  return { cniVersion, name: network, plugin: { type: 'unknown' } };
}
