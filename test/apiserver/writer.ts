// Test equipment: every change of an object goes through here: preconditions, the split of status
// and the rest, defaults and validation, generation, field ownership, finalizers. Deciding what to
// ask for is the handlers' part.
import { type Access, applyConfig, ownersAfterUpdate, ownersOf, withOwners } from './apply.ts';
import { checkBuiltIn, completeBuiltIn, completeCrd, withReadData } from './built-in.ts';
import { isEqual, type JsonObject, objectAt, textAt, without } from './json.ts';
import { apiVersionOf, CRD_PLURAL, type Kind, type KindRegistry, storeKey } from './kinds.ts';
import {
  checkMetadata,
  finalizersOf,
  generateName,
  isTerminating,
  toTime,
  withoutEmptyMetadata,
  withServerMembers,
} from './metadata.ts';
import {
  asSent,
  comparable,
  fixedMembers,
  frameOf,
  isResetOfOwners,
  withoutFrame,
  withPropagation,
} from './object-parts.ts';
import { dropNulls, fillDefaults, prune } from './schema.ts';
import { checkValue } from './schema-check.ts';
import { shapeOf } from './shape.ts';
import * as status from './status.ts';
import { objectKey, type Store } from './store.ts';
import { checkShape, checkTyped } from './typed.ts';

/** What a write is about and how it was asked for. */
export interface WriteContext {
  readonly kind: Kind;
  readonly namespace: string;
  readonly name: string;
  readonly subresource: '' | 'status';
  readonly manager: string;
  readonly isDryRun: boolean;
  readonly fieldValidation: 'Strict' | 'Warn' | 'Ignore';
  /** Texts for Warning headers are added here. */
  readonly warnings: string[];
}

export interface DeleteRequest {
  readonly uid?: string | undefined;
  readonly resourceVersion?: string | undefined;
  readonly gracePeriodSeconds?: number | undefined;
  readonly propagation?: string | undefined;
}

export interface WriterOptions {
  readonly store: Store;
  readonly kinds: KindRegistry;
  readonly now: () => number;
}

const POD_GRACE_SECONDS = 30;

export class ObjectWriter {
  readonly #store: Store;
  readonly #kinds: KindRegistry;
  readonly #now: () => number;

  constructor(options: WriterOptions) {
    this.#store = options.store;
    this.#kinds = options.kinds;
    this.#now = options.now;
  }

  create(context: WriteContext, body: JsonObject): JsonObject {
    return this.#insert(context, body, this.#access(context, 'Update'));
  }

  /** Replaces an object by what `change` makes of it. Returns the stored object. */
  update(context: WriteContext, change: (old: JsonObject) => JsonObject): JsonObject {
    const old = this.#require(context);
    const changed = change(old);
    this.#checkPreconditions(context, old, objectAt(changed, 'metadata'));
    const next = this.#merge(context, old, changed, false);
    const access = this.#access(context, 'Update');
    const isReset = context.subresource === '' && isResetOfOwners(context.kind, changed);
    const owners = isReset ? [] : ownersAfterUpdate(old, asSent(next, changed), access);
    return this.#commit(context, old, withOwners(next, owners));
  }

