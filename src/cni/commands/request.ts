// Turns a call into the request for the daemon. Which keys of the configuration matter is the
// daemon's business.

import { CniFailure } from '../../shared/model/cni/error.ts';
import {
  type CniNetworkConfig,
  parseNetworkConfig,
} from '../../shared/model/cni/network-config.ts';
import type { CniRequest } from '../../shared/model/daemon-api.ts';
import type { CniCall, CniPorts } from '../ports.ts';

/**
 * The request of a verb with this configuration. STATUS and GC are about no attachment: what the
 * environment says of one was not checked for them and is not passed on.
 */
export function toRequest(
  call: CniCall,
  o: { readonly command: CniRequest['command']; readonly config: CniNetworkConfig },
): CniRequest {
  const { containerId, netns, ifName, args, path } = call.environment;
  const ofAttachment = o.command !== 'STATUS' && o.command !== 'GC';
  const attachment = ofAttachment
    ? { containerId, netns, ifName, args }
    : { containerId: '', netns: '', ifName: '', args: '' };
  return { requestId: call.requestId, ...attachment, path, ...o };
}

/**
 * The configuration, checked. Throws a CniFailure of code 7 that names everything that is wrong
 * with it.
 */
export function checkedConfig(call: CniCall): CniNetworkConfig {
  const parsed = parseNetworkConfig(call.config);
  if (!parsed.ok) throw new CniFailure(parsed.error);
  return parsed.value;
}

/**
 * Sends a request whose failure has no effects to care about. Throws what came of it unless it was
 * done.
 */
export async function askOrThrow(
  request: CniRequest,
  ports: CniPorts,
  timeoutMs: number,
): Promise<void> {
  const answer = await ports.daemon.call(request, timeoutMs);
  if (answer.outcome !== 'done') throw answer.error;
}
