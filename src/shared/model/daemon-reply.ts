// Reads what the daemon answers over the socket: texts into a CniReply or a problem. Kept apart
// from the schemas so that the executable needs no schema library of its own.
import * as v from 'valibot';
import { issueTexts } from './cni/network-config.ts';
import { CniReply } from './daemon-api.ts';
import { Problem } from './problem.ts';

/** What a text says, or everything that is wrong with it. */
export type ReadReply =
  | { readonly ok: true; readonly reply: CniReply }
  | { readonly ok: false; readonly issues: string[] };

/** Reads the body of an answer with status 200. */
export function readCniReply(text: string): ReadReply {
  const parsed = v.safeParse(CniReply, parseObject(text));
  if (parsed.success) return { ok: true, reply: parsed.output };
  return { ok: false, issues: issueTexts(parsed.issues) };
}

/** Reads the body of any other answer; undefined if it is no problem document of ours. */
export function readProblem(text: string): Problem | undefined {
  const parsed = v.safeParse(Problem, parseObject(text));
  return parsed.success ? parsed.output : undefined;
}

/** Undefined, which no schema accepts, for what is no JSON; a loose one would take a list. */
function parseObject(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? undefined : value;
  } catch {
    return undefined;
  }
}
