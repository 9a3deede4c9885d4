// What can go wrong between this process and the API server, as one error class with a kind.
// Mapping kinds to CNI codes or HTTP answers is done by those who answer.
import { isRecord } from './resource.ts';

export type KubeErrorKind =
  | 'not-found' // 404, for the object, its kind or its namespace
  | 'conflict' // 409: stale resourceVersion, uid precondition, or a field owned by another manager
  | 'already-exists' // 409 on create
  | 'gone' // 410: the resourceVersion or continue token is older than the server remembers
  | 'forbidden' // 403
  | 'unauthorized' // 401, also after the credentials were read again; or there are none to be had
  | 'invalid' // 400, 405, 413, 415, 422: repeating the same request is pointless
  | 'throttled' // 429
  | 'unavailable' // no connection, 5xx, or an answer that cannot be read
  | 'timeout'; // our deadline or the server's (504)

export interface KubeErrorFacts {
  readonly kind: KubeErrorKind;
  /** HTTP status; 0 when there was no answer. */
  readonly status: number;
  /** Machine-readable reason of the Status object (`NotFound`, `Expired`, ...), or ours. */
  readonly reason: string;
  /** What was attempted on what, like `patch hostinterfaces/node-1`. */
  readonly attempt: string;
  readonly detail: string;
  /** Wait the server asked for. */
  readonly retryAfterMs?: number | undefined;
  /** Object that the Status names, where it does. */
  readonly target?: { readonly name: string; readonly kind: string } | undefined;
  readonly cause?: unknown;
}

/** Every failure of a KubeClient but the caller's own abort, which is rethrown as its reason. */
export class KubeError extends Error {
  override readonly name = 'KubeError';
  readonly kind: KubeErrorKind;
  readonly status: number;
  readonly reason: string;
  readonly attempt: string;
  readonly retryAfterMs: number | undefined;
  readonly target: { readonly name: string; readonly kind: string } | undefined;

  constructor(facts: KubeErrorFacts) {
    const detail = facts.detail === '' ? facts.reason : facts.detail;
    super(`${facts.attempt} failed: ${detail}`, { cause: facts.cause });
    this.kind = facts.kind;
    this.status = facts.status;
    this.reason = facts.reason;
    this.attempt = facts.attempt;
    this.retryAfterMs = facts.retryAfterMs;
    this.target = facts.target;
  }
}

/** True for a KubeError of one of the kinds. */
export function isKubeError(error: unknown, ...kinds: KubeErrorKind[]): error is KubeError {
  return error instanceof KubeError && (kinds.length === 0 || kinds.includes(error.kind));
}

/**
 * The error that an HTTP answer stands for; `body` is the text of a Status object or anything else.
 */
export function toKubeError(o: {
  status: number;
  attempt: string;
  body: string;
  retryAfter: string | null;
}): KubeError {
  const parsed = parseStatus(o.body);
  const code = o.status === 0 ? parsed.code : o.status;
  return new KubeError({
    kind: kindOf(code, parsed.reason),
    status: code,
    reason: parsed.reason === '' ? `HTTP ${code}` : parsed.reason,
    attempt: o.attempt,
    detail: parsed.message === '' ? o.body.slice(0, DETAIL_CHARS_MAX).trim() : parsed.message,
    retryAfterMs: parseRetryAfter(o.retryAfter) ?? parsed.retryAfterMs,
    target: parsed.target,
  });
}

/** Reason of an answer that was not read to its end. */
export const TOO_LARGE = 'AnswerTooLarge';
const DETAIL_CHARS_MAX = 500;

interface ParsedStatus {
  readonly code: number;
  readonly reason: string;
  readonly message: string;
  readonly retryAfterMs: number | undefined;
  readonly target: { name: string; kind: string } | undefined;
}

/** Reads a metav1.Status leniently: what is not one has empty fields. */
function parseStatus(body: string): ParsedStatus {
  const status = parseRecord(body);
  const isStatus = status.kind === 'Status';
  const details = isStatus && isRecord(status.details) ? status.details : {};
  const seconds = details.retryAfterSeconds;
  const named = typeof details.name === 'string' && typeof details.kind === 'string';
  return {
    code: isStatus && typeof status.code === 'number' ? status.code : 0,
    reason: isStatus && typeof status.reason === 'string' ? status.reason : '',
    message:
      isStatus && typeof status.message === 'string'
        ? status.message.slice(0, 4 * DETAIL_CHARS_MAX)
        : '',
    retryAfterMs: typeof seconds === 'number' ? seconds * 1000 : undefined,
    target: named ? { name: String(details.name), kind: String(details.kind) } : undefined,
  };
}

function parseRecord(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : {};
  } catch {
    return {}; // proxies answer in HTML; the text itself is then the detail
  }
}

const KIND_BY_STATUS: Readonly<Record<number, KubeErrorKind>> = {
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not-found',
  408: 'timeout',
  409: 'conflict',
  410: 'gone',
  429: 'throttled',
  504: 'timeout',
};

function kindOf(code: number, reason: string): KubeErrorKind {
  if (code === 409 && reason === 'AlreadyExists') return 'already-exists';
  return KIND_BY_STATUS[code] ?? (code >= 400 && code < 500 ? 'invalid' : 'unavailable');
}

/** Only the seconds form: the API server sends no dates. */
function parseRetryAfter(header: string | null): number | undefined {
  return header !== null && /^\d{1,5}$/.test(header) ? Number(header) * 1000 : undefined;
}
