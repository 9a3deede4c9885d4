// Asks the daemon: one request over its unix socket, one answer. Says what is known about the
// effects of a request, because that decides what has to be undone; deciding is left to the
// commands.

import type { CNI_REQUEST_PATH } from '../shared/model/daemon-api.ts';
import { DomainError } from '../shared/model/errors.ts';
import { TooLongError } from './bounded-text.ts';
import type { DaemonAnswer, DaemonClient } from './daemon-port.ts';
import { type Exchange, NotSentError, TimedOutError } from './exchange.ts';

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
      const body = new TextEncoder().encode(JSON.stringify(request));
      if (body.length > REQUEST_BYTES_MAX) return tooLarge(body.length);
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

function tooLarge(sizeBytes: number): DaemonAnswer {
  const message = `the request has ${sizeBytes} bytes, more than ${REQUEST_BYTES_MAX}`;
  return { outcome: 'refused', error: new DomainError('invalid-config', message) };
}

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
  const details = { ...socket, reason: reasonOf(error) };
  const outcome = error instanceof NotSentError ? 'not-sent' : 'unknown';
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

/** `code` of a system error, else the words of the error. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return 'code' in error && typeof error.code === 'string' ? error.code : error.message;
}
