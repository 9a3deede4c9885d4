// Test equipment: the parts of the controller manager that programs rely on: collecting objects
// whose owners are gone, deletion in the foreground and orphaning, and emptying namespaces that
// end. Works right after the change, not in it.
import { isObject, type JsonObject, listAt, objectAt, textAt, without } from './json.ts';
import { type Kind, type KindRegistry, storeKey } from './kinds.ts';
import { finalizersOf, isTerminating } from './metadata.ts';
import { ApiFailure } from './status.ts';
import { type Change, keyOf, objectKey, type Store } from './store.ts';
import type { ObjectWriter, WriteContext } from './writer.ts';

interface Place {
  readonly store: string;
  readonly key: string;
}

const NAMESPACES = 'namespaces.';
const MANAGER = 'garbage-collector';

export class GarbageCollector {
  readonly #store: Store;
  readonly #kinds: KindRegistry;
  readonly #writer: ObjectWriter;
  readonly #uids = new Set<string>();
  /** Uid of an owner to the places of its dependents. */
  readonly #dependents = new Map<string, Map<string, Place>>();
  readonly #pending = new Map<string, Place>();
  #isScheduled = false;

  constructor(o: { store: Store; kinds: KindRegistry; writer: ObjectWriter }) {
    this.#store = o.store;
    this.#kinds = o.kinds;
    this.#writer = o.writer;
    o.store.subscribe((change) => this.#note(change));
  }

  #note(change: Change): void {
    const place = { store: change.store, key: change.key };
    this.#index(change.previous, place, false);
    if (change.type === 'DELETED') {
      const uid = textAt(objectAt(change.object, 'metadata'), 'uid');
      this.#uids.delete(uid);
      for (const dependent of this.#dependents.get(uid)?.values() ?? []) this.#queue(dependent);
      this.#noteDeparture(change.object);
    } else {
      this.#index(change.object, place, true);
      this.#queue(place);
    }
  }

  /**
   * Owners that wait for their dependents, and an ending namespace, look again after each
   * departure.
   */
  #noteDeparture(object: JsonObject): void {
    const metadata = objectAt(object, 'metadata');
    const namespace = textAt(metadata, 'namespace');
    if (namespace !== '') this.#queue({ store: NAMESPACES, key: objectKey('', namespace) });
    for (const owner of ownersOf(object)) {
      const kind = this.#kinds.findByKind(textAt(owner, 'apiVersion'), textAt(owner, 'kind'));
      if (kind === undefined) continue;
      const key = objectKey(kind.namespaced ? namespace : '', textAt(owner, 'name'));
      this.#queue({ store: storeKey(kind), key });
    }
  }

