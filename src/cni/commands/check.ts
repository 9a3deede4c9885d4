// CHECK: asks the daemon whether everything that ADD made is still there.

import { CniFailure, cniError } from '../../shared/model/cni/error.ts';
import { type CniCall, type CniOutcome, type CniPorts, SILENT } from '../ports.ts';
import { askOrThrow, checkedConfig, toRequest } from './request.ts';

/**
 * Handles CHECK; without the result of the ADD there is nothing to check against (CNI SPEC, CHECK).
 */
export async function check(call: CniCall, ports: CniPorts): Promise<CniOutcome> {
  const config = checkedConfig(call);
  const { prevResult } = config;
  if (prevResult === undefined || prevResult === null) {
    throw new CniFailure(cniError(7, 'required prevResult missing'));
  }
  const { parsePrevResult } = await import('../../shared/model/cni/result.ts');
  parsePrevResult(prevResult, call.cniVersion);
  await askOrThrow(toRequest(call, { command: 'CHECK', config }), ports, ports.timeoutsMs.CHECK);
  return SILENT;
}
