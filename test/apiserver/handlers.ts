// Test equipment: one function per verb of the embedded API server, from a parsed request to an
// answer.
import { isObject, type Json, type JsonObject, listAt, objectAt, textAt } from './json.ts';
import { apiVersionOf, type Kind, storeKey } from './kinds.ts';
import { jsonPatch, mergePatch, PatchMismatch, strategicMerge } from './patch.ts';
import { type ApiRequest, isTrue, managerOf } from './requests.ts';
import { type Predicate, parseFieldSelector, parseLabelSelector } from './selectors.ts';
import { shapeOf } from './shape.ts';
import * as status from './status.ts';
import { objectKey, type Store } from './store.ts';
import { inNamespace, present } from './watch.ts';
import type { ObjectWriter, WriteContext } from './writer.ts';

/** Who a bearer token belongs to, as in a TokenReview. */
export interface UserInfo {
  readonly username: string;
  readonly uid?: string;
  readonly groups?: readonly string[];
}

export interface Answer {
  readonly code: number;
  readonly body: JsonObject;
  readonly warnings: readonly string[];
}

export interface HandlerOptions {
  readonly store: Store;
  readonly writer: ObjectWriter;
  readonly users: ReadonlyMap<string, UserInfo>;
}

export class Handlers {
  readonly #store: Store;
  readonly #writer: ObjectWriter;
  readonly #users: ReadonlyMap<string, UserInfo>;

  constructor(options: HandlerOptions) {
    this.#store = options.store;
    this.#writer = options.writer;
    this.#users = options.users;
  }

  /** Answers everything but watches. Throws ApiFailure. */
  answer(request: ApiRequest, kind: Kind, text: string): Answer {
    const warnings: string[] = [];
    const context = toContext(request, kind, warnings);
    this.#checkPath(request, kind);
    const { code, object } = this.#dispatch(request, context, text);
    return { code, body: object, warnings };
  }

  /** Namespace and selectors of a list or watch. */
  predicateOf(request: ApiRequest, kind: Kind): Predicate {
    const labels = request.query.get('labelSelector') ?? '';
    const fields = request.query.get('fieldSelector') ?? '';
    const named: Predicate = ({ metadata }) =>
      request.name === '' || (isObject(metadata) && metadata.name === request.name);
    return inNamespace(request.namespace, [
      named,
      parseLabelSelector(labels),
      parseFieldSelector(fields, kind.plural),
    ]);
  }

