// Test equipment: an API server in this process, for tests and the demo. It keeps everything in
// memory, starts in milliseconds, and passes the same contract suite as a real kube-apiserver. What
// it leaves out: admission, CEL rules, RBAC, conversion, and most defaults and checks of built-in
// kinds.

import { rmSync } from 'node:fs';
import { discover } from './discovery.ts';
import { type Fault, Faults } from './faults.ts';
import { GarbageCollector } from './garbage.ts';
import { Handlers, type UserInfo } from './handlers.ts';
import { type HeldPort, holdPort } from './held-port.ts';
import { isObject, type JsonObject, objectAt, textAt } from './json.ts';
import { type Kind, KindRegistry, splitApiVersion, storeKey } from './kinds.ts';
import { type ApiRequest, isTrue, parseRequest } from './requests.ts';
import * as status from './status.ts';
import { objectKey, Store } from './store.ts';
import { type OpenWatch, WatchHub } from './watch.ts';
import { ObjectWriter, type WriteContext } from './writer.ts';

export interface ApiServerOptions {
  /** CustomResourceDefinitions to serve from the start. */
  readonly crds?: readonly unknown[];
  /** Other objects that exist from the start; their namespaces are made. */
  readonly objects?: readonly unknown[];
  readonly hostname?: string;
  /** Default: a free one. */
  readonly port?: number;
  /** Listen on a unix socket instead, without TLS. */
  readonly unixPath?: string;
  /** With `clientCa` only clients with a certificate of that authority get in. */
  readonly tls?: { cert: string; key: string; clientCa?: string };
  /** Bearer tokens: what TokenReviews answer from. */
  readonly users?: Readonly<Record<string, UserInfo>>;
  /** Answer 401 to requests without one of those tokens. Can be changed while the server runs. */
  readonly isTokenRequired?: boolean;
  /** Called for each request to a kind; a text is the reason of a 403. */
  readonly authorize?: (request: ApiRequest, user: UserInfo | undefined) => string | undefined;
  /** Changes that watches can start from. */
  readonly historyMax?: number;
  readonly bookmarkIntervalMs?: number;
  /**
   * False leaves out garbage collection and the emptying of namespaces, as without a controller
   * manager.
   */
  readonly hasController?: boolean;
  readonly now?: () => number;
}

/** One request as it came in, for tests that count them. */
export type SeenRequest = Pick<
  ApiRequest,
  'method' | 'path' | 'name' | 'namespace' | 'subresource' | 'userAgent' | 'isWatch'
> & { readonly plural: string };

export interface ApiServer extends AsyncDisposable {
  /** `http://127.0.0.1:PORT`; also an ApiTarget's `server`. */
  readonly url: string;
  readonly unixPath?: string;
  readonly faults: Faults;
  /** The latest requests, the oldest first. */
  readonly seen: readonly SeenRequest[];
  readonly revision: number;
  readonly watches: readonly OpenWatch[];
  /**
   * Objects of a kind as they are stored. `plural` may carry the group:
   * `leases.coordination.k8s.io`.
   */
  objects(plural: string): JsonObject[];
  object(plural: string, name: string, namespace?: string): JsonObject | undefined;
  /** Forgets all history, so that the next watch from an older version meets 410. */
  compact(): void;
  /** Stops listening and tears all connections; state and port stay. */
  stop(): Promise<void>;
  start(): void;
  close(): Promise<void>;
  setTokenRequired(isRequired: boolean): void;
  users: Map<string, UserInfo>;
}

const SEEN_MAX = 20_000;
const BODY_BYTES_MAX = 3 << 20; // as the real server
const WATCH_SECONDS_MAX = 1800;
const FIRST_NAMESPACES = ['default', 'kube-system', 'kube-public', 'kube-node-lease'];

/** Starts a server that listens already when this returns. */
export async function startApiServer(options: ApiServerOptions = {}): Promise<ApiServer> {
  const server = new EmbeddedServer(options);
  server.start();
  return server;
}

class EmbeddedServer implements ApiServer {
  readonly faults = new Faults();
  readonly users: Map<string, UserInfo>;
  readonly #options: ApiServerOptions;
  readonly #kinds = new KindRegistry();
  readonly #store: Store;
  readonly #hub: WatchHub;
  readonly #writer: ObjectWriter;
  readonly #handlers: Handlers;
  readonly #seen: SeenRequest[] = [];
  #isTokenRequired: boolean;
  #port: number;
  /** Keeps the port ours while the server is stopped. */
  #held: HeldPort | undefined;
  #listener: Bun.Server<undefined> | undefined;

