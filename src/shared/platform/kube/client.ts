// The Kubernetes API in seven verbs, typed by resource descriptors. Retries only what cannot have
// happened twice: reads, and requests that the server itself put off. Caching and watching for ever
// is collection.ts.
import { type Clock, systemClock } from '../clock.ts';
import type { ApiTarget } from './api-target.ts';
import { KubeError } from './errors.ts';
import {
  describe,
  identify,
  isAbsence,
  parseList,
  retryWaitMs,
  smallerPage,
  withQuery,
} from './request-parts.ts';
import { isRecord, type ObjectKey, type Resource, toApiVersion, toPath } from './resource.ts';
import { createTransport, type HttpRequest, type Transport } from './transport.ts';
import { readWatch } from './watch-stream.ts';

export interface RequestOptions {
  readonly signal?: AbortSignal;
  /** For each attempt. Default 15 s. */
  readonly timeoutMs?: number;
}

export interface ListOptions extends RequestOptions {
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** Objects per page. Default 500: a page of 10 KB objects is then 5 MB. */
  readonly pageSize?: number;
}

export interface WriteOptions extends RequestOptions {
  readonly fieldManager?: string;
  /** What the server does with unknown fields. Its default is `Warn`. */
  readonly fieldValidation?: 'Strict' | 'Warn' | 'Ignore';
  readonly subresource?: 'status';
}

export interface Patch {
  /**
   * RFC 7386, RFC 6902 (body is an array), or server-side apply (body is an object, fieldManager is
   * required).
   */
  readonly type: 'merge' | 'json' | 'apply';
  readonly body: unknown;
  readonly subresource?: 'status';
  readonly fieldManager?: string;
  /** Take fields over from other managers; apply only. */
  readonly force?: boolean;
}

export interface DeleteOptions extends RequestOptions {
  /** Preconditions: a mismatch is a 'conflict'. */
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly propagation?: 'Background' | 'Foreground' | 'Orphan';
  /** Pods only: 0 removes the object without waiting for its kubelet. */
  readonly gracePeriodSeconds?: number;
}

export interface WatchOptions {
  readonly resourceVersion: string;
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly signal: AbortSignal;
  /** Silence after which the connection counts as broken. Default 330 s. */
  readonly idleTimeoutMs?: number;
}

/** `resourceVersion` is opaque: continue a watch from it, compare it for equality, nothing else. */
export type WatchEvent<T> =
  | {
      readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
      readonly object: T;
      readonly resourceVersion: string;
    }
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string };

export interface Page<T> {
  readonly items: T[];
  /** Of the whole list: the same on every page. */
  readonly resourceVersion: string;
}

/** All methods throw KubeError, or the reason of the caller's aborted signal. */
export interface KubeClient {
  /** `undefined` only if the API server itself says that this object does not exist. */
  get<T>(resource: Resource<T>, key: ObjectKey, o?: RequestOptions): Promise<T | undefined>;
  list<T>(resource: Resource<T>, o?: ListOptions): Promise<Page<T>>;
  /** The same list one page at a time, so that a caller can keep a projection only. */
  pages<T>(resource: Resource<T>, o?: ListOptions): AsyncGenerator<Page<T>>;
  create<T>(resource: Resource<T>, object: unknown, o?: WriteOptions): Promise<T>;
  /** Conditional: `metadata.resourceVersion` must be set. */
  replace<T>(resource: Resource<T>, object: unknown, o?: WriteOptions): Promise<T>;
  patch<T>(resource: Resource<T>, key: ObjectKey, patch: Patch, o?: WriteOptions): Promise<T>;
  /** 'deleted' means accepted: finalizers may keep the object for a while. */
  delete(
    resource: Resource<unknown>,
    key: ObjectKey,
    o?: DeleteOptions,
  ): Promise<'deleted' | 'absent'>;
  /** Ends normally when the server closes the stream, which it does every few minutes. */
  watch<T>(resource: Resource<T>, o: WatchOptions): AsyncGenerator<WatchEvent<T>>;
}

export interface KubeClientOptions {
  readonly userAgent?: string;
  readonly bodyBytesMax?: number;
  readonly clock?: Clock;
  /** Uniform in [0, 1), for jitter. */
  readonly random?: () => number;
}

const DEFAULT_TIMEOUT_MS = 15_000;
const DEFAULT_PAGE_SIZE = 500;
const DEFAULT_IDLE_TIMEOUT_MS = 330_000;
/** Asked of the server, with as much again as jitter, so that watches do not all end together. */
const WATCH_SECONDS_MIN = 240;
const WATCH_SECONDS_SPREAD = 60;
const PATCH_TYPES = {
  merge: 'application/merge-patch+json',
  json: 'application/json-patch+json',
  apply: 'application/apply-patch+yaml', // JSON is YAML
} as const;