  #checkPath(request: ApiRequest, kind: Kind): void {
    if (!kind.namespaced && request.namespace !== '') throw status.unknownPath();
    if (kind.namespaced && request.namespace === '' && request.name !== '') {
      throw status.unknownPath();
    }
    const { subresource } = request;
    const isKnown = subresource === '' || (subresource === 'status' && kind.hasStatus);
    if (!isKnown) throw status.unknownPath();
    if (kind.isReview && (request.method !== 'POST' || request.name !== '')) {
      throw status.methodNotAllowed();
    }
  }

  #dispatch(
    request: ApiRequest,
    context: WriteContext,
    text: string,
  ): { code: number; object: JsonObject } {
    const isCollection = request.name === '';
    switch (request.method) {
      case 'GET':
        return isCollection
          ? { code: 200, object: this.#list(request, context.kind) }
          : { code: 200, object: this.#get(context) };
      case 'POST':
        if (!isCollection) throw status.methodNotAllowed();
        return { code: 201, object: this.#create(request, context, text) };
      case 'PUT':
        if (isCollection) throw status.methodNotAllowed();
        return { code: 200, object: this.#replace(request, context, text) };
      case 'PATCH':
        if (isCollection) throw status.methodNotAllowed();
        return this.#patch(request, context, text);
      case 'DELETE':
        if (context.subresource !== '') throw status.methodNotAllowed();
        return isCollection
          ? { code: 200, object: this.#deleteCollection(request, context, text) }
          : { code: 200, object: this.#delete(context, text) };
      default:
        throw status.methodNotAllowed();
    }
  }

  #get(context: WriteContext): JsonObject {
    const { kind, namespace, name } = context;
    const found = this.#store.get(storeKey(kind), objectKey(namespace, name));
    if (found !== undefined) return present(found, kind);
    throw status.notFound({ group: kind.group, plural: kind.plural, name });
  }

  #list(request: ApiRequest, kind: Kind): JsonObject {
    const { query } = request;
    const limit = Number(query.get('limit') ?? 0);
    if (!Number.isInteger(limit)) throw status.badRequest('limit is not a number');
    const token = query.get('continue') ?? '';
    const version = query.get('resourceVersion') || '0';
    if (!status.isRevision(version)) throw status.invalidVersion(400, version);
    const wanted = Number(version);
    if (wanted > this.#store.revision) throw status.tooLargeVersion(wanted, this.#store.revision);
    const list = token === '' ? this.#freshList(request, kind) : this.#continued(token);
    const pageEnd = limit > 0 ? list.start + limit : list.items.length;
    const left = list.items.length - pageEnd;
    const more: JsonObject = {};
    if (left > 0) {
      const id = list.id ?? crypto.randomUUID();
      const { revision, items } = list;
      if (list.id === undefined) this.#store.keepSnapshot(id, { revision, items });
      more.continue = btoa(JSON.stringify({ id, start: pageEnd }));
      // How many more a selector will choose is not counted.
      const isChosen = query.has('labelSelector') || query.has('fieldSelector');
      if (!isChosen) more.remainingItemCount = left;
    }
    return {
      kind: `${kind.kind}List`,
      apiVersion: apiVersionOf(kind),
      metadata: { resourceVersion: String(list.revision), ...more },
      items: list.items.slice(list.start, pageEnd).map((object) => toItem(object, kind)),
    };
  }

  #freshList(request: ApiRequest, kind: Kind): ListInProgress {
    const items = this.#store.list(storeKey(kind)).filter(this.predicateOf(request, kind));
    return { id: undefined, start: 0, revision: this.#store.revision, items };
  }

  #continued(token: string): ListInProgress {
    const { id, start } = parseToken(token);
    return { ...this.#store.snapshot(id), id, start };
  }

  #create(request: ApiRequest, context: WriteContext, text: string): JsonObject {
    const body = parseBody(request, context, text);
    if (context.kind.isReview) return this.#review(body);
    return present(this.#writer.create(context, body), context.kind);
  }

  #review(body: JsonObject): JsonObject {
    const user = this.#users.get(textAt(objectAt(body, 'spec'), 'token'));
    const answer: JsonObject =
      user === undefined
        ? { authenticated: false, error: 'invalid bearer token' }
        : { authenticated: true, user: { ...user, groups: [...(user.groups ?? [])] } };
    const audiences = listAt(objectAt(body, 'spec'), 'audiences');
    const status = user !== undefined && audiences.length > 0 ? { ...answer, audiences } : answer;
    return { ...body, metadata: objectAt(body, 'metadata'), status };
  }

  #replace(request: ApiRequest, context: WriteContext, text: string): JsonObject {
    const body = parseBody(request, context, text);
    const metadata = objectAt(body, 'metadata');
    const isUnconditional = textAt(metadata, 'resourceVersion') === '';
    if (isUnconditional && context.kind.schema !== undefined) {
      const { group, plural, kind } = context.kind;
      const message = 'Invalid value: 0: must be specified for an update';
      const cause = { reason: 'FieldValueInvalid', field: 'metadata.resourceVersion', message };
      throw status.invalid({ group, plural, kind, name: context.name }, [cause]);
    }
    return present(
      this.#writer.update(context, () => body),
      context.kind,
    );
  }

  #patch(
    request: ApiRequest,
    context: WriteContext,
    text: string,
  ): { code: number; object: JsonObject } {
    const { kind } = context;
    const type = request.contentType;
    if (type === 'application/apply-patch+yaml') return this.#apply(request, context, text);
    const patch = parseJson(text);
    const change = changeOf(type, patch, kind);
    try {
      const object = this.#writer.update(context, (old) => {
        const changed = change(present(old, kind));
        if (isObject(changed)) return changed;
        throw status.badRequest('a patched object must be an object');
      });
      return { code: 200, object: present(object, kind) };
    } catch (error) {
      if (!(error instanceof PatchMismatch)) throw error;
      throw new status.ApiFailure({
        code: 422,
        reason: 'Invalid',
        message: `the server rejected our request due to an error in our request: ${error.message}`,
        details: {},
      });
    }
  }

  #apply(
    request: ApiRequest,
    context: WriteContext,
    text: string,
  ): { code: number; object: JsonObject } {
    if (request.query.get('fieldManager') === null) {
      throw status.badRequest('PatchOptions: fieldManager is required for apply patch');
    }
    const config = parseYaml(text);
    checkIdentity(config, context);
    const isForced = isTrue(request.query.get('force'));
    const { object, isNew } = this.#writer.apply(context, config, isForced);
    return { code: isNew ? 201 : 200, object: present(object, context.kind) };
  }

  #delete(context: WriteContext, text: string): JsonObject {
    const { object, isGone } = this.#writer.remove(context, parseDeleteOptions(text));
    if (!isGone) return present(object, context.kind);
    const { group, plural } = context.kind;
    const uid = textAt(objectAt(object, 'metadata'), 'uid');
    return {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Success',
      details: { name: context.name, ...(group && { group }), kind: plural, uid },
    };
  }

  #deleteCollection(request: ApiRequest, context: WriteContext, text: string): JsonObject {
    const { kind } = context;
    const { items } = this.#freshList(request, kind);
    const options = parseDeleteOptions(text);
    for (const object of items) {
      const metadata = objectAt(object, 'metadata');
      const namespace = textAt(metadata, 'namespace');
      this.#writer.remove({ ...context, namespace, name: textAt(metadata, 'name') }, options);
    }
    return {
      kind: `${kind.kind}List`,
      apiVersion: apiVersionOf(kind),
      metadata: { resourceVersion: String(this.#store.revision) },
      items: items.map((object) => present(object, kind)),
    };
  }
}

