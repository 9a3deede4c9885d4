// From the daemon's answer to an ADD to what is printed: checked, put behind the results of earlier
// plugins, and in the version that was asked for. Loaded while the daemon works.

import type { Core } from '../../core-wasm/index.ts';
import {
  type PrintedResult,
  parsePrevResult,
  toResultVersion,
} from '../shared/model/cni/result.ts';
import type { CniReply, CniRequest } from '../shared/model/daemon-api.ts';
import { parseCidr } from '../shared/model/ip/cidr.ts';
import { IPAM_TYPE } from '../shared/model/names.ts';
import { mergeResults } from './merge-results.ts';
import type { CniCall } from './ports.ts';
import { verifyReply } from './verify-reply.ts';

/**
 * The document for standard output. Throws a DomainError 'reply-invalid' for an answer that is
 * wrong, and those of `parsePrevResult` and `toResultVersion`.
 */
export function toPrintedResult(
  core: Core,
  o: { readonly call: CniCall; readonly request: CniRequest; readonly reply: CniReply },
): PrintedResult {
  const { ifName, netns, config } = o.request;
  const { cniVersion } = o.call;
  const poolsRequired = config.ipam?.type === IPAM_TYPE || config.multiNICIPAM === true;
  const wanted = poolsRequired ? wantedFamilies(config.subnet) : undefined;
  const families = wanted ?? o.reply.families;
  const own = verifyReply(core, o.reply, { ifName, netns, poolsRequired, families });
  const { prevResult } = config;
  const hasPrevious = prevResult !== undefined && prevResult !== null;
  const previous = hasPrevious ? parsePrevResult(prevResult, cniVersion) : undefined;
  return toResultVersion(mergeResults(previous, own), cniVersion);
}

/**
 * The families of a network with pools as its configuration has them: a witness beside the daemon.
 * Undefined where the addresses come from the hosts' subnets, of which only the daemon knows.
 */
function wantedFamilies(subnet = ''): (4 | 6)[] | undefined {
  const blocks = subnet.split(',').map((text) => parseCidr(text.trim()));
  const families = blocks.flatMap((block) => (block === undefined ? [] : [block.family]));
  return families.length === blocks.length ? families : undefined;
}
