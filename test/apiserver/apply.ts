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
  removedFields,
  toFieldsV1,
  treeOf,
  union,
  withoutFields,
  withStructs,
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

/** The fields without those that have no owner. */
function ownable(fields: FieldTree): FieldTree {
  const children = new Map(fields.children);
  const metadata = new Map(children.get('f:metadata')?.children);
  for (const key of UNOWNED_METADATA) metadata.delete(`f:${key}`);
  for (const key of ['apiVersion', 'kind', 'metadata']) children.delete(`f:${key}`);
  if (metadata.size > 0) children.set('f:metadata', { self: false, children: metadata });
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
  const old = before === undefined ? [] : entriesOf(before);
  // Owners that were given up are not kept again until the next apply.
  if (before !== undefined && old.length === 0) return withEntries(after, []);
  const changed = ownable(changedFields(before ?? {}, after, shape));
  const lost = union(changed, removedFields(before ?? {}, after, shape));
  const entries = old.map((entry) => ({ ...entry, fields: difference(entry.fields, lost) }));
  if (isEmptyTree(changed)) return withEntries(after, entries);
  const others = entries.filter((entry) => !isSameWriter(entry.writer, writer));
  const own = entries.find((entry) => isSameWriter(entry.writer, writer))?.fields ?? NO_FIELDS;
  return withEntries(after, [...others, { writer, fields: union(own, changed) }]);
}

/**
 * Owners of an object; one of its own for everything in an object that has none, as it is about to
 * get some.
 */
function entriesOrFirst(live: JsonObject, writer: Writer, shape: Shape): Entry[] {
  const entries = entriesOf(live);
  if (entries.length > 0) return entries;
  const first = { ...writer, manager: 'before-first-apply', operation: 'Update' } as const;
  return [{ writer: first, fields: ownable(changedFields({}, live, shape)) }];
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
  const old = live === undefined ? [] : entriesOrFirst(live, writer, shape);
  const last = old.find((entry) => isSameWriter(entry.writer, writer))?.fields ?? NO_FIELDS;
  const others = old.filter((entry) => !isSameWriter(entry.writer, writer));
  const wanted = treeOf(config, shape);
  const kept = others.reduce((all, entry) => union(all, entry.fields), wanted);
  const object = withoutGone(mergeValue(live, config, shape), last, kept, shape);
  if (!isObject(object)) throw new TypeError('an object merged into an object is one');
  const changed = changedFields(live ?? {}, object, shape);
  const contested = others.map((entry) => intersection(changed, entry.fields));
  if (!isForced) refuseContested(others, contested);
  const lost = union(changed, removedFields(live ?? {}, object, shape));
  const left = others.map((entry) => ({ ...entry, fields: difference(entry.fields, lost) }));
  return withEntries(object, [...left, { writer, fields: ownable(wanted) }]);
}

/**
 * Takes out what the manager had applied before (`last`) and neither it nor anybody else has now
 * (`kept`). A struct goes as a whole when nothing is left in it that a manager could have: an empty
 * list of items does not hold it.
 */
function withoutGone(merged: Json, last: FieldTree, kept: FieldTree, shape: Shape): Json {
  if (isEmptyTree(last)) return merged;
  const fieldsOf = (value: Json): FieldTree => withStructs(treeOf(value, shape), shape);
  const all = fieldsOf(merged);
  const gone = withStructs(last, shape);
  const untouched = fieldsOf(withoutFields(merged, gone, shape));
  const held = union(untouched, withStructs(kept, shape));
  const left = fieldsOf(withoutFields(merged, difference(all, held), shape));
  return withoutFields(merged, intersection(difference(all, left), gone), shape);
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
  if (live === undefined) return copy(config);
  const old = partsOf(live, shape);
  // Nothing to merge keeps what there is, but takes the place of what is empty.
  if (config === null) return old !== undefined && old.size > 0 ? live : null;
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

/** True when two items of a keyed list are the same one. */
export function isSameItem(a: Json, b: Json, keys: readonly string[]): boolean {
  const left = itemKey(a, keys);
  const right = itemKey(b, keys);
  return left !== undefined && right !== undefined && keys.every((key) => left[key] === right[key]);
}
