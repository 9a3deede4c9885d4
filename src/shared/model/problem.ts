// The problem document (RFC 9457) that the daemon answers with when a request fails, over the
// socket and over TCP.
import * as v from 'valibot';

/** Media type of a problem document. */
export const PROBLEM_MEDIA_TYPE = 'application/problem+json';

/** Start of every `type`; the error kind follows. */
export const PROBLEM_TYPE_PREFIX = 'urn:multi-nic:problem:';

/**
 * A problem. `type` is stable and what programs test; `title` and `detail` are for people. Facts of
 * the error are further members; readers ignore those they do not know (RFC 9457, section 3.2).
 */
export const Problem = v.looseObject({
  type: v.pipe(v.string(), v.startsWith(PROBLEM_TYPE_PREFIX), v.maxLength(200)),
  title: v.pipe(v.string(), v.maxLength(200)),
  status: v.pipe(v.number(), v.integer(), v.minValue(400), v.maxValue(599)),
  detail: v.optional(v.string()),
  instance: v.optional(v.string()),
  requestId: v.optional(v.string()),
});
export type Problem = v.InferOutput<typeof Problem>;
