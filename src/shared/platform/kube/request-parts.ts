// The decisions around one request that need no connection: what it is called in messages, whether
// it may be sent again, what counts as absence, and how a list answer is taken apart.
import { type Backoff, backoffMs } from '../backoff.ts';
import { isKubeError, KubeError, TOO_LARGE } from './errors.ts';
import { isRecord, type ObjectKey, type Resource } from './resource.ts';
import type { HttpRequest } from './transport.ts';

const ATTEMPTS_MAX = 4;
const RETRY_BACKOFF: Backoff = { initialMs: 100, maxMs: 2_000 };
/** From 500 to 1 in as many attempts as other reads have. */
const PAGE_DIVISOR = 8;
/** A longer wait asked for by the server is left to the caller. */
const RETRY_AFTER_MS_MAX = 10_000;

/** How long to wait before the next attempt; undefined when there must be none. */
export function retryWaitMs(
  error: unknown,
  method: HttpRequest['method'],
  failures: number,
  random: () => number,
): number | undefined {
  if (!isKubeError(error) || failures >= ATTEMPTS_MAX) return undefined;
  if (error.retryAfterMs !== undefined && (error.status === 429 || error.status === 503)) {
    // The server says that it did not start, so any verb may be sent again.
    return error.retryAfterMs <= RETRY_AFTER_MS_MAX
      ? error.retryAfterMs + Math.round(random() * RETRY_BACKOFF.initialMs)
      : undefined;
  }
  const isReadable = error.reason !== 'UnreadableAnswer' && error.reason !== TOO_LARGE;
  const isPassing = ['unavailable', 'throttled', 'timeout'].includes(error.kind);
  return method === 'GET' && isPassing && isReadable
    ? backoffMs(RETRY_BACKOFF, failures, random)
    : undefined;
}

/** A page that failed with this is asked for again in parts of so many objects; 1 at the least. */
export function smallerPage(error: unknown, pageSize: number): number | undefined {
  if (pageSize <= 1 || !isKubeError(error)) return undefined;
  const isTooMuch = error.reason === TOO_LARGE || (error.kind === 'timeout' && error.status === 0);
  return isTooMuch ? Math.ceil(pageSize / PAGE_DIVISOR) : undefined;
}

/** A 404 that names this very object. A missing kind, a wrong path or a proxy's 404 does not. */
export function isAbsence(error: unknown, resource: Resource<unknown>, key: ObjectKey): boolean {
  if (!isKubeError(error, 'not-found')) return false;
  const { target, reason } = error;
  return reason === 'NotFound' && target?.name === key.name && target.kind === resource.plural;
}

/** `plural/namespace/name` as far as known, for error messages. */
export function describe(
  resource: Resource<unknown>,
  key: { name?: string | undefined; namespace?: string | undefined },
): string {
  const parts = [resource.plural, key.namespace, key.name];
  return parts.filter((part) => part !== undefined).join('/');
}

export interface Identity {
  readonly name?: string | undefined;
  readonly namespace?: string | undefined;
  readonly resourceVersion?: string | undefined;
}

/** The parts of `metadata` that decide where an object is sent. */
export function identify(object: unknown): Identity {
  const metadata = isRecord(object) ? object.metadata : undefined;
  if (!isRecord(metadata)) return {};
  const text = (name: string): string | undefined => {
    const value = metadata[name];
    return typeof value === 'string' && value !== '' ? value : undefined;
  };
  return {
    name: text('name'),
    namespace: text('namespace'),
    resourceVersion: text('resourceVersion'),
  };
}

/** Frame of a list answer; throws a KubeError when it is none. */
export function parseList(
  value: unknown,
  attempt: string,
): { items: Record<string, unknown>[]; resourceVersion: string; continue: string } {
  const metadata = isRecord(value) ? value.metadata : undefined;
  const items = isRecord(value) ? value.items : undefined;
  const isList = isRecord(value) && typeof value.kind === 'string' && value.kind.endsWith('List');
  const resourceVersion = isRecord(metadata) ? metadata.resourceVersion : undefined;
  // Go writes an empty list as null. No items at all are not an empty list.
  const found = items === null ? [] : items;
  if (
    !isList ||
    !isRecord(metadata) ||
    !Array.isArray(found) ||
    typeof resourceVersion !== 'string'
  ) {
    throw new KubeError({
      kind: 'unavailable',
      status: 200,
      reason: 'UnreadableAnswer',
      attempt,
      detail: 'answer is not a list',
    });
  }
  const token = metadata.continue;
  return {
    items: found.filter(isRecord),
    resourceVersion,
    continue: typeof token === 'string' ? token : '',
  };
}

/** Adds the parameters that are set. */
export function withQuery(
  path: string,
  query: Readonly<Record<string, string | undefined>>,
): string {
  const set = Object.entries(query).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && entry[1] !== '',
  );
  return set.length === 0 ? path : `${path}?${new URLSearchParams(set)}`;
}
