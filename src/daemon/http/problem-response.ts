// Errors as HTTP answers: every failure of every path becomes a problem document here and nowhere
// else. Bugs say nothing but an id; their text is in the log.
import type { Context } from 'hono';
import { HTTPException } from 'hono/http-exception';
import { isDomainError, toProblem } from '../../shared/model/errors.ts';
import {
  PROBLEM_MEDIA_TYPE,
  PROBLEM_TYPE_PREFIX,
  type Problem,
} from '../../shared/model/problem.ts';
import type { Logger } from '../../shared/platform/log.ts';
import type { AppEnv } from './app-env.ts';

/** Seconds after which a caller may try again when the daemon is not ready. */
const RETRY_AFTER_S = '1';

/** Hono's `onError`. Domain errors were logged where they happened. */
export function createErrorHandler(log: Logger): (error: Error, c: Context<AppEnv>) => Response {
  return function answerError(error, c) {
    const requestId = idOf(c);
    if (error instanceof HTTPException) {
      return answer(frameProblem(error.status, error.message, requestId));
    }
    if (!isDomainError(error)) {
      log.error('request crashed', { requestId, path: c.req.path, error, stack: error.stack });
    }
    return answer(toProblem(error, { requestId }));
  };
}

/** Hono's `notFound`. */
export function answerNotFound(c: Context<AppEnv>): Response {
  return answer(frameProblem(404, `there is no ${c.req.path}`, idOf(c)));
}

/** For known paths that were asked with another method. */
export function answerMethod(c: Context<AppEnv>): Response {
  const { method, path } = c.req;
  return answer(frameProblem(405, `${path} does not take ${method}`, idOf(c)));
}

/** A body that was not understood told of no id. */
function idOf(c: Context<AppEnv>): string {
  return c.get('requestId') ?? crypto.randomUUID();
}

/** A problem of HTTP itself rather than of our domain. */
function frameProblem(status: number, detail: string, requestId: string): Problem {
  const type = `${PROBLEM_TYPE_PREFIX}http-${status}`;
  return { type, title: 'request not understood', status, detail, requestId };
}

function answer(problem: Problem): Response {
  const headers = new Headers({ 'content-type': PROBLEM_MEDIA_TYPE });
  if (problem.status === 503) headers.set('retry-after', RETRY_AFTER_S);
  return new Response(JSON.stringify(problem), { status: problem.status, headers });
}
