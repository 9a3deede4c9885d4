// What the CNI executable and the daemon say to each other over the unix socket: POST /v1/cni with
// a CniRequest, answered by a CniReply or a problem document. The spool holds the same requests for
// a daemon that could not be reached.
import * as v from 'valibot';
import { CniNetworkConfig } from './cni/network-config.ts';
import { CniResult } from './cni/result.ts';

/** Path on the socket's HTTP server. */
export const CNI_REQUEST_PATH = '/v1/cni';

/** Bytes of the largest request; a longer one is refused before it is read. */
export const CNI_REQUEST_BYTES_MAX = 1024 * 1024;

/** Bytes of the largest answer that the executable reads. */
export const CNI_REPLY_BYTES_MAX = 4 * 1024 * 1024;

const Line = v.pipe(v.string(), v.maxLength(4096));
const LongText = v.pipe(v.string(), v.maxLength(64 * 1024));

/** Identifier of one call, made by the executable and repeated in every log line about it. */
export const RequestId = v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{1,64}$/));

const requestEntries = {
  requestId: RequestId,
  command: v.picklist(['ADD', 'DEL', 'CHECK', 'STATUS', 'GC']),
  containerId: v.pipe(v.string(), v.maxLength(1024), v.regex(/^([a-zA-Z0-9][a-zA-Z0-9_.-]*)?$/)),
  netns: Line,
  ifName: v.pipe(v.string(), v.regex(/^[^\s/:]{0,15}$/)),
  /** CNI_ARGS as given. */
  args: LongText,
  /** CNI_PATH as given. */
  path: LongText,
  config: CniNetworkConfig,
};

/** One call of a runtime. Values that the verb does not have are empty. */
export const CniRequest = v.strictObject(requestEntries);
export type CniRequest = v.InferOutput<typeof CniRequest>;

/** A pool that served an ADD, for checks by the executable. */
export const ReplyPool = v.looseObject({
  name: v.string(),
  podCidr: v.string(),
  excludes: v.array(v.string()),
  vlanCidr: v.string(),
  /** Addresses with prefix length. */
  addresses: v.array(v.string()),
});
export type ReplyPool = v.InferOutput<typeof ReplyPool>;

/** What the daemon answers when all went well. `result` is there after ADD, in the newest shape. */
export const CniReply = v.looseObject({
  result: v.optional(CniResult),
  pools: v.optional(v.array(ReplyPool)),
  families: v.optional(v.array(v.picklist([4, 6]))),
});
export type CniReply = v.InferOutput<typeof CniReply>;

/** A DEL that waits for the daemon, as one file in the spool. */
export const SpooledRequest = v.strictObject({
  ...requestEntries,
  command: v.literal('DEL'),
  spooledAt: v.pipe(v.string(), v.isoTimestamp()),
});
export type SpooledRequest = v.InferOutput<typeof SpooledRequest>;

/** Name of a spool file. `random` makes repeated DELs of one attachment different files. */
export function spoolFileName(o: {
  readonly containerId: string;
  readonly ifName: string;
  readonly random: string;
}): string {
  return `${o.containerId}-${o.ifName}-${o.random}.json`;
}
