// Test equipment: watch connections of the embedded API server: what a selector lets through,
// bookmarks, the end after timeoutSeconds, and the ways in which tests break them.
import { type JsonObject, objectAt, textAt } from './json.ts';
import { apiVersionOf, type Kind, storeKey } from './kinds.ts';
import type { Predicate } from './selectors.ts';
import { ApiFailure, invalidVersion, isRevision } from './status.ts';
import type { Change, Store } from './store.ts';

/** A reader that lets this much pile up is cut off, as by the real server. */
const BACKLOG_BYTES_MAX = 32 << 20;

export interface WatchRequest {
  readonly kind: Kind;
  /** Selectors and namespace together. */
  readonly matches: Predicate;
  /** '' and '0' start with the present state. */
  readonly resourceVersion: string;
  readonly wantsBookmarks: boolean;
  /** The present state first, then a bookmark that says where it ends (sendInitialEvents). */
  readonly wantsState: boolean;
  readonly timeoutMs: number;
  /** A fault: end after this many events, at once with 0. */
  readonly breakAfter?: { readonly events: number; readonly how: WatchEnd };
}

/** How a connection ends: like at its timeout, torn, or with 410 in the stream. */
export type WatchEnd = 'end' | 'reset' | 'expired';

export interface OpenWatch {
  readonly kind: Kind;
  /** Events sent so far, bookmarks not counted. */
  readonly sent: number;
  close(how: WatchEnd): void;
}

export class WatchHub {
  readonly #store: Store;
  readonly #bookmarkIntervalMs: number;
  readonly #open = new Set<OpenWatch>();

  constructor(store: Store, bookmarkIntervalMs: number) {
    this.#store = store;
    this.#bookmarkIntervalMs = bookmarkIntervalMs;
  }

  /** Watches that are connected now. */
  get open(): readonly OpenWatch[] {
    return [...this.#open];
  }

  closeAll(how: WatchEnd): void {
    for (const watch of this.#open) watch.close(how);
  }

  /**
   * The body of a watch answer. Throws ApiFailure for a version that cannot be watched from at all.
   */
  start(request: WatchRequest): ReadableStream<Uint8Array> {
    const backlog = this.#backlog(request);
    let connection: WatchConnection | undefined;
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          connection = new WatchConnection(controller, request, this.#store, () => {
            if (connection !== undefined) this.#open.delete(connection);
          });
          this.#open.add(connection);
          connection.begin(backlog, this.#bookmarkIntervalMs);
        },
        cancel: () => connection?.release(),
      },
      new ByteLengthQueuingStrategy({ highWaterMark: BACKLOG_BYTES_MAX }),
    );
  }

  /**
   * What is to be sent first: the present state, or the changes since the version; or the refusal.
   */
  #backlog(request: WatchRequest): Change[] | ApiFailure {
    const store = storeKey(request.kind);
    const { resourceVersion } = request;
    if (request.wantsState || resourceVersion === '' || resourceVersion === '0') {
      return this.#store.list(store).map((object) => ({
        revision: this.#store.revision,
        store,
        type: 'ADDED',
        key: '',
        object,
        previous: undefined,
      }));
    }
    if (!isRevision(resourceVersion)) throw invalidVersion(500, resourceVersion);
    try {
      return this.#store.changesAfter(store, Number(resourceVersion));
    } catch (error) {
      // The real server has sent its headers by then: the refusal comes as an event.
      if (error instanceof ApiFailure && error.code === 410) return error;
      throw error;
    }
  }
}

class WatchConnection implements OpenWatch {
  readonly kind: Kind;
  sent = 0;
  readonly #controller: ReadableStreamDefaultController<Uint8Array>;
  readonly #request: WatchRequest;
  readonly #store: Store;
  readonly #onEnd: () => void;
  readonly #cleanups: (() => void)[] = [];
  #isOver = false;
  /** A fault has decided its end: only changes that come before that are still sent. */
  #isBroken = false;

  constructor(
    controller: ReadableStreamDefaultController<Uint8Array>,
    request: WatchRequest,
    store: Store,
    onEnd: () => void,
  ) {
    this.kind = request.kind;
    this.#controller = controller;
    this.#request = request;
    this.#store = store;
    this.#onEnd = onEnd;
  }