export function createKubeClient(target: ApiTarget, o: KubeClientOptions = {}): KubeClient {
  const transport = createTransport(target, {
    userAgent: o.userAgent ?? 'multi-nic',
    bodyBytesMax: o.bodyBytesMax ?? 64 << 20,
  });
  return new HttpKubeClient(transport, o.clock ?? systemClock, o.random ?? Math.random);
}

class HttpKubeClient implements KubeClient {
  readonly #transport: Transport;
  readonly #clock: Clock;
  readonly #random: () => number;

  constructor(transport: Transport, clock: Clock, random: () => number) {
    this.#transport = transport;
    this.#clock = clock;
    this.#random = random;
  }

  async get<T>(
    resource: Resource<T>,
    key: ObjectKey,
    o: RequestOptions = {},
  ): Promise<T | undefined> {
    const attempt = `get ${describe(resource, key)}`;
    try {
      const path = toPath(resource, key);
      return this.#parse(resource, attempt, await this.#send('GET', path, attempt, o));
    } catch (error) {
      if (isAbsence(error, resource, key)) return undefined;
      throw error;
    }
  }

  async list<T>(resource: Resource<T>, o: ListOptions = {}): Promise<Page<T>> {
    const items: T[] = [];
    let resourceVersion = '';
    for await (const page of this.pages(resource, o)) {
      items.push(...page.items);
      resourceVersion = page.resourceVersion;
    }
    return { items, resourceVersion };
  }

