// Asks the daemon: one request over its unix socket, one answer. Says what is known about the
// effects of a request, because that decides what has to be undone; deciding is left to the
// commands.

import type { CNI_REQUEST_PATH, CniRequest } from '../shared/model/daemon-api.ts';
import { DomainError } from '../shared/model/errors.ts';
import { TooLongError } from './bounded-text.ts';
import type { DaemonAnswer, DaemonClient } from './daemon-port.ts';
import {
  BrokenOffError,
  type Exchange,
  NotSentError,
  NotUnderstoodError,
  TimedOutError,
} from './exchange.ts';

/**
 * A literal, because the module that defines it costs 1 ms and is loaded while the daemon works.
 */
const PATH: typeof CNI_REQUEST_PATH = '/v1/cni';
/** CNI_REQUEST_BYTES_MAX and CNI_REPLY_BYTES_MAX, for the same reason; a test compares them. */
export const REQUEST_BYTES_MAX = 1024 * 1024;
export const ANSWER_BYTES_MAX = 4 * 1024 * 1024;
/** How often a full backlog (EAGAIN) is tried again, and how long the first pause is at most. */
const BUSY_TRIES_MAX = 8;
const BUSY_PAUSE_MS = 10;

/** What a person can do about a daemon that is not there. */
const SEE_POD =
  'see whether its pod runs on this node: ' +
  'kubectl -n multi-nic-cni-operator get pods -l app=multi-nicd -o wide';
/** The same about one whose answers are none. */
const SEE_VERSIONS =
  'see whether another program listens on the socket (ss -xlp), and whether the executable and ' +
  'the daemon are of one version: multi-nic --version, ' +
  'kubectl -n multi-nic-cni-operator get ds -o wide';

/** What the client is made of. `sleep` is a pause in ms. */
export interface DaemonClientOptions {
  readonly socketPath: string;
  readonly exchange: Exchange;
  readonly sleep?: (ms: number) => Promise<void>;
}

/** A client for the daemon that listens on this socket. */
export function createDaemonClient({
  socketPath,
  exchange,
  sleep = Bun.sleep,
}: DaemonClientOptions): DaemonClient {
  return {
    call: async (request, timeoutMs, meanwhile) => {
      const body = toBody(request);
      if (body instanceof DomainError) return { outcome: 'refused', error: body };
      const deadline = performance.now() + timeoutMs;
      for (let attempt = 1; ; attempt++) {
        try {
          const answer = await exchange({
            socketPath,
            path: PATH,
            body,
            timeoutMs: deadline - performance.now(),
            answerBytesMax: ANSWER_BYTES_MAX,
            meanwhile: () => Promise.all([import('./daemon-answer.ts'), meanwhile?.()]),
          });
          const { readAnswer } = await import('./daemon-answer.ts');
          return readAnswer(answer);
        } catch (error) {
          const full = error instanceof NotSentError && error.code === 'EAGAIN';
          if (!full || attempt === BUSY_TRIES_MAX) {
            return toFailure(error, { socketPath, timeoutMs });
          }
        }
        await sleep(Math.random() * BUSY_PAUSE_MS * 2 ** attempt);
      }
    },
  };
}

/** The request as JSON, or why the daemon would not take it. */
function toBody(request: CniRequest): Uint8Array<ArrayBuffer> | DomainError {
  let text: string;
  try {
    text = JSON.stringify(request);
  } catch (error) {
    // Parsed JSON has no circles: it was nested deeper than the stack is.
    const message = 'the configuration is nested too deeply to be passed on';
    return new DomainError('invalid-config', message, { cause: error });
  }
  const body = new TextEncoder().encode(text);
  if (body.length <= REQUEST_BYTES_MAX) return body;
  const message = `the request has ${body.length} bytes, more than ${REQUEST_BYTES_MAX}`;
  return new DomainError('invalid-config', message);
}

/** The words "post fail" are what operators of the original search for. */
function toFailure(
  error: unknown,
  o: { readonly socketPath: string; readonly timeoutMs: number },
): DaemonAnswer {
  const socket = { socket: o.socketPath };
  if (error instanceof TimedOutError) {
    const message = `the multi-nic daemon did not answer within ${o.timeoutMs / 1000} s`;
    return { outcome: 'unknown', error: new DomainError('timeout', message, { details: socket }) };
  }
  if (error instanceof TooLongError) {
    const message = `the answer of the multi-nic daemon has ${error.message}`;
    return { outcome: 'unknown', error: new DomainError('reply-invalid', message) };
  }
  if (error instanceof NotUnderstoodError || error instanceof BrokenOffError) {
    // An answer that breaks off may come whole the next time, another program stays.
    const kind = error instanceof BrokenOffError ? 'daemon-unreachable' : 'reply-invalid';
    const message = `post fail: the answer of the multi-nic daemon ${error.message}`;
    const details = { ...socket, advice: SEE_VERSIONS };
    return { outcome: 'unknown', error: new DomainError(kind, message, { details, cause: error }) };
  }
  const isSent = !(error instanceof NotSentError);
  const message = isSent
    ? 'post fail: the connection to the multi-nic daemon broke before it answered'
    : 'post fail: the multi-nic daemon of this node cannot be reached';
  const details = { ...socket, reason: reasonOf(error), advice: SEE_POD };
  return {
    outcome: isSent ? 'unknown' : 'not-sent',
    error: new DomainError('daemon-unreachable', message, { details, cause: error }),
  };
}

/** `code` of a system error, else the words of the error. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return 'code' in error && typeof error.code === 'string' ? error.code : error.message;
}
