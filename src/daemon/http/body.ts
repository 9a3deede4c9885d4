// JSON bodies: type, size, syntax and schema, in this order, with every issue in the answer.
import type { Context } from 'hono';
import * as v from 'valibot';
import { issueText } from '../../shared/model/cni/network-config.ts';
import { DomainError } from '../../shared/model/errors.ts';
import type { AppEnv } from './app-env.ts';

/** Reads and checks the body. DomainError 'decode-failed'. Its size was limited before. */
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
  const parsed = v.safeParse(schema, parseJson(await c.req.text()));
  if (parsed.success) return parsed.output;
  const issues = parsed.issues.map(issueText);
  throw new DomainError('decode-failed', issues.join('; '), { details: { issues } });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new DomainError('decode-failed', 'the body is not JSON', { cause });
  }
}
