// What every request of both servers carries, and the middleware that puts it there.
import type { MiddlewareHandler } from 'hono';
import * as v from 'valibot';
import { RequestId } from '../../shared/model/daemon-api.ts';

/** Hono's environment: variables of one request. */
export interface AppEnv {
  Variables: { requestId: string | undefined };
}

const HEADER = 'x-request-id';

/** Takes over the caller's id if it is a plain one, makes one otherwise, and repeats it. */
export function requestId(): MiddlewareHandler<AppEnv> {
  return async function setRequestId(c, next) {
    const given = c.req.header(HEADER);
    const id = v.is(RequestId, given) ? given : crypto.randomUUID();
    c.set('requestId', id);
    await next();
    c.res.headers.set(HEADER, id);
  };
}