  constructor(options: ApiServerOptions) {
    this.#options = options;
    this.#port = options.port ?? 0;
    this.#isTokenRequired = options.isTokenRequired ?? false;
    this.users = new Map(Object.entries(options.users ?? {}));
    this.#store = new Store(options.historyMax ?? 20_000);
    this.#hub = new WatchHub(this.#store, options.bookmarkIntervalMs ?? 60_000);
    const [store, kinds] = [this.#store, this.#kinds];
    this.#writer = new ObjectWriter({ store, kinds, now: options.now ?? Date.now });
    this.#handlers = new Handlers({ store, writer: this.#writer, users: this.users });
    if (options.hasController !== false) {
      // kept alive by its subscription
      new GarbageCollector({ store, kinds, writer: this.#writer });
    }
    for (const name of FIRST_NAMESPACES) this.#seedNamespace(name);
    for (const object of [...(options.crds ?? []), ...(options.objects ?? [])]) this.#seed(object);
  }

  get url(): string {
    const scheme = this.#options.tls === undefined ? 'http' : 'https';
    if (this.#options.unixPath !== undefined) return `${scheme}://localhost`;
    return `${scheme}://${this.#options.hostname ?? '127.0.0.1'}:${this.#port}`;
  }

  get unixPath(): string {
    return this.#options.unixPath ?? '';
  }

  get seen(): readonly SeenRequest[] {
    return this.#seen;
  }

  get revision(): number {
    return this.#store.revision;
  }

  get watches(): readonly OpenWatch[] {
    return this.#hub.open;
  }

  objects(plural: string): JsonObject[] {
    return this.#store.list(this.#storeOf(plural));
  }

  object(plural: string, name: string, namespace = ''): JsonObject | undefined {
    return this.#store.get(this.#storeOf(plural), objectKey(namespace, name));
  }

  compact(): void {
    this.#store.compact();
  }

  setTokenRequired(isRequired: boolean): void {
    this.#isTokenRequired = isRequired;
  }

  start(): void {
    if (this.#listener !== undefined) return;
    const { tls, unixPath, hostname } = this.#options;
    if (this.#port === 0 && unixPath === undefined && hostname === undefined) {
      this.#held = holdPort();
      this.#port = this.#held.port;
    }
    // a killed run leaves its file behind
    if (unixPath !== undefined) rmSync(unixPath, { force: true });
    const common = {
      maxRequestBodySize: 2 * BODY_BYTES_MAX,
      fetch: (request: Request) => this.#answer(request),
    };
    // Watches are silent for long. The types leave this member out for sockets, where it works.
    Object.assign(common, { idleTimeout: 0 });
    this.#listener =
      unixPath === undefined
        ? Bun.serve({
            ...common,
            hostname: hostname ?? '127.0.0.1',
            port: this.#port,
            ...(tls === undefined ? {} : { tls: toListenerTls(tls) }),
          })
        : Bun.serve({ ...common, unix: unixPath });
    this.#port = this.#listener.port ?? 0;
  }

  async stop(): Promise<void> {
    const listener = this.#listener;
    this.#listener = undefined;
    this.#hub.closeAll('reset');
    await listener?.stop(true);
  }

  async close(): Promise<void> {
    await this.stop();
    this.#held?.[Symbol.dispose]();
    this.#held = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #storeOf(plural: string): string {
    const kind = this.#kinds.all().find((one) => one.plural === plural || storeKey(one) === plural);
    if (kind === undefined) throw new TypeError(`no kind with plural ${plural} is served`);
    return storeKey(kind);
  }

  #seedNamespace(name: string): void {
    this.#seed({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  }

  #seed(object: unknown): void {
    if (!isObject(object)) throw new TypeError('an object to start with is not an object');
    const metadata = objectAt(object, 'metadata');
    const [group, version] = splitApiVersion(textAt(object, 'apiVersion'));
    const kind = this.#kinds.findByKind(textAt(object, 'apiVersion'), textAt(object, 'kind'));
    if (kind === undefined) throw new TypeError(`kind ${group}/${version} is not served`);
    const namespace = kind.namespaced ? textAt(metadata, 'namespace') || 'default' : '';
    if (namespace !== '' && this.object('namespaces', namespace) === undefined) {
      this.#seedNamespace(namespace);
    }
    const context: WriteContext = {
      kind,
      namespace,
      name: textAt(metadata, 'name'),
      subresource: '',
      manager: 'seed',
      isDryRun: false,
      fieldValidation: 'Strict',
      warnings: [],
    };
    this.#writer.create(context, object);
    const isStatusApart = kind.hasStatus && kind.schema !== undefined;
    if (isStatusApart && object.status !== undefined) {
      this.#writer.update({ ...context, subresource: 'status' }, (old) => ({
        ...old,
        status: object.status ?? {},
      }));
    }
  }

  async #answer(raw: Request): Promise<Response> {
    try {
      const request = parseRequest(raw, this.#kinds);
      this.#note(request);
      return await this.#withFaults(request, async () => await this.#serve(raw, request));
    } catch (error) {
      if (error instanceof status.ApiFailure)
        return toResponse(error.code, error.body, error.headers);
      console.error('embedded API server: bug', error);
      const message = String(error);
      const failure = new status.ApiFailure({ code: 500, reason: 'InternalError', message });
      return toResponse(failure.code, failure.body, {});
    }
  }

  #note(request: ApiRequest): void {
    const { method, path, name, namespace, subresource, userAgent, isWatch, kind } = request;
    const plural = kind?.plural ?? '';
    this.#seen.push({ method, path, name, namespace, subresource, userAgent, isWatch, plural });
    if (this.#seen.length > SEEN_MAX) this.#seen.splice(0, this.#seen.length - SEEN_MAX);
  }

  async #withFaults(request: ApiRequest, serve: () => Promise<Response>): Promise<Response> {
    const faults = this.faults.strike(request);
    for (const fault of faults) {
      const instead = await this.#play(fault, request);
      if (instead !== undefined) return instead;
    }
    const response = await serve();
    const isAnswerLost = faults.some((fault) => fault.action === 'drop');
    return isAnswerLost ? torn() : response;
  }

