// Asks the daemon: one request over its unix socket, one answer. Says what is known about the effects of a request,
// because that decides what has to be undone; deciding is left to the commands.

import * as v from 'valibot';
import {
  CNI_REPLY_BYTES_MAX,
  CNI_REQUEST_BYTES_MAX,
  CNI_REQUEST_PATH,
  CniReply,
  type CniRequest,
} from '../shared/model/daemon-api.ts';
import { DomainError, fromProblem } from '../shared/model/errors.ts';
import { PROBLEM_MEDIA_TYPE, Problem } from '../shared/model/problem.ts';
import { readText, TooLongError } from './bounded-text.ts';

/** What came of a request. */
export type DaemonAnswer =
  /** The daemon did it. */
  | { readonly outcome: 'done'; readonly reply: CniReply }
  /** The daemon said no, and has undone what it had begun. */
  | { readonly outcome: 'refused'; readonly error: Error }
  /** The daemon never saw the request. */
  | { readonly outcome: 'not-sent'; readonly error: DomainError }
  /** The request was sent, but its effects are not known: no answer in time, or none that can be understood. */
  | { readonly outcome: 'unknown'; readonly error: Error };

/** The daemon as the commands see it. */
export interface DaemonClient {
  /** Never throws for anything the daemon or the socket does. `timeoutMs` bounds the whole exchange. */
  call(request: CniRequest, timeoutMs: number): Promise<DaemonAnswer>;
}

/** How often a full backlog (EAGAIN) is tried again, and how long the first pause is at most. */
const BUSY_TRIES_MAX = 8;
const BUSY_PAUSE_MS = 10;

/** Errors of connect(2): the request cannot have been seen. */
const CONNECT_ERRORS = new Set([
  'ENOENT',
  'ECONNREFUSED',
  'EACCES',
  'EPERM',
  'EAGAIN',
  'ENAMETOOLONG',
  'ENOTDIR',
  'ENOTSOCK',
  'EPROTOTYPE',
  'ELOOP',
]);

/** A client for the daemon that listens on this socket. */
export function createDaemonClient(socketPath: string): DaemonClient {
  return {
    call: async (request, timeoutMs) => {
      const body = new TextEncoder().encode(JSON.stringify(request));
      if (body.length > CNI_REQUEST_BYTES_MAX) return tooLarge(body.length);
      const signal = AbortSignal.timeout(timeoutMs);
      for (let attempt = 1; ; attempt++) {
        try {
          return await post(socketPath, body, signal);
        } catch (error) {
          const full = codeOf(error) === 'EAGAIN' && attempt < BUSY_TRIES_MAX;
          if (!full) return toFailure(error, { socketPath, timeoutMs });
        }
        await Bun.sleep(Math.random() * BUSY_PAUSE_MS * 2 ** attempt);
      }
    },
  };
}

/** Sends the request once. Throws what fetch throws. */
async function post(
  socketPath: string,
  body: Uint8Array<ArrayBuffer>,
  signal: AbortSignal,
): Promise<DaemonAnswer> {
  const response = await fetch(`http://daemon${CNI_REQUEST_PATH}`, {
    unix: socketPath,
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
    signal,
    redirect: 'manual',
  });
  const text = response.body === null ? '' : await readText(response.body, CNI_REPLY_BYTES_MAX);
  if (response.status === 200) return parseReply(text);
  return parseRefusal(text, response);
}

function parseReply(text: string): DaemonAnswer {
  const value = parseJson(text);
  const reply = v.safeParse(CniReply, value);
  if (reply.success) return { outcome: 'done', reply: reply.output };
  const issues = reply.issues.map((issue) => `${v.getDotPath(issue) ?? 'reply'}: ${issue.message}`);
  const message = 'the answer of the multi-nic daemon cannot be understood';
  return nonsense(message, { issues: issues.slice(0, 10) });
}

function parseRefusal(text: string, response: Response): DaemonAnswer {
  const { status } = response;
  const mediaType = response.headers.get('content-type')?.split(';', 1)[0]?.trim();
  const problem = v.safeParse(Problem, parseJson(text));
  if (mediaType !== PROBLEM_MEDIA_TYPE || !problem.success) {
    const message = `the multi-nic daemon answered HTTP ${status} without a problem document`;
    return nonsense(message, { status, body: text.slice(0, 200) });
  }
  const error = fromProblem(problem.output);
  if (error !== undefined) return { outcome: 'refused', error };
  // A bug in the daemon: it names none of the kinds, and what it has undone is not known.
  const bug = new Error(`the multi-nic daemon failed: ${problem.output.title}; its log says why`);
  return { outcome: 'unknown', error: bug };
}

function tooLarge(sizeBytes: number): DaemonAnswer {
  const message = `the request has ${sizeBytes} bytes, more than ${CNI_REQUEST_BYTES_MAX}`;
  return { outcome: 'refused', error: new DomainError('invalid-config', message) };
}

function nonsense(message: string, details: Record<string, string | number | string[]>) {
  const error = new DomainError('reply-invalid', message, { details });
  return { outcome: 'unknown', error } as const;
}

function toFailure(
  error: unknown,
  o: { readonly socketPath: string; readonly timeoutMs: number },
): DaemonAnswer {
  const code = codeOf(error);
  const details = { socket: o.socketPath, reason: code };
  if (error instanceof TooLongError) {
    return nonsense(`the answer of the multi-nic daemon has ${error.message}`, details);
  }
  if (code === 'TimeoutError') {
    const message = `the multi-nic daemon did not answer within ${o.timeoutMs / 1000} s`;
    return { outcome: 'unknown', error: new DomainError('timeout', message, { details }) };
  }
  const outcome = CONNECT_ERRORS.has(code) ? 'not-sent' : 'unknown';
  // The words "post fail" are what operators of the original search for.
  const message =
    outcome === 'not-sent'
      ? `post fail: the multi-nic daemon of this node cannot be reached`
      : `post fail: the connection to the multi-nic daemon broke before it answered`;
  return {
    outcome,
    error: new DomainError('daemon-unreachable', message, { details, cause: error }),
  };
}

/** `code` of a system error, else its name: `TimeoutError` for a deadline. */
function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // which no schema accepts
  }
}
