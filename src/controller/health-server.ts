// Answers liveness, readiness and metrics. It only repeats what others know.

/** What the answers come from. */
export interface Health {
  /** Why the process is of no use any more; undefined while it is. */
  readonly broken: () => string | undefined;
  /** Why it cannot do its part at the moment; undefined while it can. */
  readonly unready: () => string | undefined;
  readonly metrics: () => string;
}

/** Listens on all addresses. Port 0 takes any free one. */
export function serveHealth(health: Health, port: number): Bun.Server<undefined> {
  const answer = (reason: string | undefined): Response =>
    reason === undefined ? new Response('ok\n') : new Response(`${reason}\n`, { status: 503 });
  return Bun.serve({
    port,
    hostname: '::',
    routes: {
      '/healthz': () => answer(health.broken()),
      '/readyz': () => answer(health.broken() ?? health.unready()),
      '/metrics': () =>
        new Response(health.metrics(), {
          headers: { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' },
        }),
    },
    fetch: () => new Response('not found\n', { status: 404 }),
  });
}
