// The error object of the CNI protocol, and how failures of ours become one.
import * as v from 'valibot';
import {
  CNI_CODE_BUG,
  type DomainError,
  isDomainError,
  toCniCode,
  toCniStatusCode,
} from '../errors.ts';

/**
 * What a plugin prints when it fails (CNI SPEC, Error). `cniVersion` is required there, but old
 * plugins omit it.
 */
export const CniError = v.looseObject({
  cniVersion: v.optional(v.string()),
  code: v.pipe(v.number(), v.integer(), v.minValue(0)),
  msg: v.string(),
  details: v.optional(v.string()),
});
export type CniError = v.InferOutput<typeof CniError>;

/** Carries an error object of a delegate unchanged to the edge (spec cni 1.5). */
export class CniFailure extends Error {
  override readonly name = 'CniFailure';
  readonly error: CniError;

  constructor(error: CniError, o: { readonly cause?: unknown } = {}) {
    super(error.msg, o.cause === undefined ? undefined : { cause: o.cause });
    this.error = error;
  }
}

/** Characters of a text that is printed. Errors can repeat what a megabyte of input says. */
const TEXT_CHARS_MAX = 4096;

/** Builds an error object; empty details are left out. */
export function cniError(code: number, msg: string, details = ''): CniError {
  return details === '' ? { code, msg } : { code, msg, details };
}

/**
 * The error object of anything thrown. A CniFailure keeps its code, a DomainError gets that of its
 * kind, everything else is a bug with code 999. `command` matters for STATUS only, where "try again
 * later" has a code of its own.
 */
export function toCniError(
  error: unknown,
  o: { readonly cniVersion: string; readonly command?: string | undefined },
): CniError {
  const { cniVersion } = o;
  if (error instanceof CniFailure) {
    const { msg, details } = error.error;
    const texts = details === undefined ? {} : { details: cut(details) };
    return { ...error.error, cniVersion, msg: cut(msg), ...texts };
  }
  if (isDomainError(error)) {
    const code = o.command === 'STATUS' ? toCniStatusCode(error.kind) : toCniCode(error.kind);
    return { cniVersion, ...cniError(code, cut(error.message), detailsText(error)) };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { cniVersion, code: CNI_CODE_BUG, msg: cut(message) };
}

function cut(text: string): string {
  const more = text.length - TEXT_CHARS_MAX;
  return more > 0 ? `${text.slice(0, TEXT_CHARS_MAX)} (and ${more} more characters)` : text;
}

/**
 * Facts of an error in one line, `name=value` each; lists with commas, unless they are empty. The
 * detail `issues` has one line per item.
 */
function detailsText(error: DomainError): string {
  const { issues, ...facts } = error.details;
  const rest = Object.entries(facts)
    .filter(([, value]) => !Array.isArray(value) || value.length > 0)
    .map(([name, value]) => `${name}=${Array.isArray(value) ? value.join(',') : value}`);
  const lines = Array.isArray(issues) ? issues.join('\n') : '';
  return [cut(lines), cut(rest.join(' '))].filter((text) => text !== '').join('\n');
}
