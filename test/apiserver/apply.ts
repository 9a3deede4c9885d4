// Test equipment: field ownership. Server-side apply merges what a manager wants and takes back
// what it no longer wants; every other write is recorded as an update by its manager.
import {
  changedFields,
  difference,
  type FieldTree,
  fromFieldsV1,
  intersection,
  isEmptyTree,
  leafPaths,
  NO_FIELDS,
  partsOf,
  toFieldsV1,
  treeOf,
  union,
  withoutRemoved,
} from './field-tree.ts';
import {
  copy,
  isObject,
  type Json,
  type JsonObject,
  listAt,
  objectAt,
  textAt,
  without,
} from './json.ts';
import type { Shape } from './shape.ts';
import { itemKey } from './shape.ts';
import { applyConflict, type StatusCause } from './status.ts';

/** Who writes, and how. One entry of managedFields exists for each different writer. */
export interface Writer {
  readonly manager: string;
  readonly operation: 'Apply' | 'Update';
  readonly apiVersion: string;
  readonly subresource: string;
  readonly time: string;
}

interface Entry {
  readonly writer: Writer;
  readonly fields: FieldTree;
}

/** Members of metadata that the server owns or that name the object: nobody's fields. */
const UNOWNED_METADATA = [
  'name',
  'namespace',
  'generateName',
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'managedFields',
  'selfLink',
];

/** The part of an object whose fields have owners. */
function ownable(object: JsonObject): JsonObject {
  const metadata = without(objectAt(object, 'metadata'), ...UNOWNED_METADATA);
  return { ...without(object, 'apiVersion', 'kind', 'metadata'), metadata };
}

/** The fields that a configuration asks for. */
function wantedFields(config: JsonObject, shape: Shape): FieldTree {
  const tree = treeOf(ownable(config), shape);
  const children = new Map(tree.children);
  // Metadata that says nothing is there anyway, and nobody's.
  if (children.get('f:metadata')?.children.size === 0) children.delete('f:metadata');
  return { self: false, children };
}

function isSameWriter(a: Writer, b: Writer): boolean {
  return (
    a.manager === b.manager &&
    a.operation === b.operation &&
    a.apiVersion === b.apiVersion &&
    a.subresource === b.subresource
  );
}

function entriesOf(object: JsonObject): Entry[] {
  return listAt(objectAt(object, 'metadata'), 'managedFields')
    .filter(isObject)
    .map((entry) => ({
      writer: {
        manager: textAt(entry, 'manager'),
        operation: entry.operation === 'Apply' ? 'Apply' : 'Update',
        apiVersion: textAt(entry, 'apiVersion'),
        subresource: textAt(entry, 'subresource'),
        time: textAt(entry, 'time'),
      },
      fields: fromFieldsV1(objectAt(entry, 'fieldsV1')),
    }));
}

function withEntries(object: JsonObject, entries: readonly Entry[]): JsonObject {
  const managedFields = entries
    .filter((entry) => !isEmptyTree(entry.fields))
    .map(({ writer, fields }) => ({
      manager: writer.manager,
      operation: writer.operation,
      apiVersion: writer.apiVersion,
      time: writer.time,
      fieldsType: 'FieldsV1',
      fieldsV1: toFieldsV1(fields),
      ...(writer.subresource === '' ? {} : { subresource: writer.subresource }),
    }));
  const metadata = without(objectAt(object, 'metadata'), 'managedFields');
  const owned = managedFields.length === 0 ? {} : { managedFields };
  return { ...object, metadata: { ...metadata, ...owned } };
}

/**
 * Records a create, replace or patch: changed fields change hands, vanished ones belong to nobody.
 */
export function recordUpdate(
  before: JsonObject | undefined,
  after: JsonObject,
  writer: Writer,
  shape: Shape,
): JsonObject {
  const value = ownable(after);
  const old = before === undefined ? undefined : ownable(before);
  const changed = changedFields(old, value, shape);
  const keep = (fields: FieldTree): FieldTree => withoutRemoved(fields, old, value, shape);
  const entries = before === undefined ? [] : entriesOf(before);
  // Owners that were given up are not kept again until the next apply.
  if (before !== undefined && entries.length === 0) return withEntries(after, []);
  const others = entries
    .filter((entry) => !isSameWriter(entry.writer, writer))
    .map((entry) => ({ writer: entry.writer, fields: keep(difference(entry.fields, changed)) }));
  const own = entries.find((entry) => isSameWriter(entry.writer, writer));
  if (own === undefined && isEmptyTree(changed)) return withEntries(after, others);
  const fields = keep(union(own?.fields ?? NO_FIELDS, changed));
  const time = isEmptyTree(changed) ? (own?.writer.time ?? writer.time) : writer.time;
  return withEntries(after, [...others, { writer: { ...writer, time }, fields }]);
}

/**
 * Owners of an object; one of its own for everything in an object that has none, as it is about to
 * get some.
 */
function entriesOrFirst(live: JsonObject, writer: Writer, shape: Shape): Entry[] {
  const entries = entriesOf(live);
  if (entries.length > 0) return entries;
  const first = { ...writer, manager: 'before-first-apply', operation: 'Update' } as const;
  return [{ writer: first, fields: changedFields(undefined, ownable(live), shape) }];
}

/**
 * The object after a server-side apply of `config`. Throws 409 on fields of others, unless
 * `isForced`.
 */
