// Understands what the daemon answered. Kept apart from sending the request, so that the schemas
// are loaded while the daemon works.

import { CNI_REPLY_BYTES_MAX } from '../shared/model/daemon-api.ts';
import { readCniReply, readProblem } from '../shared/model/daemon-reply.ts';
import { DomainError, type ErrorDetails, fromProblem } from '../shared/model/errors.ts';
import { PROBLEM_MEDIA_TYPE } from '../shared/model/problem.ts';
import { decodeText } from './bounded-text.ts';
import type { DaemonAnswer } from './daemon-port.ts';
import type { HttpAnswer } from './exchange.ts';

/** Issues and characters of a strange answer that are repeated in an error. */
const ISSUES_MAX = 10;
const BODY_CHARS_MAX = 200;

/** Says what an answer means. */
export function readAnswer(answer: HttpAnswer): DaemonAnswer {
  const text = decodeText(answer.body, CNI_REPLY_BYTES_MAX);
  return answer.status === 200 ? parseReply(text) : parseRefusal(text, answer);
}

function parseReply(text: string): DaemonAnswer {
  const read = readCniReply(text);
  if (read.ok) return { outcome: 'done', reply: read.reply };
  const issues = read.issues.slice(0, ISSUES_MAX);
  return nonsense('the answer of the multi-nic daemon cannot be understood', { issues });
}

function parseRefusal(text: string, { status, mediaType }: HttpAnswer): DaemonAnswer {
  const problem = mediaType === PROBLEM_MEDIA_TYPE ? readProblem(text) : undefined;
  if (problem === undefined) {
    const message = `the multi-nic daemon answered HTTP ${status} without a problem document`;
    return nonsense(message, { status, body: text.slice(0, BODY_CHARS_MAX) });
  }
  const error = fromProblem(problem);
  if (error !== undefined) return { outcome: 'refused', error };
  // A bug in the daemon: it names none of the kinds, and what it has undone is not known.
  const bug = new Error(`the multi-nic daemon failed: ${problem.title}; its log says why`);
  return { outcome: 'unknown', error: bug };
}

function nonsense(message: string, details: ErrorDetails): DaemonAnswer {
  return { outcome: 'unknown', error: new DomainError('reply-invalid', message, { details }) };
}