interface ListInProgress {
  /** Name of the snapshot that later pages come from, if there is one already. */
  readonly id: string | undefined;
  readonly start: number;
  readonly revision: number;
  readonly items: JsonObject[];
}

/** Lists of built-in kinds leave apiVersion and kind out of their items. */
function toItem(object: JsonObject, kind: Kind): JsonObject {
  if (kind.schema !== undefined) return present(object, kind);
  const { apiVersion: _version, kind: _kind, ...rest } = object;
  return rest;
}

function toContext(request: ApiRequest, kind: Kind, warnings: string[]): WriteContext {
  const validation = request.query.get('fieldValidation') ?? 'Warn';
  if (validation !== 'Strict' && validation !== 'Warn' && validation !== 'Ignore') {
    throw status.badRequest(`fieldValidation: Unsupported value: "${validation}"`);
  }
  return {
    kind,
    namespace: request.namespace,
    name: request.name,
    subresource: request.subresource === 'status' ? 'status' : '',
    manager: managerOf(request),
    isDryRun: request.query.get('dryRun') === 'All',
    fieldValidation: validation,
    warnings,
  };
}

function parseToken(token: string): { id: string; start: number } {
  try {
    const value: unknown = JSON.parse(atob(token));
    if (isObject(value) && typeof value.id === 'string' && typeof value.start === 'number') {
      return { id: value.id, start: value.start };
    }
  } catch {
    // falls through to the refusal
  }
  throw status.badRequest('continue key is not valid');
}

function parseJson(text: string): Json {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw status.badRequest(`the body is not JSON: ${String(error)}`);
  }
}

/** kubectl applies YAML; programs send JSON, which is YAML too and read faster. */
function parseYaml(text: string): JsonObject {
  const value: unknown = text.trimStart().startsWith('{') ? parseJson(text) : Bun.YAML.parse(text);
  if (isObject(value)) return value;
  throw status.badRequest('the body is not an object');
}

function parseBody(request: ApiRequest, context: WriteContext, text: string): JsonObject {
  if (request.contentType !== 'application/json' && request.contentType !== 'application/yaml') {
    throw status.unsupportedMediaType(request.contentType);
  }
  const body = parseYaml(text);
  checkIdentity(body, context);
  return body;
}

/** The body must be about what the path is about. */
function checkIdentity(body: JsonObject, context: WriteContext): void {
  const { kind, namespace, name } = context;
  const metadata = objectAt(body, 'metadata');
  const mismatch = [
    ['apiVersion', textAt(body, 'apiVersion'), apiVersionOf(kind)],
    ['kind', textAt(body, 'kind'), kind.kind],
    ['namespace', textAt(metadata, 'namespace'), namespace],
    ['name', textAt(metadata, 'name'), name],
  ].find(([, seen, wanted]) => seen !== '' && wanted !== '' && seen !== wanted);
  if (mismatch === undefined) return;
  const [what, seen, wanted] = mismatch;
  throw status.badRequest(
    `the ${what} of the object (${seen}) does not match the ${what} on the URL (${wanted})`,
  );
}

function changeOf(type: string, patch: Json, kind: Kind): (old: JsonObject) => Json {
  switch (type) {
    case 'application/merge-patch+json':
      return (old) => mergePatch(old, patch);
    case 'application/json-patch+json':
      return (old) => jsonPatch(old, patch);
    case 'application/strategic-merge-patch+json':
      if (kind.schema !== undefined) throw status.unsupportedMediaType(type);
      return (old) => strategicMerge(old, patch, shapeOf(kind));
    default:
      throw status.unsupportedMediaType(type);
  }
}

function parseDeleteOptions(text: string) {
  const body = text.trim() === '' ? {} : parseYaml(text);
  const preconditions = objectAt(body, 'preconditions');
  const seconds = body.gracePeriodSeconds;
  return {
    uid: textAt(preconditions, 'uid'),
    resourceVersion: textAt(preconditions, 'resourceVersion'),
    gracePeriodSeconds: typeof seconds === 'number' ? seconds : undefined,
    propagation: textAt(body, 'propagationPolicy'),
  };
}
