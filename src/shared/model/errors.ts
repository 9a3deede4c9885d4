// What can go wrong, as kinds that programs decide on. A DomainError is thrown low and turned once,
// at the edge, into a CNI error, an HTTP answer or a log line by the mappings here. Bugs are other
// errors and never become a kind.
import { PROBLEM_TYPE_PREFIX, type Problem } from './problem.ts';

/**
 * The kinds with what they are called for people. A kind is part of the interface: it is in problem
 * documents.
 */
const titles = {
  'invalid-environment': 'invalid CNI environment',
  'io-failed': 'input or output failed',
  'decode-failed': 'input cannot be decoded',
  'invalid-config': 'invalid network configuration',
  'incompatible-version': 'incompatible CNI version',
  'not-ready': 'not ready yet',
  'pool-exhausted': 'no free address',
  'network-unknown': 'unknown network',
  'no-master': 'no suitable NIC',
  'netns-gone': 'network namespace is gone',
  'netns-invalid': 'not a usable network namespace',
  'name-in-use': 'interface name is in use',
  'already-attached': 'already attached',
  'link-failed': 'link cannot be set up',
  'check-failed': 'attachment is not as it was made',
  conflict: 'conflict with another change',
  forbidden: 'not allowed',
  'daemon-unreachable': 'daemon cannot be reached',
  'reply-invalid': 'answer cannot be understood',
  'journal-corrupt': 'journal cannot be trusted',
  timeout: 'deadline exceeded',
} as const;

/** A failure that callers tell apart. */
export type ErrorKind = keyof typeof titles;

/** Facts of an error, as fields for logs and problem documents. */
export type ErrorDetails = Record<string, string | number | string[]>;

/**
 * A failure of a known kind. The message says what was attempted on what, lower case, without a
 * final stop.
 */
export class DomainError extends Error {
  override readonly name = 'DomainError';
  readonly kind: ErrorKind;
  readonly details: ErrorDetails;

  constructor(
    kind: ErrorKind,
    message: string,
    o: { readonly details?: ErrorDetails | undefined; readonly cause?: unknown } = {},
  ) {
    super(message, o.cause === undefined ? undefined : { cause: o.cause });
    this.kind = kind;
    this.details = o.details ?? {};
  }
}

/** Whether the text is one of the kinds. */
export function isErrorKind(text: string): text is ErrorKind {
  return Object.hasOwn(titles, text);
}

/** True for a DomainError of one of the kinds, or of any kind where none is named. */
export function isDomainError(error: unknown, ...kinds: ErrorKind[]): error is DomainError {
  return error instanceof DomainError && (kinds.length === 0 || kinds.includes(error.kind));
}

/** Code of an error that is no DomainError, the one the reference library uses (spec cni 1.5). */
export const CNI_CODE_BUG = 999;

/** Codes of the CNI specification below 100, ours from 100 up. */
export function toCniCode(kind: ErrorKind): number {
  switch (kind) {
    case 'incompatible-version':
      return 1;
    case 'netns-gone':
      return 3; // the container is gone: the runtime need not clean up
    case 'invalid-environment':
      return 4;
    case 'io-failed':
      return 5;
    case 'decode-failed':
      return 6;
    case 'invalid-config':
      return 7;
    case 'netns-invalid':
      return 8;
    case 'not-ready':
    case 'daemon-unreachable':
    case 'timeout':
    case 'conflict':
    case 'journal-corrupt':
      return 11; // the runtime should try again
    case 'pool-exhausted':
      return 100;
    case 'network-unknown':
      return 101;
    case 'no-master':
      return 102;
    case 'name-in-use':
    case 'already-attached':
      return 103;
    case 'link-failed':
      return 104;
    case 'check-failed':
      return 105;
    case 'reply-invalid':
      return 106;
    case 'forbidden':
      return 107;
    default:
      return kind satisfies never;
  }
}

/** Code for STATUS, where "try again" is spelled "cannot serve ADD now" (CNI SPEC, STATUS). */
export function toCniStatusCode(kind: ErrorKind): number {
  const code = toCniCode(kind);
  return code === 11 ? 50 : code;
}

/** HTTP status of the answer that reports the error. */
export function toHttpStatus(kind: ErrorKind): number {
  switch (kind) {
    case 'invalid-environment':
    case 'decode-failed':
    case 'incompatible-version':
      return 400;
    case 'forbidden':
      return 403;
    case 'network-unknown':
      return 404;
    case 'name-in-use':
    case 'already-attached':
    case 'check-failed':
    case 'conflict':
      return 409;
    case 'netns-gone':
      return 410;
    case 'invalid-config':
    case 'netns-invalid':
      return 422;
    case 'io-failed':
    case 'link-failed':
      return 500;
    case 'reply-invalid':
      return 502;
    case 'not-ready':
    case 'pool-exhausted':
    case 'no-master':
    case 'daemon-unreachable':
    case 'journal-corrupt':
      return 503;
    case 'timeout':
      return 504;
    default:
      return kind satisfies never;
  }
}

/**
 * The problem document of an error. Only a DomainError says anything about itself; any other is a
 * bug, and its text stays in our log.
 */
export function toProblem(error: unknown, o: { requestId?: string | undefined } = {}): Problem {
  const requestId = o.requestId === undefined ? {} : { requestId: o.requestId };
  if (!(error instanceof DomainError)) {
    const title = 'internal error';
    return { type: `${PROBLEM_TYPE_PREFIX}internal`, title, status: 500, ...requestId };
  }
  return {
    ...error.details,
    type: `${PROBLEM_TYPE_PREFIX}${error.kind}`,
    title: titles[error.kind],
    status: toHttpStatus(error.kind),
    detail: error.message,
    ...requestId,
  };
}

/**
 * The error that a problem document stands for, or undefined if its kind is none of ours (a bug at
 * the other end).
 */
export function fromProblem(problem: Problem): DomainError | undefined {
  const kind = problem.type.slice(PROBLEM_TYPE_PREFIX.length);
  if (!isErrorKind(kind)) return undefined;
  const { type: _type, title, status: _status, detail, instance: _instance, ...facts } = problem;
  return new DomainError(kind, detail ?? title, { details: toDetails(facts) });
}

/** Keeps those members that can be facts of an error. */
function toDetails(members: Record<string, unknown>): ErrorDetails {
  const details: ErrorDetails = {};
  for (const [name, value] of Object.entries(members)) {
    if (typeof value === 'string' || typeof value === 'number') details[name] = value;
    else if (Array.isArray(value) && value.every((item) => typeof item === 'string')) {
      details[name] = value;
    }
  }
  return details;
}
