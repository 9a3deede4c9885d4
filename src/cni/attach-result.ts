// From the daemon's answer to an ADD to what is printed: checked, put behind the results of earlier
// plugins, and in the version that was asked for. Loaded while the daemon works.

import type { Core } from '../../core-wasm/index.ts';
import {
  type PrintedResult,
  parsePrevResult,
  toResultVersion,
} from '../shared/model/cni/result.ts';
import type { CniReply, CniRequest } from '../shared/model/daemon-api.ts';
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
  const { families } = o.reply;
  const own = verifyReply(core, o.reply, { ifName, netns, poolsRequired, families });
  const { prevResult } = config;
  const hasPrevious = prevResult !== undefined && prevResult !== null;
  const previous = hasPrevious ? parsePrevResult(prevResult, cniVersion) : undefined;
  return toResultVersion(mergeResults(previous, own), cniVersion);
}