  begin(backlog: Change[] | ApiFailure, bookmarkIntervalMs: number): void {
    if (backlog instanceof ApiFailure) {
      this.#send('ERROR', backlog.body);
      this.close('end');
      return;
    }
    // Bun sends the headers with the first byte, and clients wait for them. JSON readers skip blank
    // lines.
    this.#controller.enqueue(encoder.encode('\n'));
    const store = storeKey(this.kind);
    this.#cleanups.push(
      this.#store.subscribe((change) => {
        if (change.store === store) this.#pass(change);
      }),
    );
    for (const change of backlog) this.#pass(change);
    if (this.#request.wantsState) this.#bookmark({ 'k8s.io/initial-events-end': 'true' });
    const end = setTimeout(() => {
      this.#bookmark();
      this.close('end');
    }, this.#request.timeoutMs);
    const bookmarks = setInterval(() => this.#bookmark(), bookmarkIntervalMs);
    this.#cleanups.push(
      () => clearTimeout(end),
      () => clearInterval(bookmarks),
    );
    this.#breakIfDue();
  }

  #breakIfDue(): void {
    const { breakAfter } = this.#request;
    if (breakAfter === undefined || this.sent < breakAfter.events) return;
    this.#isBroken = true;
    // Not in the middle of a change: the others must hear of it first, and what was sent must
    // arrive.
    setImmediate(() => this.close(breakAfter.how));
  }

  close(how: WatchEnd): void {
    if (this.#isOver) return;
    if (how === 'expired') {
      const message = 'too old resource version';
      this.#send('ERROR', new ApiFailure({ code: 410, reason: 'Expired', message }).body);
    }
    this.release();
    // An undefined error tears the connection without a word on stderr.
    if (how === 'reset') this.#controller.error(undefined);
    else this.#controller.close();
  }

  release(): void {
    this.#isOver = true;
    for (const cleanup of this.#cleanups.splice(0)) cleanup();
    this.#onEnd();
  }

  /**
   * A change as this watch sees it: coming into the selection is an addition, leaving it a
   * deletion.
   */
  #pass(change: Change): void {
    const { matches } = this.#request;
    const wasIn = change.previous !== undefined && matches(change.previous);
    const isIn = change.type !== 'DELETED' && matches(change.object);
    if (!wasIn && !isIn) return;
    const type = isIn ? (wasIn ? 'MODIFIED' : 'ADDED') : 'DELETED';
    this.sent += 1;
    const object = isIn || change.previous === undefined ? change.object : asLeft(change);
    this.#send(type, present(object, this.kind));
    this.#breakIfDue();
  }

  #bookmark(annotations?: JsonObject): void {
    // A bookmark makes a watch one that worked: whether a broken one sends it is not left to chance.
    if (!this.#request.wantsBookmarks || this.#isOver || this.#isBroken) return;
    const { kind } = this.kind;
    const metadata = {
      resourceVersion: String(this.#store.revision),
      creationTimestamp: null,
      ...(annotations === undefined ? {} : { annotations }),
    };
    this.#send('BOOKMARK', { kind, apiVersion: apiVersionOf(this.kind), metadata });
  }

  #send(type: string, object: JsonObject): void {
    if (this.#isOver) return;
    this.#controller.enqueue(encoder.encode(`{"type":"${type}","object":${textOf(object)}}\n`));
    if ((this.#controller.desiredSize ?? 1) <= 0) this.close('reset');
  }
}

/** What leaves a selection is shown as it was in it, with the version of the change. */
function asLeft({ type, object, previous = object }: Change): JsonObject {
  if (type === 'DELETED') return object;
  const { resourceVersion = '' } = objectAt(object, 'metadata');
  return { ...previous, metadata: { ...objectAt(previous, 'metadata'), resourceVersion } };
}

const encoder = new TextEncoder();
/** Many watches send the same object: its text is made once. */
const texts = new WeakMap<JsonObject, string>();

function textOf(object: JsonObject): string {
  const known = texts.get(object);
  if (known !== undefined) return known;
  const text = JSON.stringify(object);
  texts.set(object, text);
  return text;
}

/** The object in the version of the request; custom kinds are not converted otherwise. */
export function present(object: JsonObject, kind: Kind): JsonObject {
  const apiVersion = apiVersionOf(kind);
  return object.apiVersion === apiVersion ? object : { ...object, apiVersion };
}

/** Selectors and namespace of a request as one predicate. */
export function inNamespace(namespace: string, predicates: readonly Predicate[]): Predicate {
  return (object) =>
    (namespace === '' || textAt(objectAt(object, 'metadata'), 'namespace') === namespace) &&
    predicates.every((predicate) => predicate(object));
}