  /** Server-side apply: creates the object or merges into it. */
  apply(
    context: WriteContext,
    config: JsonObject,
    isForced: boolean,
  ): { object: JsonObject; isNew: boolean } {
    const old = context.subresource === '' ? this.#find(context) : this.#require(context);
    const access = this.#access(context, 'Apply');
    const wanted = this.#applicable(context, config);
    if (old === undefined) {
      const merged = applyConfig(undefined, wanted, access, isForced);
      return { object: this.#insert(context, merged, undefined), isNew: true };
    }
    this.#checkPreconditions(context, old, objectAt(config, 'metadata'));
    const merged = applyConfig(old, wanted, access, isForced);
    const next = withOwners(this.#merge(context, old, merged, true), ownersOf(merged));
    return { object: this.#commit(context, old, next), isNew: false };
  }

  /** Starts or completes a deletion. `isGone` tells whether the object is out of the store. */
  remove(context: WriteContext, request: DeleteRequest): { object: JsonObject; isGone: boolean } {
    const old = this.#require(context);
    const { uid = '', resourceVersion = '' } = request;
    this.#checkPreconditions(context, old, { uid, resourceVersion });
    const finalizers = withPropagation(finalizersOf(old), request.propagation);
    const graceSeconds = this.#graceSeconds(context.kind, old, request);
    if (finalizers.length === 0 && graceSeconds === 0 && context.kind.plural !== 'namespaces') {
      return { object: context.isDryRun ? old : this.#erase(context, old), isGone: true };
    }
    const known = objectAt(old, 'metadata');
    const metadata: JsonObject = {
      ...known,
      deletionTimestamp: known.deletionTimestamp ?? toTime(this.#now() + graceSeconds * 1000),
      deletionGracePeriodSeconds: graceSeconds,
    };
    if (finalizers.length > 0) metadata.finalizers = finalizers;
    const isFirst = known.deletionTimestamp === undefined;
    if (isFirst && known.generation !== undefined)
      metadata.generation = Number(known.generation) + 1;
    const next = { ...old, metadata };
    return { object: this.#commit(context, old, next), isGone: false };
  }

  /** Takes an object out of the store whatever its state; for namespaces and kinds that end. */
  erase(kind: Kind, object: JsonObject): void {
    const metadata = objectAt(object, 'metadata');
    const namespace = textAt(metadata, 'namespace');
    this.#erase({ kind, namespace, name: textAt(metadata, 'name') }, object);
  }

  #subject(context: Pick<WriteContext, 'kind' | 'name'>): status.StatusSubject {
    const { group, plural, kind } = context.kind;
    return { group, plural, kind, name: context.name };
  }

  #find(context: Pick<WriteContext, 'kind' | 'namespace' | 'name'>): JsonObject | undefined {
    return this.#store.get(storeKey(context.kind), objectKey(context.namespace, context.name));
  }

  #require(context: WriteContext): JsonObject {
    const found = this.#find(context);
    if (found === undefined) throw status.notFound(this.#subject(context));
    return found;
  }

  #access(context: WriteContext, operation: 'Apply' | 'Update'): Access {
    const { kind, manager, subresource } = context;
    const apiVersion = apiVersionOf(kind);
    const time = toTime(this.#now());
    const writer = { manager, operation, apiVersion, subresource, time };
    return { writer, shape: shapeOf(kind), fixed: fixedMembers(kind, subresource) };
  }

  #insert(context: WriteContext, body: JsonObject, access: Access | undefined): JsonObject {
    const { kind, namespace } = context;
    this.#checkNamespace(context);
    const metadata = objectAt(body, 'metadata');
    if (textAt(metadata, 'resourceVersion') !== '') {
      throw status.badRequest('resourceVersion should not be set on objects to be created');
    }
    const name = textAt(metadata, 'name') || this.#generatedName(metadata);
    const named = { ...context, name };
    const fresh: JsonObject = {
      uid: crypto.randomUUID(),
      creationTimestamp: toTime(this.#now()),
      ...(kind.hasGeneration ? { generation: 1 } : {}),
    };
    const placed = { ...without(metadata, 'generateName'), name, ...(namespace && { namespace }) };
    const known = withServerMembers({ ...frameOf(kind, body), metadata: placed }, fresh);
    const prepared = this.#prepare(named, this.#completed(kind, known), access === undefined);
    if (this.#find(named) !== undefined) throw status.alreadyExists(this.#subject(named));
    const owned =
      access === undefined
        ? prepared
        : withOwners(prepared, ownersAfterUpdate(undefined, prepared, access));
    return context.isDryRun ? owned : this.#put(kind, owned);
  }

  #generatedName(metadata: JsonObject): string {
    const base = textAt(metadata, 'generateName');
    const random = (limit: number): number => Math.floor(Math.random() * limit);
    return base === '' ? '' : generateName(base, random);
  }

  #completed(kind: Kind, object: JsonObject): JsonObject {
    if (kind.schema === undefined) return completeBuiltIn(object, kind, toTime(this.#now()));
    return kind.hasStatus ? without(object, 'status') : object;
  }

  /** Objects cannot be made in a namespace that does not exist or ends. */
  #checkNamespace(context: WriteContext): void {
    if (!context.kind.namespaced) return;
    const subject = { plural: 'namespaces', name: context.namespace };
    const namespace = this.#store.get('namespaces.', objectKey('', context.namespace));
    if (namespace === undefined) throw status.notFound(subject);
    if (isTerminating(namespace)) {
      const why = `unable to create new content in namespace ${context.namespace} because it is being terminated`;
      throw status.forbidden(this.#subject(context), why);
    }
  }

  #checkPreconditions(context: WriteContext, old: JsonObject, wanted: JsonObject): void {
    const known = objectAt(old, 'metadata');
    for (const member of ['uid', 'resourceVersion'] as const) {
      const value = textAt(wanted, member);
      if (value === '' || value === known[member]) continue;
      const why =
        member === 'uid'
          ? `Precondition failed: UID in precondition: ${value}, UID in object meta: ${String(known.uid)}`
          : status.STALE;
      throw status.conflict(this.#subject(context), why);
    }
  }

  /**
   * The next version of an object: status and the rest are written separately where they are
   * separate.
   */
  #merge(
    context: WriteContext,
    old: JsonObject,
    changed: JsonObject,
    isApplied: boolean,
  ): JsonObject {
    const { kind } = context;
    const known = objectAt(old, 'metadata');
    if (isTerminating(changed) && !isTerminating(old)) {
      const field = 'metadata.deletionTimestamp';
      const message = 'Invalid value: field is immutable';
      const cause = { reason: 'FieldValueInvalid', field, message };
      throw status.invalid(this.#subject(context), [cause]);
    }
    const sameName = {
      ...objectAt(changed, 'metadata'),
      name: known.name ?? '',
      ...(known.namespace === undefined ? {} : { namespace: known.namespace }),
      ...(known.managedFields === undefined ? {} : { managedFields: known.managedFields }),
    };
    const body = withServerMembers({ ...frameOf(kind, changed), metadata: sameName }, known);
    const next = this.#prepare(context, this.#split(context, old, body), isApplied);
    this.#checkFinalizers(context, old, next);
    const isSameSpec = isEqual(
      without(old, 'metadata', 'status'),
      without(next, 'metadata', 'status'),
    );
    if (!kind.hasGeneration || isSameSpec) return next;
    const generation = Number(known.generation ?? 0) + 1;
    return { ...next, metadata: { ...objectAt(next, 'metadata'), generation } };
  }

  #split(context: WriteContext, old: JsonObject, body: JsonObject): JsonObject {
    const { kind, subresource } = context;
    if (!kind.hasStatus) return body;
    const part = (object: JsonObject): JsonObject =>
      object.status === undefined ? {} : { status: object.status };
    if (subresource === '') {
      if (kind.plural === CRD_PLURAL) return completeCrd(body, toTime(this.#now()));
      return { ...without(body, 'status'), ...part(old) };
    }
    // Custom kinds change nothing but the status here; built-in ones also labels and the like.
    const metadata = kind.schema === undefined ? body.metadata : old.metadata;
    return { ...without(old, 'status'), metadata: metadata ?? {}, ...part(body) };
  }

  #prepare(context: WriteContext, given: JsonObject, isApplied: boolean): JsonObject {
    const { kind } = context;
    const object = withoutEmptyMetadata(kind.schema === undefined ? withReadData(given) : given);
    const faults = checkMetadata(object, kind);
    if (kind.schema === undefined) {
      faults.push(...checkBuiltIn(object, kind));
      if (faults.length > 0) throw status.invalid(this.#subject(context), faults);
      return object;
    }
    const pruned = prune(object, kind.schema);
    this.#noteUnknown(context, pruned.unknown);
    const read = isApplied ? pruned.object : dropNulls(pruned.object, kind.schema);
    const filled = fillDefaults(read, kind.schema) as JsonObject; // an object stays one
    faults.push(...checkValue(without(filled, 'metadata'), withoutFrame(kind.schema), ''));
    if (faults.length > 0) throw status.invalid(this.#subject(context), faults);
    return filled;
  }

  #noteUnknown(context: WriteContext, unknown: readonly string[]): void {
    if (unknown.length === 0) return;
    const list = unknown.map((field) => `unknown field "${field}"`);
    if (context.fieldValidation === 'Strict') {
      const { kind, group } = context.kind;
      const what = `${kind} in version "${context.kind.version}" cannot be handled as a ${kind}`;
      throw status.badRequest(`${group} ${what}: strict decoding error: ${list.join(', ')}`);
    }
    if (context.fieldValidation === 'Warn') context.warnings.push(...list);
  }

  #applicable(context: WriteContext, config: JsonObject): JsonObject {
    const metadata = objectAt(config, 'metadata');
    if (metadata.managedFields !== undefined) {
      throw status.badRequest('metadata.managedFields must be nil');
    }
    const { kind } = context;
    const place = `${context.namespace}/${context.name}`;
    if (kind.schema === undefined) checkShape(config, shapeOf(kind), place);
    const body =
      kind.schema === undefined ? config : this.#pruneConfig(context, config, kind.schema);
    return { ...body, metadata: { ...objectAt(body, 'metadata'), name: context.name } };
  }

  #pruneConfig(context: WriteContext, config: JsonObject, schema: JsonObject): JsonObject {
    const pruned = prune(config, schema);
    this.#noteUnknown(context, pruned.unknown);
    checkTyped(config, schema, `${context.namespace}/${context.name}`);
    return pruned.object;
  }

  #checkFinalizers(context: WriteContext, old: JsonObject, next: JsonObject): void {
    if (!isTerminating(old)) return;
    const added = finalizersOf(next).filter((name) => !finalizersOf(old).includes(name));
    if (added.length === 0) return;
    const message = `Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers ${JSON.stringify(added)}`;
    const cause = { reason: 'FieldValueForbidden', field: 'metadata.finalizers', message };
    throw status.invalid(this.#subject(context), [cause]);
  }

  #graceSeconds(kind: Kind, old: JsonObject, request: DeleteRequest): number {
    const isBoundPod = kind.plural === 'pods' && textAt(objectAt(old, 'spec'), 'nodeName') !== '';
    if (!isBoundPod) return 0;
    return request.gracePeriodSeconds ?? POD_GRACE_SECONDS;
  }

  /**
   * Stores the new version unless nothing changed; the last finalizer's end is the end of the
   * object.
   */
  #commit(context: WriteContext, old: JsonObject, next: JsonObject): JsonObject {
    if (isEqual(comparable(old), comparable(next))) return old;
    if (context.isDryRun) return next;
    const grace = objectAt(next, 'metadata').deletionGracePeriodSeconds ?? 0;
    const isOver = isTerminating(next) && finalizersOf(next).length === 0 && grace === 0;
    if (isOver && context.kind.plural !== 'namespaces') return this.#erase(context, next);
    return this.#put(context.kind, next);
  }

  #put(kind: Kind, object: JsonObject): JsonObject {
    const stored = this.#store.put(storeKey(kind), object);
    if (kind.plural === CRD_PLURAL) this.#kinds.serve(stored);
    return stored;
  }

  #erase(at: Pick<WriteContext, 'kind' | 'namespace' | 'name'>, last: JsonObject): JsonObject {
    if (at.kind.plural === CRD_PLURAL) this.#endKind(last);
    return this.#store.remove(storeKey(at.kind), objectKey(at.namespace, at.name), last) ?? last;
  }

  /** With its definition all objects of a kind go. */
  #endKind(crd: JsonObject): void {
    const spec = objectAt(crd, 'spec');
    const plural = textAt(objectAt(spec, 'names'), 'plural');
    const store = storeKey({ group: textAt(spec, 'group'), plural });
    const kind = this.#kinds.all().find((one) => storeKey(one) === store);
    if (kind !== undefined) for (const one of this.#store.list(store)) this.erase(kind, one);
    this.#kinds.withdraw(crd);
  }
}
