// Reads a watch: lines of JSON to typed events, with a watchdog for connections that went silent.
// What to do after the end, and from which version, is the caller's decision.
import { KubeError, toKubeError } from './errors.ts';
import { isRecord } from './resource.ts';

/** `resourceVersion` is where to continue after this event. */
export type RawWatchEvent =
  | {
      readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
      readonly object: Record<string, unknown>;
      readonly resourceVersion: string;
    }
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string };

/** Longest line accepted; etcd holds objects of up to 1.5 MiB. */
const LINE_CHARS_MAX = 8 << 20;

/**
 * Yields each event; returns when the server ends the stream. Throws a KubeError: 'gone' when the
 * stream says that the version is too old, 'timeout' after `idleTimeoutMs` without a byte,
 * 'unavailable' on a broken connection or an unreadable line. Half a line at the end of a broken
 * stream is dropped. Always releases the body.
 */
export async function* readWatch(
  body: ReadableStream<Uint8Array>,
  o: { attempt: string; idleTimeoutMs: number; signal: AbortSignal },
): AsyncGenerator<RawWatchEvent> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = '';
  try {
    for (;;) {
      const { done, value } = await readWithin(reader, o);
      if (done) return;
      rest += decoder.decode(value, { stream: true });
      const lines = rest.split('\n');
      rest = lines.pop() ?? '';
      if (rest.length > LINE_CHARS_MAX) throw failure(o.attempt, 'line is too long');
      for (const line of lines) if (line !== '') yield parseEvent(line, o.attempt);
    }
  } finally {
    await reader.cancel().catch(() => undefined); // the connection may be gone already
  }
}

type Chunk = { done: true; value?: unknown } | { done: false; value: Uint8Array };

/** As much of a stream's reader as is used here. */
interface Reader {
  read(): Promise<Chunk>;
}

async function readWithin(
  reader: Reader,
  o: { attempt: string; idleTimeoutMs: number; signal: AbortSignal },
): Promise<Chunk> {
  const silence = Promise.withResolvers<never>();
  const timer = setTimeout(() => silence.reject(silent(o)), o.idleTimeoutMs);
  const stop = (): void => silence.reject(o.signal.reason);
  o.signal.addEventListener('abort', stop, { once: true });
  try {
    o.signal.throwIfAborted();
    return await Promise.race([reader.read(), silence.promise]);
  } catch (error) {
    if (o.signal.aborted) throw o.signal.reason;
    if (error instanceof KubeError) throw error;
    throw failure(o.attempt, error instanceof Error ? error.message : String(error), error);
  } finally {
    clearTimeout(timer);
    o.signal.removeEventListener('abort', stop);
  }
}

function parseEvent(line: string, attempt: string): RawWatchEvent {
  const event = parseLine(line, attempt);
  const object = event.object;
  if (!isRecord(object)) throw failure(attempt, 'event without an object');
  if (event.type === 'ERROR') {
    throw toKubeError({ status: 0, attempt, body: JSON.stringify(object), retryAfter: null });
  }
  const metadata = object.metadata;
  const resourceVersion = isRecord(metadata) ? metadata.resourceVersion : undefined;
  if (typeof resourceVersion !== 'string') throw failure(attempt, 'event without a version');
  switch (event.type) {
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
      return { type: event.type, object, resourceVersion };
    case 'BOOKMARK':
      return { type: 'BOOKMARK', resourceVersion };
    default:
      throw failure(attempt, `event of unknown type ${String(event.type)}`);
  }
}

function parseLine(line: string, attempt: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw failure(attempt, 'event is not JSON', error);
  }
  if (!isRecord(value)) throw failure(attempt, 'event is not an object');
  return value;
}

function failure(attempt: string, detail: string, cause?: unknown): KubeError {
  const kind = 'unavailable';
  return new KubeError({ kind, status: 0, reason: 'BrokenWatch', attempt, detail, cause });
}

function silent(o: { attempt: string; idleTimeoutMs: number }): KubeError {
  const detail = `nothing was heard for ${o.idleTimeoutMs} ms`;
  return new KubeError({
    kind: 'timeout',
    status: 0,
    reason: 'SilentWatch',
    attempt: o.attempt,
    detail,
  });
}
