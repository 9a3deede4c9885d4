// Test equipment: the refusals of the embedded API server, as the metav1.Status objects a real one
// answers with.
import type { JsonObject } from './json.ts';

export interface StatusCause {
  readonly reason: string;
  readonly message: string;
  readonly field: string;
}

/** Which object or kind a refusal is about. */
export interface StatusSubject {
  readonly group?: string;
  readonly plural: string;
  readonly kind?: string;
  readonly name?: string;
  readonly uid?: string;
}

/** Thrown by handlers, turned into the answer in one place. */
export class ApiFailure extends Error {
  override readonly name = 'ApiFailure';
  readonly code: number;
  readonly body: JsonObject;
  readonly headers: Record<string, string>;

  constructor(o: {
    code: number;
    reason: string;
    message: string;
    details?: JsonObject | undefined;
    headers?: Record<string, string>;
  }) {
    super(o.message);
    this.code = o.code;
    this.headers = o.headers ?? {};
    this.body = {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: o.message,
      reason: o.reason,
      ...(o.details === undefined ? {} : { details: o.details }),
      code: o.code,
    };
  }
}

function detailsOf(subject: StatusSubject, causes?: readonly StatusCause[]): JsonObject {
  return {
    ...(subject.name === undefined ? {} : { name: subject.name }),
    ...(subject.group ? { group: subject.group } : {}),
    kind: subject.plural,
    ...(subject.uid === undefined ? {} : { uid: subject.uid }),
    ...(causes === undefined ? {} : { causes: causes.map((cause) => ({ ...cause })) }),
  };
}

function qualified(subject: StatusSubject): string {
  return subject.group ? `${subject.plural}.${subject.group}` : subject.plural;
}

export function notFound(subject: StatusSubject): ApiFailure {
  const message = `${qualified(subject)} "${subject.name}" not found`;
  return new ApiFailure({ code: 404, reason: 'NotFound', message, details: detailsOf(subject) });
}

/** The path leads to no kind at all. */
export function unknownPath(): ApiFailure {
  const message = 'the server could not find the requested resource';
  return new ApiFailure({ code: 404, reason: 'NotFound', message, details: {} });
}

export function alreadyExists(subject: StatusSubject): ApiFailure {
  const message = `${qualified(subject)} "${subject.name}" already exists`;
  const details = detailsOf(subject);
  return new ApiFailure({ code: 409, reason: 'AlreadyExists', message, details });
}

export function conflict(subject: StatusSubject, why: string, causes?: StatusCause[]): ApiFailure {
  const message = `Operation cannot be fulfilled on ${qualified(subject)} "${subject.name}": ${why}`;
  const details = detailsOf(subject, causes);
  return new ApiFailure({ code: 409, reason: 'Conflict', message, details });
}

export const STALE =
  'the object has been modified; please apply your changes to the latest version and try again';

/** Server-side apply met fields of other managers. */
export function applyConflict(causes: StatusCause[]): ApiFailure {
  const managers = causes.map((cause) => `${cause.message}: ${cause.field}`).join('\n- ');
  const message = `Apply failed with ${causes.length} conflict${causes.length === 1 ? '' : 's'}: ${managers}`;
  const details = { causes: causes.map((cause) => ({ ...cause })) };
  return new ApiFailure({ code: 409, reason: 'Conflict', message, details });
}

export function invalid(subject: StatusSubject, causes: StatusCause[]): ApiFailure {
  const named = `${subject.kind ?? subject.plural}${subject.group ? `.${subject.group}` : ''}`;
  const list = causes.map((cause) => `${cause.field}: ${cause.message}`).join(', ');
  const message = `${named} "${subject.name ?? ''}" is invalid: ${list}`;
  const details = { ...detailsOf(subject, causes), kind: subject.kind ?? subject.plural };
  return new ApiFailure({ code: 422, reason: 'Invalid', message, details });
}

export function badRequest(message: string): ApiFailure {
  return new ApiFailure({ code: 400, reason: 'BadRequest', message });
}

export function expired(message: string): ApiFailure {
  return new ApiFailure({ code: 410, reason: 'Expired', message });
}

export function tooLargeVersion(wanted: number, current: number): ApiFailure {
  return new ApiFailure({
    code: 504,
    reason: 'Timeout',
    message: `Timeout: Too large resource version: ${wanted}, current: ${current}`,
    details: {
      causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
      retryAfterSeconds: 1,
    },
  });
}

/** Whether a text is a version: the server numbers them, clients must not. */
export function isRevision(text: string): boolean {
  return /^\d{1,20}$/.test(text);
}

export function invalidVersion(code: 400 | 500, text: string): ApiFailure {
  const message = `resourceVersion: Invalid value: "${text}": invalid syntax`;
  return new ApiFailure({ code, reason: code === 400 ? 'BadRequest' : '', message });
}

export function methodNotAllowed(): ApiFailure {
  const message = 'the server does not allow this method on the requested resource';
  return new ApiFailure({ code: 405, reason: 'MethodNotAllowed', message, details: {} });
}

export function unsupportedMediaType(type: string): ApiFailure {
  const message = `the body of the request was in an unknown format - ${type}`;
  return new ApiFailure({ code: 415, reason: 'UnsupportedMediaType', message, details: {} });
}

export function tooLarge(sizeBytesMax: number): ApiFailure {
  const message = `Request entity too large: limit is ${sizeBytesMax}`;
  return new ApiFailure({ code: 413, reason: 'RequestEntityTooLarge', message });
}

export function unauthorized(): ApiFailure {
  return new ApiFailure({ code: 401, reason: 'Unauthorized', message: 'Unauthorized' });
}

export function forbidden(subject: StatusSubject, why: string): ApiFailure {
  const message = `${qualified(subject)} "${subject.name ?? ''}" is forbidden: ${why}`;
  return new ApiFailure({ code: 403, reason: 'Forbidden', message, details: detailsOf(subject) });
}