  #index(object: JsonObject | undefined, place: Place, isPresent: boolean): void {
    if (object === undefined) return;
    if (isPresent) this.#uids.add(textAt(objectAt(object, 'metadata'), 'uid'));
    for (const owner of ownersOf(object)) {
      const uid = textAt(owner, 'uid');
      const places = this.#dependents.get(uid) ?? new Map<string, Place>();
      if (isPresent) places.set(idOf(place), place);
      else places.delete(idOf(place));
      if (places.size > 0) this.#dependents.set(uid, places);
      else this.#dependents.delete(uid);
    }
  }

  #queue(place: Place): void {
    this.#pending.set(idOf(place), place);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => this.#work());
  }

  #work(): void {
    this.#isScheduled = false;
    const places = [...this.#pending.values()];
    this.#pending.clear();
    for (const place of places) this.#examine(place);
  }

  #examine(place: Place): void {
    const object = this.#store.get(place.store, place.key);
    const kind = this.#kinds.all().find((one) => storeKey(one) === place.store);
    if (object === undefined || kind === undefined) return;
    try {
      this.#dropAbsentOwners(kind, object);
      if (!isTerminating(object)) return;
      if (place.store === NAMESPACES) this.#emptyNamespace(kind, object);
      else this.#releaseDependents(kind, object);
    } catch (error) {
      // Somebody else changed it first: that change has queued it again.
      if (!(error instanceof ApiFailure)) throw error;
    }
  }

  #dropAbsentOwners(kind: Kind, object: JsonObject): void {
    const owners = ownersOf(object);
    const present = owners.filter((owner) => this.#uids.has(textAt(owner, 'uid')));
    if (present.length === owners.length || isTerminating(object)) return;
    const context = contextOf(kind, object);
    if (present.length === 0) {
      this.#writer.remove(context, { uid: textAt(objectAt(object, 'metadata'), 'uid') });
      return;
    }
    this.#writer.update(context, (old) => withMetadata(old, { ownerReferences: present }));
  }

  #releaseDependents(kind: Kind, object: JsonObject): void {
    const finalizers = finalizersOf(object);
    const uid = textAt(objectAt(object, 'metadata'), 'uid');
    const dependents = [...(this.#dependents.get(uid)?.values() ?? [])];
    if (finalizers.includes('orphan')) {
      for (const place of dependents) this.#orphan(place, uid);
      this.#unblock(kind, object, 'orphan');
    }
    if (!finalizers.includes('foregroundDeletion')) return;
    const blocking = dependents.filter((place) => this.#collect(place, uid));
    if (blocking.length === 0) this.#unblock(kind, object, 'foregroundDeletion');
  }

  /** Starts the deletion of a dependent. True when its owner has to wait for the end of it. */
  #collect(place: Place, ownerUid: string): boolean {
    const object = this.#store.get(place.store, place.key);
    const kind = this.#kinds.all().find((one) => storeKey(one) === place.store);
    if (object === undefined || kind === undefined) return false;
    const isGone = isTerminating(object)
      ? false
      : this.#writer.remove(contextOf(kind, object), { propagation: 'Foreground' }).isGone;
    const owner = ownersOf(object).find((one) => textAt(one, 'uid') === ownerUid);
    return !isGone && owner?.blockOwnerDeletion === true;
  }

  #orphan(place: Place, ownerUid: string): void {
    const object = this.#store.get(place.store, place.key);
    const kind = this.#kinds.all().find((one) => storeKey(one) === place.store);
    if (object === undefined || kind === undefined) return;
    const left = ownersOf(object).filter((owner) => textAt(owner, 'uid') !== ownerUid);
    this.#writer.update(contextOf(kind, object), (old) =>
      withMetadata(old, { ownerReferences: left }),
    );
  }

  #unblock(kind: Kind, object: JsonObject, finalizer: string): void {
    this.#writer.update(contextOf(kind, object), (old) =>
      withMetadata(old, { finalizers: finalizersOf(old).filter((name) => name !== finalizer) }),
    );
  }

  #emptyNamespace(kind: Kind, namespace: JsonObject): void {
    const name = textAt(objectAt(namespace, 'metadata'), 'name');
    const isInside = (object: JsonObject): boolean =>
      textAt(objectAt(object, 'metadata'), 'namespace') === name;
    let left = 0;
    const stores = new Map(this.#kinds.all().map((one) => [storeKey(one), one]));
    for (const [store, inner] of stores) {
      for (const object of this.#store.list(store).filter(isInside)) {
        const request = { gracePeriodSeconds: 0 };
        const isGone = this.#writer.remove(contextOf(inner, object), request).isGone;
        if (!isGone) left += 1;
      }
    }
    if (left === 0) this.#writer.erase(kind, namespace);
  }
}

function idOf(place: Place): string {
  return `${place.store} ${place.key}`;
}

function ownersOf(object: JsonObject): JsonObject[] {
  return listAt(objectAt(object, 'metadata'), 'ownerReferences').filter(isObject);
}

function contextOf(kind: Kind, object: JsonObject): WriteContext {
  const [namespace = '', name = ''] = keyOf(object).split('/');
  return {
    kind,
    namespace,
    name,
    subresource: '',
    manager: MANAGER,
    isDryRun: false,
    fieldValidation: 'Ignore',
    warnings: [],
  };
}

function withMetadata(object: JsonObject, members: JsonObject): JsonObject {
  const metadata = { ...objectAt(object, 'metadata'), ...members };
  const empty = Object.keys(members).filter((key) => listAt(metadata, key).length === 0);
  return { ...object, metadata: without(metadata, ...empty) };
}
