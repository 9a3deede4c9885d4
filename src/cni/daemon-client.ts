// Asks the daemon: one request over its unix socket, one answer. Says what is known about the
// effects of a request, because that decides what has to be undone; deciding is left to the
// commands.

import type { CNI_REQUEST_PATH } from '../shared/model/daemon-api.ts';
import { DomainError } from '../shared/model/errors.ts';
import type { DaemonAnswer, DaemonClient } from './daemon-port.ts';

/**
 * A literal, because the module that defines it costs 1 ms and is loaded while the daemon works.
 */
const PATH: typeof CNI_REQUEST_PATH = '/v1/cni';
/** CNI_REQUEST_BYTES_MAX, for the same reason; a test compares the two. */
export const REQUEST_BYTES_MAX = 1024 * 1024;
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

/** A client for the daemon that listens on this socket. `sleep` is a pause in ms. */
export function createDaemonClient(
  socketPath: string,
  sleep: (ms: number) => Promise<void> = Bun.sleep,
): DaemonClient {
  return {
    call: async (request, timeoutMs) => {
      const body = new TextEncoder().encode(JSON.stringify(request));
      if (body.length > REQUEST_BYTES_MAX) return tooLarge(body.length);
      const signal = AbortSignal.timeout(timeoutMs);
      for (let attempt = 1; ; attempt++) {
        try {
          return await exchange(socketPath, body, signal);
        } catch (error) {
          const full = codeOf(error) === 'EAGAIN' && attempt < BUSY_TRIES_MAX;
          if (!full) return toFailure(error, { socketPath, timeoutMs });
        }
        await sleep(Math.random() * BUSY_PAUSE_MS * 2 ** attempt);
      }
    },
  };
}

/** Sends the request once and reads the answer. Throws what fetch throws. */
async function exchange(
  socketPath: string,
  body: Uint8Array<ArrayBuffer>,
  signal: AbortSignal,
): Promise<DaemonAnswer> {
  const sent = fetch(`http://daemon${PATH}`, {
    unix: socketPath,
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
    signal,
    redirect: 'manual',
  });
  // The daemon works meanwhile.
  const [response, { readAnswer }] = await Promise.all([sent, import('./daemon-answer.ts')]);
  return readAnswer(response);
}

function tooLarge(sizeBytes: number): DaemonAnswer {
  const message = `the request has ${sizeBytes} bytes, more than ${REQUEST_BYTES_MAX}`;
  return { outcome: 'refused', error: new DomainError('invalid-config', message) };
}

function toFailure(
  error: unknown,
  o: { readonly socketPath: string; readonly timeoutMs: number },
): DaemonAnswer {
  const code = codeOf(error);
  const details = { socket: o.socketPath, reason: code };
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
