// GC: tells the daemon which attachments of a network the runtime still knows. What else has to be
// true before anything is released is decided there.

import { CniFailure, cniError } from '../../shared/model/cni/error.ts';
import { type CniCall, type CniOutcome, type CniPorts, SILENT } from '../ports.ts';
import { askOrThrow, checkedConfig, toRequest } from './request.ts';

const VALID = 'cni.dev/valid-attachments';
/** The key of an earlier draft, which libcni sends too. */
const VALID_DRAFT = 'cni.dev/attachments';

/**
 * Handles GC. An empty list means that nothing is valid, and libcni writes it as null; a
 * configuration without the key is refused, because to guess would release what is in use.
 */
export async function gc(call: CniCall, ports: CniPorts): Promise<CniOutcome> {
  const config = checkedConfig(call);
  if (!(VALID in call.config || VALID_DRAFT in call.config)) {
    throw new CniFailure(cniError(7, `required ${VALID} missing`));
  }
  const valid = config[VALID] ?? config[VALID_DRAFT] ?? [];
  const request = toRequest(call, { command: 'GC', config: { ...config, [VALID]: valid } });
  await askOrThrow(request, ports, ports.timeoutsMs.GC);
  return SILENT;
}