  /** What a fault answers instead of the server; undefined when the request goes on. */
  async #play(fault: Fault, request: ApiRequest): Promise<Response | undefined> {
    switch (fault.action) {
      case 'delay':
        await Bun.sleep(fault.delayMs);
        return undefined;
      case 'hang':
        return await new Promise<never>(() => undefined);
      case 'status':
        return toFaultResponse(fault);
      case 'drop':
        return fault.when === 'after' ? undefined : torn();
      case 'reset-watch':
        return this.#watch(request, { events: fault.afterEvents ?? 0, how: fault.how ?? 'reset' });
      default:
        return fault satisfies never;
    }
  }

  async #serve(raw: Request, request: ApiRequest): Promise<Response> {
    if (/^\/(healthz|livez|readyz)$/.test(request.path)) return new Response('ok');
    const user = this.users.get(
      (raw.headers.get('authorization') ?? '').replace(/^Bearer\s+/i, ''),
    );
    if (this.#isTokenRequired && user === undefined) throw status.unauthorized();
    const { kind } = request;
    if (kind === undefined) {
      const found =
        request.method === 'GET' ? discover(request.path, this.#kinds.all()) : undefined;
      if (found === undefined) throw status.unknownPath();
      return toResponse(200, found, {});
    }
    this.#authorize(request, kind, user);
    if (request.isWatch) return this.#watch(request, undefined);
    const text = await readBody(raw);
    // No await between here and the answer: each request is one step.
    const answer = this.#handlers.answer(request, kind, text);
    return toResponse(answer.code, answer.body, {}, answer.warnings);
  }

  #authorize(request: ApiRequest, kind: Kind, user: UserInfo | undefined): void {
    const why = this.#options.authorize?.(request, user);
    if (why === undefined) return;
    throw status.forbidden({ group: kind.group, plural: kind.plural, name: request.name }, why);
  }

  #watch(
    request: ApiRequest,
    breakAfter: { events: number; how: 'end' | 'reset' | 'expired' } | undefined,
  ): Response {
    const { kind, query } = request;
    if (kind === undefined) throw status.unknownPath();
    const seconds = Number(query.get('timeoutSeconds') ?? WATCH_SECONDS_MAX);
    const stream = this.#hub.start({
      kind,
      matches: this.#handlers.predicateOf(request, kind),
      resourceVersion: query.get('resourceVersion') ?? '',
      wantsBookmarks: isTrue(query.get('allowWatchBookmarks')),
      wantsState: isTrue(query.get('sendInitialEvents')),
      timeoutMs: Math.min(seconds, WATCH_SECONDS_MAX) * 1000,
      ...(breakAfter === undefined ? {} : { breakAfter }),
    });
    return new Response(stream, { headers: { 'content-type': 'application/json' } });
  }
}

function toListenerTls({ clientCa, ...pair }: NonNullable<ApiServerOptions['tls']>) {
  const isMutual = { requestCert: true, rejectUnauthorized: true };
  return clientCa === undefined ? pair : { ...pair, ca: clientCa, ...isMutual };
}

async function readBody(raw: Request): Promise<string> {
  if (raw.body === null) return '';
  const text = await raw.text();
  if (Buffer.byteLength(text) > BODY_BYTES_MAX) throw status.tooLarge(BODY_BYTES_MAX);
  return text;
}

function toResponse(
  code: number,
  body: JsonObject,
  extra: Record<string, string>,
  warnings: readonly string[] = [],
): Response {
  const headers = new Headers({ 'content-type': 'application/json', ...extra });
  for (const text of warnings) headers.append('warning', `299 - "${text.replaceAll('"', '\\"')}"`);
  return new Response(JSON.stringify(body), { status: code, headers });
}

function toFaultResponse(o: {
  code: number;
  reason?: string;
  retryAfterSeconds?: number;
  text?: string;
}): Response {
  const headers: Record<string, string> =
    o.retryAfterSeconds === undefined ? {} : { 'retry-after': String(o.retryAfterSeconds) };
  if (o.text !== undefined) return new Response(o.text, { status: o.code, headers });
  const reason = o.reason ?? 'InternalError';
  const failure = new status.ApiFailure({ code: o.code, reason, message: 'a fault of the test' });
  return toResponse(o.code, failure.body, headers);
}

/** An answer that never comes: the connection breaks instead. */
function torn(): Response {
  return new Response(
    new ReadableStream({
      start(controller) {
        controller.error(undefined);
      },
    }),
  );
}
