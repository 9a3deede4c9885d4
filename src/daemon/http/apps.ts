// The two faces of the daemon: the socket, where root may do everything, and the TCP port, where
// everybody may look and only known programs may change something.
import { Hono, type MiddlewareHandler } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { CNI_REQUEST_BYTES_MAX, CNI_REQUEST_PATH } from '../../shared/model/daemon-api.ts';
import type { Logger } from '../../shared/platform/log.ts';
import { NodeRequest } from '../attach/attach-config.ts';
import type { CniService } from '../attach/service.ts';
import { type AppEnv, requestId } from './app-env.ts';
import { readBody, tooLarge } from './body.ts';
import { addCompatPaths, type CompatSources } from './compat.ts';
import { answerMethod, answerNotFound, createErrorHandler } from './problem-response.ts';
import { addViews, type ViewSources } from './views.ts';

/** Everything that the apps show or reach. */
export interface AppSources {
  readonly views: ViewSources;
  readonly compat: CompatSources;
  readonly log: Logger;
  /** Stands before changes over TCP. */
  readonly guard: MiddlewareHandler<AppEnv>;
}

const pass: MiddlewareHandler<AppEnv> = async (_c, next) => {
  await next();
};

/** The app of the unix socket. */
export function createSocketApp(s: AppSources): Hono<AppEnv> {
  // Before the middleware: a pod that starts waits for this one, which has an id in its body.
  const app = createCniApp(s.views.service);
  addMiddleware(app, s.log);
  app.all(CNI_REQUEST_PATH, answerMethod);
  addViews(app, s.views);
  addCompatPaths(app, s.compat, pass);
  return app;
}

/** The one path that CNI executables use. */
export function createCniApp(service: CniService): Hono<AppEnv> {
  const app = new Hono<AppEnv>();
  app.post(CNI_REQUEST_PATH, async (c) => {
    const request = await readBody(c, NodeRequest);
    c.set('requestId', request.requestId);
    return c.json(await service.handle(request, c.req.raw.signal));
  });
  return app;
}

/** The app of the TCP port. */
export function createTcpApp(s: AppSources): Hono<AppEnv> {
  const app = new Hono<AppEnv>();
  addMiddleware(app, s.log);
  addViews(app, s.views);
  addCompatPaths(app, s.compat, s.guard);
  return app;
}

function addMiddleware(app: Hono<AppEnv>, log: Logger): void {
  app.use(requestId());
  app.use(
    bodyLimit({
      maxSize: CNI_REQUEST_BYTES_MAX,
      onError: () => {
        throw tooLarge();
      },
    }),
  );
  app.onError(createErrorHandler(log));
  app.notFound(answerNotFound);
}
