// Listening: the root-only socket, with left-over files of a dead daemon removed, and the TCP port.
import { chmodSync, lstatSync, mkdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Hono } from 'hono';
import { CNI_REQUEST_BYTES_MAX } from '../../shared/model/daemon-api.ts';
import { DomainError } from '../../shared/model/errors.ts';
import type { AppEnv } from './app-env.ts';

/** A listening server. */
export interface Listener {
  /** Where it can be reached, for logs and tests. */
  readonly address: string;
  /**
   * Refuses new connections at once and resolves when requests under way are answered, or a while
   * after `work` has ended: a connection that somebody holds must not delay the next daemon of the
   * node.
   */
  stop(work?: Promise<unknown>): Promise<void>;
}

const PROBE_MS = 1_000;
/** ADD and DEL take as long as they take; callers have their own deadlines. */
const NO_IDLE_TIMEOUT = { idleTimeout: 0 };
/** Everybody can open connections to the TCP port: one on which nothing happens is closed. */
const TCP_IDLE_S = 30;
/** For the last answers, after what was asked for is done. */
const LAST_ANSWERS_MS = 2_000;
/** Above the limit of the apps, which answer with a problem document. */
const BODY_BYTES_MAX = 2 * CNI_REQUEST_BYTES_MAX;

/**
 * Listens on a unix socket that only root can reach. DomainError 'conflict' if a daemon answers
 * there.
 */
export async function serveSocket(path: string, app: Hono<AppEnv>): Promise<Listener> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  await removeDeadSocket(path);
  const options = {
    unix: path,
    fetch: (request: Request) => app.fetch(request),
    maxRequestBodySize: BODY_BYTES_MAX,
  };
  // Bun's types leave this member out for sockets, where it works and `server.timeout` does not.
  Object.assign(options, NO_IDLE_TIMEOUT);
  const server = Bun.serve(options);
  chmodSync(path, 0o600);
  return { address: path, stop: (work) => stopServer(server, work) };
}

/** Listens on TCP. DomainError 'conflict' if the address cannot be had. */
export function serveTcp(o: { hostname: string; port: number }, app: Hono<AppEnv>): Listener {
  const server = listenTcp(o, app);
  const address = `${server.hostname}:${server.port}`;
  return { address, stop: (work) => stopServer(server, work) };
}

function listenTcp({ hostname, port }: { hostname: string; port: number }, app: Hono<AppEnv>) {
  try {
    return Bun.serve({
      hostname,
      port,
      fetch: (request: Request) => app.fetch(request),
      maxRequestBodySize: BODY_BYTES_MAX,
      idleTimeout: TCP_IDLE_S,
    });
  } catch (cause) {
    throw new DomainError('conflict', `cannot listen on ${hostname}:${port}`, { cause });
  }
}

async function stopServer(
  server: ReturnType<typeof Bun.serve>,
  work: Promise<unknown> = Promise.resolve(),
): Promise<void> {
  const stopped = server.stop(); // ended by the cut as well
  await work;
  const cut = setTimeout(() => server.stop(true), LAST_ANSWERS_MS);
  await stopped;
  clearTimeout(cut);
}

/** A killed daemon leaves its socket file, which nobody answers on. */
async function removeDeadSocket(path: string): Promise<void> {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return;
  if (!stat.isSocket()) throw new DomainError('conflict', `${path} is there and is no socket`);
  const isAlive = await fetch('http://daemon/healthz', {
    unix: path,
    signal: AbortSignal.timeout(PROBE_MS),
  }).then(
    () => true,
    (error: unknown) => error instanceof Error && error.name === 'TimeoutError',
  );
  if (isAlive) throw new DomainError('conflict', `another daemon answers on ${path}`);
  rmSync(path, { force: true });
}
