// JSON bodies: type, size, syntax and schema, in this order, with the issues in the answer.
import type { Context } from 'hono';
import * as v from 'valibot';
import { issueTexts } from '../../shared/model/cni/network-config.ts';
import { CNI_REQUEST_BYTES_MAX } from '../../shared/model/daemon-api.ts';
import { DomainError } from '../../shared/model/errors.ts';
import type { AppEnv } from './app-env.ts';

/** The name of an object, as callers send it. */
export const Name = v.pipe(v.string(), v.maxLength(253), v.regex(/^[A-Za-z0-9]([A-Za-z0-9_.-]*)$/));

/** What a body is answered that is longer than any request of ours. */
export function tooLarge(): DomainError {
  return new DomainError('decode-failed', `the body exceeds ${CNI_REQUEST_BYTES_MAX} bytes`);
}

/**
 * Reads and checks the body. DomainError 'decode-failed'. The server itself reads no more than a
 * few times the limit.
 */
export async function readBody<T extends v.GenericSchema>(
  c: Context<AppEnv>,
  schema: T,
): Promise<v.InferOutput<T>> {
  const type = c.req.header('content-type') ?? '';
  // Without this, a page in a browser could send a request that needs no preflight.
  if (!/^application\/json\s*(;|$)/i.test(type)) {
    throw new DomainError('decode-failed', 'the content type must be application/json', {
      details: { contentType: type },
    });
  }
  const text = await c.req.text().catch(toBrokenOff);
  if (text.length > CNI_REQUEST_BYTES_MAX) throw tooLarge();
  const parsed = v.safeParse(schema, parseJson(text));
  if (parsed.success) return parsed.output;
  const issues = issueTexts(parsed.issues);
  throw new DomainError('decode-failed', issues.join('; '), { details: { issues } });
}

/** The caller has left, and sees none of this; it is no defect of ours. */
function toBrokenOff(cause: unknown): never {
  throw new DomainError('decode-failed', 'the body broke off', { cause });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new DomainError('decode-failed', 'the body is not JSON', { cause });
  }
}