  async *pages<T>(resource: Resource<T>, o: ListOptions = {}): AsyncGenerator<Page<T>> {
    const attempt = `list ${describe(resource, o)}`;
    let pageSize = o.pageSize ?? DEFAULT_PAGE_SIZE;
    for (let next: string | undefined = ''; next !== undefined; ) {
      const path = withQuery(toPath(resource, { namespace: o.namespace }), {
        limit: String(pageSize),
        continue: next,
        labelSelector: o.labelSelector,
        fieldSelector: o.fieldSelector,
      });
      const answer = await this.#sendPage(path, attempt, o, pageSize);
      if (answer.retryWith !== undefined) {
        pageSize = answer.retryWith;
        continue;
      }
      const list = parseList(answer.value, attempt);
      const frame = { apiVersion: toApiVersion(resource), kind: resource.kind };
      yield {
        // Items of built-in kinds travel without apiVersion and kind.
        items: list.items.map((item) => this.#parse(resource, attempt, { ...frame, ...item })),
        resourceVersion: list.resourceVersion,
      };
      next = list.continue === '' ? undefined : list.continue;
    }
  }

  async create<T>(resource: Resource<T>, object: unknown, o: WriteOptions = {}): Promise<T> {
    const { namespace, ...name } = identify(object);
    const attempt = `create ${describe(resource, { namespace, ...name })}`;
    const path = toPath(resource, { namespace });
    return await this.#write('POST', resource, path, attempt, object, o);
  }

  async replace<T>(resource: Resource<T>, object: unknown, o: WriteOptions = {}): Promise<T> {
    const { name, namespace, resourceVersion } = identify(object);
    if (name === undefined || resourceVersion === undefined) {
      throw new TypeError(`replace ${resource.plural} without name or resourceVersion`);
    }
    const path = toPath(resource, { name, namespace, subresource: o.subresource });
    const attempt = `replace ${describe(resource, { name, namespace })}`;
    return await this.#write('PUT', resource, path, attempt, object, o);
  }

  async patch<T>(
    resource: Resource<T>,
    key: ObjectKey,
    patch: Patch,
    o: WriteOptions = {},
  ): Promise<T> {
    const subresource = patch.subresource ?? o.subresource;
    const path = withQuery(toPath(resource, { ...key, subresource }), {
      fieldManager: patch.fieldManager ?? o.fieldManager,
      fieldValidation: o.fieldValidation,
      force: patch.type === 'apply' && patch.force !== undefined ? String(patch.force) : undefined,
    });
    const frame = { apiVersion: toApiVersion(resource), kind: resource.kind };
    const isApply = patch.type === 'apply' && isRecord(patch.body);
    const body = isApply ? { ...frame, ...patch.body } : patch.body;
    const attempt = `${patch.type} patch ${describe(resource, key)}`;
    const sent = { text: JSON.stringify(body), type: PATCH_TYPES[patch.type] };
    return this.#parse(resource, attempt, await this.#send('PATCH', path, attempt, o, sent));
  }

  async delete(
    resource: Resource<unknown>,
    key: ObjectKey,
    o: DeleteOptions = {},
  ): Promise<'deleted' | 'absent'> {
    const attempt = `delete ${describe(resource, key)}`;
    const options = {
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      propagationPolicy: o.propagation ?? 'Background',
      gracePeriodSeconds: o.gracePeriodSeconds,
      preconditions: { uid: o.uid, resourceVersion: o.resourceVersion },
    };
    const sent = { text: JSON.stringify(options), type: 'application/json' };
    try {
      await this.#send('DELETE', toPath(resource, key), attempt, o, sent);
      return 'deleted';
    } catch (error) {
      if (isAbsence(error, resource, key)) return 'absent';
      throw error;
    }
  }

  async *watch<T>(resource: Resource<T>, o: WatchOptions): AsyncGenerator<WatchEvent<T>> {
    const attempt = `watch ${describe(resource, o)}`;
    const seconds = WATCH_SECONDS_MIN + Math.floor(this.#random() * WATCH_SECONDS_SPREAD);
    const path = withQuery(toPath(resource, { namespace: o.namespace }), {
      watch: 'true',
      allowWatchBookmarks: 'true',
      resourceVersion: o.resourceVersion,
      labelSelector: o.labelSelector,
      fieldSelector: o.fieldSelector,
      timeoutSeconds: String(seconds),
    });
    // Its own controller: leaving the generator early must close the connection.
    using connection = linkedController(o.signal);
    const signal = connection.signal;
    const timeoutMs = DEFAULT_TIMEOUT_MS;
    const body = await this.#transport.open({ method: 'GET', path, attempt, signal, timeoutMs });
    const idleTimeoutMs = o.idleTimeoutMs ?? DEFAULT_IDLE_TIMEOUT_MS;
    for await (const event of readWatch(body, { attempt, idleTimeoutMs, signal })) {
      yield event.type === 'BOOKMARK'
        ? event
        : { ...event, object: this.#parse(resource, attempt, event.object) };
    }
  }

  async #write<T>(
    method: 'POST' | 'PUT',
    resource: Resource<T>,
    path: string,
    attempt: string,
    object: unknown,
    o: WriteOptions,
  ): Promise<T> {
    const query = { fieldManager: o.fieldManager, fieldValidation: o.fieldValidation };
    const frame = { apiVersion: toApiVersion(resource), kind: resource.kind };
    const body = isRecord(object) ? { ...frame, ...object } : object;
    const sent = { text: JSON.stringify(body), type: 'application/json' };
    const answer = await this.#send(method, withQuery(path, query), attempt, o, sent);
    return this.#parse(resource, attempt, answer);
  }

  /** Large objects and slow servers: what is too much at once is taken in parts. */
  async #sendPage(
    path: string,
    attempt: string,
    o: RequestOptions,
    pageSize: number,
  ): Promise<{ retryWith: number } | { retryWith?: never; value: unknown }> {
    const isFinal = (error: unknown): boolean => smallerPage(error, pageSize) !== undefined;
    try {
      return { value: await this.#send('GET', path, attempt, o, undefined, isFinal) };
    } catch (error) {
      const retryWith = smallerPage(error, pageSize);
      if (retryWith === undefined) throw error;
      return { retryWith };
    }
  }

  async #send(
    method: HttpRequest['method'],
    path: string,
    attempt: string,
    o: RequestOptions,
    sent?: { text: string; type: string },
    isFinal: (error: unknown) => boolean = () => false,
  ): Promise<unknown> {
    const request: HttpRequest = {
      method,
      path,
      attempt,
      signal: o.signal,
      timeoutMs: o.timeoutMs ?? DEFAULT_TIMEOUT_MS,
      ...(sent === undefined ? {} : { body: sent.text, contentType: sent.type }),
    };
    for (let failures = 1; ; failures += 1) {
      try {
        return await this.#transport.exchange(request);
      } catch (error) {
        const waitMs = retryWaitMs(error, method, failures, this.#random);
        if (waitMs === undefined || isFinal(error)) throw error;
        await this.#clock.sleep(waitMs, o.signal);
      }
    }
  }

  #parse<T>(resource: Resource<T>, attempt: string, value: unknown): T {
    try {
      return resource.parse(value);
    } catch (cause) {
      throw new KubeError({
        kind: 'unavailable',
        status: 200,
        reason: 'UnreadableAnswer',
        attempt,
        detail: cause instanceof Error ? cause.message : String(cause),
        cause,
      });
    }
  }
}

function linkedController(outer: AbortSignal): { signal: AbortSignal } & Disposable {
  const controller = new AbortController();
  const stop = (): void => controller.abort(outer.reason);
  if (outer.aborted) stop();
  outer.addEventListener('abort', stop, { once: true });
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      outer.removeEventListener('abort', stop);
      controller.abort(new Error('the watch was left'));
    },
  };
}