export function applyConfig(
  live: JsonObject | undefined,
  config: JsonObject,
  writer: Writer,
  shape: Shape,
  isForced: boolean,
): JsonObject {
  const wanted = wantedFields(config, shape);
  const old = live === undefined ? [] : entriesOrFirst(live, writer, shape);
  const own = old.find((entry) => isSameWriter(entry.writer, writer))?.fields ?? NO_FIELDS;
  const others = old.filter((entry) => !isSameWriter(entry.writer, writer));
  const merged = mergeValue(live, without(config, 'apiVersion', 'kind'), shape);
  if (!isObject(merged)) throw new TypeError('an object merged into an object is one');
  const before = live === undefined ? undefined : ownable(live);
  const changed = changedFields(before, ownable(merged), shape);
  const contested = others.map((entry) => intersection(changed, entry.fields));
  if (!isForced) refuseContested(others, contested);
  const left = others.map((entry, index) => ({
    writer: entry.writer,
    fields: difference(entry.fields, contested[index] ?? NO_FIELDS),
  }));
  const kept = left.reduce((all, entry) => union(all, entry.fields), wanted);
  const removal = { gone: difference(own, wanted), kept, present: treeOf(merged, shape) };
  const pruned = removeFields(merged, removal, shape);
  const object = {
    ...(isObject(pruned) ? pruned : {}),
    apiVersion: config.apiVersion ?? '',
    kind: config.kind ?? '',
  };
  const rest = left.map(({ writer: other, fields }) => ({
    writer: other,
    fields: withoutRemoved(fields, before, ownable(object), shape),
  }));
  return withEntries(object, [...rest, { writer, fields: wanted }]);
}

function refuseContested(others: readonly Entry[], contested: readonly FieldTree[]): void {
  const causes: StatusCause[] = others.flatMap(({ writer }, index) =>
    leafPaths(contested[index] ?? NO_FIELDS).map((field) => ({
      reason: 'FieldManagerConflict',
      message: `conflict with "${writer.manager}"${
        writer.operation === 'Update' ? ` using ${writer.apiVersion}` : ''
      }`,
      field,
    })),
  );
  if (causes.length > 0) throw applyConflict(causes);
}

function mergeValue(live: Json | undefined, config: Json, shape: Shape): Json {
  if (isObject(config) && isObject(live) && !shape.isAtomicMap) {
    const merged: JsonObject = { ...live };
    for (const [key, value] of Object.entries(config)) {
      merged[key] = mergeValue(live[key], value, shape.member(key));
    }
    return merged;
  }
  if (Array.isArray(config) && Array.isArray(live)) return mergeList(live, config, shape);
  return copy(config);
}

function mergeList(live: Json[], config: Json[], shape: Shape): Json[] {
  const old = partsOf(live, shape);
  const wanted = partsOf(config, shape);
  if (old === undefined || wanted === undefined) return copy(config);
  return mergedOrder([...old.keys()], [...wanted.keys()]).flatMap((name) => {
    const was = old.get(name);
    const update = wanted.get(name);
    if (update === undefined) return was === undefined ? [] : [was.value];
    return [mergeValue(was?.value, update.value, update.shape)];
  });
}

/**
 * Order of a merged list: wanted items in their own order; an item that only the old list has stays
 * before the wanted one that it preceded there, as far as the two orders allow.
 */
export function mergedOrder(old: readonly string[], wanted: readonly string[]): string[] {
  const isWanted = new Set(wanted);
  const isOld = new Set(old);
  const order: string[] = [];
  const rest = [...old];
  for (const [index, name] of wanted.entries()) {
    const nextShared = wanted.slice(index).find((one) => isOld.has(one));
    // Up to the next common item; common items on the way come later or came before.
    while (rest[0] !== undefined && rest[0] !== nextShared) {
      const passed = rest.shift();
      if (passed !== undefined && !isWanted.has(passed)) order.push(passed);
    }
    order.push(name);
    if (name === nextShared) rest.shift();
  }
  return [...order, ...rest.filter((name) => !isWanted.has(name))];
}

interface Removal {
  /** What the manager gave up. */
  readonly gone: FieldTree;
  /** What it and all others have. */
  readonly kept: FieldTree;
  /** What there is. */
  readonly present: FieldTree;
}

/**
 * Takes out what the manager gave up and nobody else has. A member of a struct goes as a whole,
 * with what nobody owns in it, when nothing in it is kept; keys of maps and items of lists go when
 * they themselves are not.
 */
function removeFields(value: Json, o: Removal, shape: Shape): Json {
  const left = (name: string, part: Json, partShape: Shape): Json | undefined => {
    const lost = o.gone.children.get(name);
    const present = o.present.children.get(name);
    if (lost === undefined || present === undefined) return part;
    const others = o.kept.children.get(name) ?? NO_FIELDS;
    const isMember = name.startsWith('f:') && shape.declares(name.slice(2));
    if (isMember ? isEmptyTree(others) : lost.self && !others.self) return undefined;
    if (difference(lost, others).children.size === 0) return part;
    return removeFields(part, { gone: lost, kept: others, present }, partShape);
  };
  // What is emptied but kept by somebody turns into null: the real server does so too.
  if (isObject(value)) {
    const members = Object.entries(value).flatMap(([key, member]) => {
      const rest = left(`f:${key}`, member, shape.member(key));
      return rest === undefined ? [] : [[key, rest] as const];
    });
    return members.length === 0 ? null : Object.fromEntries(members);
  }
  if (!Array.isArray(value)) return value;
  const items = [...(partsOf(value, shape) ?? [])].flatMap(([name, part]) => {
    const rest = left(name, part.value, part.shape);
    return rest === undefined ? [] : [rest];
  });
  return items.length === 0 ? null : items;
}

/** True when two items of a keyed list are the same one. */
export function isSameItem(a: Json, b: Json, keys: readonly string[]): boolean {
  const left = itemKey(a, keys);
  const right = itemKey(b, keys);
  return left !== undefined && right !== undefined && keys.every((key) => left[key] === right[key]);
}
