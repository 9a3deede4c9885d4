// STATUS: could an ADD be served now? Only the daemon knows; a daemon that is away is the answer
// no.

import { type CniCall, type CniOutcome, type CniPorts, SILENT } from '../ports.ts';
import { askOrThrow, checkedConfig, toRequest } from './request.ts';

/** Handles STATUS. Failures that pass by themselves get code 50 where errors become codes. */
export async function status(call: CniCall, ports: CniPorts): Promise<CniOutcome> {
  const config = checkedConfig(call);
  await askOrThrow(toRequest(call, { command: 'STATUS', config }), ports, ports.timeoutsMs.STATUS);
  return SILENT;
}
