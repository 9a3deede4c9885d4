// One HTTP exchange with the API server over Bun's fetch: TLS material, deadline, size cap, and
// every way to fail turned into a KubeError. Retries and the meaning of answers are the client's.
import { messageWithCauses } from '../log.ts';
import type { ApiCredentials, ApiTarget } from './api-target.ts';
import { KubeError, TOO_LARGE, toKubeError } from './errors.ts';

export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Path and query. */
  readonly path: string;
  /** For error messages: `list nodes`. */
  readonly attempt: string;
  readonly body?: string;
  readonly contentType?: string;
  readonly signal?: AbortSignal | undefined;
  /** For the whole exchange; for a stream, until its headers. */
  readonly timeoutMs: number;
}

export interface TransportOptions {
  readonly userAgent: string;
  readonly bodyBytesMax: number;
}

export interface Transport {
  /** Sends, reads the whole answer and parses it. Throws a KubeError unless it is 2xx JSON. */
  exchange(request: HttpRequest): Promise<unknown>;
  /** Sends and hands over the body after 2xx headers. Aborting `signal` ends the stream. */
  open(request: HttpRequest): Promise<ReadableStream<Uint8Array>>;
}

const NO_CREDENTIALS: ApiCredentials = { headers: {}, tls: {} };

export function createTransport(target: ApiTarget, options: TransportOptions): Transport {
  const send = async (request: HttpRequest, signal: AbortSignal): Promise<Response> => {
    const credentials = await readCredentials(target, request, undefined);
    const response = await fetchOnce(target, options, request, credentials, signal);
    if (response.status !== 401 || target.credentials === undefined) return response;
    await response.body?.cancel();
    const fresh = await readCredentials(target, request, credentials);
    return await fetchOnce(target, options, request, fresh, signal);
  };
  return {
    async exchange(request) {
      using deadline = startDeadline(request);
      return await deadline.run(async (signal) => {
        const response = await send(request, signal);
        const text = await readCapped(response, options.bodyBytesMax, request.attempt);
        if (!response.ok) throw answerError(response, text, request.attempt);
        return parseJson(text, response.status, request.attempt);
      });
    },
    async open(request) {
      const deadline = startDeadline(request);
      try {
        return await deadline.run(async (signal) => {
          const response = await send(request, signal);
          if (!response.ok) {
            const text = await readCapped(response, options.bodyBytesMax, request.attempt);
            throw answerError(response, text, request.attempt);
          }
          if (response.body === null) throw unreadable(request.attempt, 200, 'answer has no body');
          return response.body;
        });
      } catch (error) {
        deadline[Symbol.dispose]();
        throw error;
      } finally {
        deadline.stopTimer(); // the stream itself stays tied to the caller's signal
      }
    },
  };
}

async function readCredentials(
  target: ApiTarget,
  request: HttpRequest,
  refused: ApiCredentials | undefined,
): Promise<ApiCredentials> {
  try {
    return (await target.credentials?.({ refused })) ?? NO_CREDENTIALS;
  } catch (cause) {
    throw new KubeError({
      kind: 'unauthorized',
      status: 0,
      reason: 'NoCredentials',
      attempt: request.attempt,
      detail: messageWithCauses(cause),
      cause,
    });
  }
}

async function fetchOnce(
  target: ApiTarget,
  options: TransportOptions,
  request: HttpRequest,
  credentials: ApiCredentials,
  signal: AbortSignal,
): Promise<Response> {
  const init: BunFetchRequestInit = {
    method: request.method,
    headers: {
      accept: 'application/json',
      'user-agent': options.userAgent,
      ...credentials.headers,
      ...(request.contentType === undefined ? {} : { 'content-type': request.contentType }),
    },
    redirect: 'error', // a redirect could carry the token elsewhere
    signal,
    timeout: false, // Bun's own idle timer is coarse; the deadline and the watch's watchdog rule
  };
  if (request.body !== undefined) init.body = request.body;
  if (target.server.startsWith('https:')) init.tls = credentials.tls;
  if (target.unixPath !== undefined) init.unix = target.unixPath;
  if (target.proxy !== undefined) init.proxy = target.proxy;
  return await fetch(target.server + request.path, init);
}

interface Deadline extends Disposable {
  /** Runs `work` and turns whatever it throws into the caller's abort reason or a KubeError. */
  run<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T>;
  /** The time limit no longer holds; the caller's signal still does, until this is disposed. */
  stopTimer(): void;
}

/**
 * Joins the caller's signal with a timer. By hand, as nothing may pile up on a signal that lives
 * for weeks.
 */
function startDeadline(request: HttpRequest): Deadline {
  const controller = new AbortController();
  const outer = request.signal;
  let expired = false;
  const stop = (): void => controller.abort(outer?.reason);
  const timer = setTimeout(() => {
    expired = true;
    controller.abort(new Error('deadline'));
  }, request.timeoutMs);
  outer?.addEventListener('abort', stop, { once: true });
  return {
    async run(work) {
      try {
        outer?.throwIfAborted();
        return await work(controller.signal);
      } catch (error) {
        if (outer?.aborted) throw outer.reason;
        if (expired) throw timedOut(request);
        if (error instanceof KubeError) throw error;
        throw unreachable(request, error);
      }
    },
    stopTimer() {
      clearTimeout(timer);
    },
    [Symbol.dispose]() {
      clearTimeout(timer);
      outer?.removeEventListener('abort', stop);
    },
  };
}

function timedOut(request: HttpRequest): KubeError {
  return new KubeError({
    kind: 'timeout',
    status: 0,
    reason: 'Timeout',
    attempt: request.attempt,
    detail: `no answer within ${request.timeoutMs} ms`,
  });
}

function unreachable(request: HttpRequest, cause: unknown): KubeError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'Unreachable';
  return new KubeError({
    kind: 'unavailable',
    status: 0,
    reason: code,
    attempt: request.attempt,
    detail: cause instanceof Error ? cause.message : String(cause),
    cause,
  });
}

function unreadable(
  attempt: string,
  status: number,
  detail: string,
  o: { cause?: unknown; reason?: string } = {},
): KubeError {
  const { cause, reason = 'UnreadableAnswer' } = o;
  return new KubeError({
    kind: 'unavailable',
    status,
    reason,
    attempt,
    detail,
    cause,
  });
}

function answerError(response: Response, body: string, attempt: string): KubeError {
  const retryAfter = response.headers.get('retry-after');
  return toKubeError({ status: response.status, attempt, body, retryAfter });
}

/** Text of at most `bytesMax` bytes, counted after decompression. */
async function readCapped(response: Response, bytesMax: number, attempt: string): Promise<string> {
  if (response.body === null) return '';
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of response.body) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > bytesMax) {
      const detail = `answer is larger than ${bytesMax} bytes`;
      throw unreadable(attempt, response.status, detail, { reason: TOO_LARGE });
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, sizeBytes).toString('utf8');
}

function parseJson(text: string, status: number, attempt: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw unreadable(attempt, status, 'answer is not JSON', { cause: error });
  }
}
