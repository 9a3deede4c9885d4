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
  isEqual,
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
  /** '' when it has never changed anything, only applied what was there. */
  readonly time: string;
}

/** A way of writing to objects of a kind. */
export interface Access {
  readonly writer: Writer;
  readonly shape: Shape;
  /** Members of the object that stay as they are, whatever is asked for. */
  readonly fixed: readonly string[];
}

export interface Owner {
  readonly writer: Writer;
  readonly fields: FieldTree;
}

/** Members of metadata that nobody owns. Others have owners though only the server writes them. */
const UNOWNED_METADATA = [
  'name',
  'namespace',
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'managedFields',
  'selfLink',
];

/** The fields without those that nobody owns or that cannot be written this way. */
function ownable(fields: FieldTree, fixed: readonly string[]): FieldTree {
  const children = new Map(fields.children);
  const metadata = new Map(children.get('f:metadata')?.children);
  for (const key of UNOWNED_METADATA) metadata.delete(`f:${key}`);
  for (const key of ['apiVersion', 'kind', 'metadata']) children.delete(`f:${key}`);
  if (metadata.size > 0) children.set('f:metadata', { self: false, children: metadata });
  for (const key of fixed) children.delete(`f:${key}`);
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

/** Who owns what of an object, by its managedFields. */
export function ownersOf(object: JsonObject): Owner[] {
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

/** Text by which owners are in order: who has not written for long comes first. */
function rankOf({ writer }: Owner): string {
  const { operation, time, manager, apiVersion, subresource } = writer;
  return [operation, time, manager, apiVersion, subresource].join('\n');
}

export function withOwners(object: JsonObject, owners: readonly Owner[]): JsonObject {
  const managedFields = owners
    .filter((owner) => !isEmptyTree(owner.fields))
    .sort((a, b) => (rankOf(a) < rankOf(b) ? -1 : 1))
    .map(({ writer, fields }) => ({
      manager: writer.manager,
      operation: writer.operation,
      apiVersion: writer.apiVersion,
      ...(writer.time === '' ? {} : { time: writer.time }),
      fieldsType: 'FieldsV1',
      fieldsV1: toFieldsV1(fields),
      ...(writer.subresource === '' ? {} : { subresource: writer.subresource }),
    }));
  const metadata = without(objectAt(object, 'metadata'), 'managedFields');
  const owned = managedFields.length === 0 ? {} : { managedFields };
  return { ...object, metadata: { ...metadata, ...owned } };
}

interface Change {
  /** New or different. */
  readonly changed: FieldTree;
  /** That, and what is no more: nobody else has it afterwards. */
  readonly lost: FieldTree;
}

function changeOf(before: JsonObject, after: JsonObject, { shape, fixed }: Access): Change {
  const changed = ownable(changedFields(before, after, shape), fixed);
  const removed = ownable(removedFields(before, after, shape), fixed);
  return { changed, lost: union(changed, removed) };
}

/**
 * Owners after a create, replace or patch: changed fields change hands, vanished ones belong to
 * nobody.
 */
export function ownersAfterUpdate(
  before: JsonObject | undefined,
  after: JsonObject,
  access: Access,
): Owner[] {
  const old = before === undefined ? [] : ownersOf(before);
  // Owners that were given up are not kept again until the next apply.
  if (before !== undefined && old.length === 0) return [];
  const { changed, lost } = changeOf(before ?? {}, after, access);
  const left = old.map((owner) => ({ ...owner, fields: difference(owner.fields, lost) }));
  if (isEmptyTree(changed)) return left;
  const { writer } = access;
  const others = left.filter((owner) => !isSameWriter(owner.writer, writer));
  const own = left.find((owner) => isSameWriter(owner.writer, writer))?.fields ?? NO_FIELDS;
  return [...others, { writer, fields: union(own, changed) }];
}

/** The object with an owner of all that is in it, if it has none: it is about to get others. */
function withFirstOwner(object: JsonObject, access: Access): JsonObject {
  if (ownersOf(object).length > 0) return object;
  const { changed: fields } = changeOf({}, object, access);
  const first = { manager: 'before-first-apply', operation: 'Update' } as const;
  return withOwners(object, [{ writer: { ...access.writer, ...first }, fields }]);
}

/**
 * The object after a server-side apply of `config`. Throws 409 on fields of others, unless
 * `isForced`.
 */
export function applyConfig(
  known: JsonObject | undefined,
  config: JsonObject,
  access: Access,
  isForced: boolean,
): JsonObject {
  const { writer, shape, fixed } = access;
  const live = known === undefined ? {} : withFirstOwner(known, access);
  const old = ownersOf(live);
  const own = old.find((owner) => isSameWriter(owner.writer, writer));
  const others = old.filter((owner) => owner !== own);
  const wanted = treeOf(config, shape);
  const kept = others.reduce((all, owner) => union(all, owner.fields), wanted);
  const merged = mergeValue(live, config, shape);
  const object = withoutGone(merged, own?.fields ?? NO_FIELDS, kept, shape);
  if (!isObject(object)) throw new TypeError('an object merged into an object is one');
  const { changed, lost } = changeOf(live, object, access);
  const contested = others.map((owner) => intersection(changed, owner.fields));
  if (!isForced) refuseContested(others, contested);
  const left = others.map((owner) => ({ ...owner, fields: difference(owner.fields, lost) }));
  const time = isEqual(live, object) ? (own?.writer.time ?? '') : writer.time;
  const fields = ownable(wanted, fixed);
  return withOwners(object, [...left, { writer: { ...writer, time }, fields }]);
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

function refuseContested(others: readonly Owner[], contested: readonly FieldTree[]): void {
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
