// Test equipment: sets of fields as trees, in the vocabulary of managedFields (FieldsV1): `f:` a
// member, `k:` a list item by its keys, `v:` an element of a set, `.` the place itself.
import { isEqual, isObject, type Json, type JsonObject, toCanonicalText } from './json.ts';
import { itemKey, type Shape } from './shape.ts';

export interface FieldTree {
  /** The place itself belongs to the set. */
  readonly self: boolean;
  readonly children: ReadonlyMap<string, FieldTree>;
}

export const NO_FIELDS: FieldTree = { self: false, children: new Map() };
const LEAF: FieldTree = { self: true, children: new Map() };

export function isEmptyTree(tree: FieldTree): boolean {
  return !tree.self && tree.children.size === 0;
}

/**
 * The parts of a value that can be owned separately, with the name of each. Undefined for a leaf.
 */
export function partsOf(value: Json | undefined, shape: Shape): Map<string, Part> | undefined {
  if (isObject(value)) return shape.isAtomicMap ? undefined : membersOf(value, shape);
  if (!Array.isArray(value)) return undefined;
  const rule = shape.list;
  if (rule.type === 'set') {
    return new Map(
      value.map((item) => [`v:${toCanonicalText(item)}`, { value: item, shape: SCALAR }]),
    );
  }
  if (rule.type !== 'map') return undefined;
  const parts = new Map<string, Part>();
  for (const item of value) {
    const key = itemKey(item, rule.keys);
    if (key === undefined) return undefined; // not a keyed list after all
    parts.set(`k:${toCanonicalText(key)}`, { value: item, shape: shape.item() });
  }
  return parts;
}

interface Part {
  readonly value: Json;
  readonly shape: Shape;
}

const NO_PARTS: ReadonlyMap<string, Part> = new Map();

const SCALAR: Shape = {
  list: { type: 'atomic' },
  isAtomicMap: true,
  isAlwaysThere: false,
  declares: () => true,
  member: () => SCALAR,
  item: () => SCALAR,
};

function membersOf(value: JsonObject, shape: Shape): Map<string, Part> {
  return new Map(
    Object.entries(value).map(([key, member]) => [
      `f:${key}`,
      { value: member, shape: shape.member(key) },
    ]),
  );
}

/**
 * All fields of a value. Items of keyed lists belong to it as such, objects only through their
 * members; an empty object is a field, an empty list of items is none.
 */
export function treeOf(value: Json, shape: Shape): FieldTree {
  const parts = partsOf(value, shape);
  if (parts?.size === 0 && Array.isArray(value)) return NO_FIELDS;
  if (parts === undefined || parts.size === 0) return LEAF;
  const children = new Map<string, FieldTree>();
  for (const [name, part] of parts) {
    const child = treeOf(part.value, part.shape);
    const isItself =
      name.startsWith('k:') || (name.startsWith('f:') && !shape.declares(name.slice(2)));
    if (isItself) children.set(name, { ...child, self: true });
    else if (!isEmptyTree(child)) children.set(name, child);
  }
  return { self: false, children };
}

/**
 * Fields that are new or different in `after`. Maps and lists that are new as such count themselves
 * too; null counts as an empty one where the other value is one with parts.
 */
export function changedFields(before: Json | undefined, after: Json, shape: Shape): FieldTree {
  if (isEqual(before, after)) return NO_FIELDS;
  const old = partsOf(before, shape) ?? NO_PARTS;
  const parts = partsOf(after, shape) ?? NO_PARTS;
  const children = new Map<string, FieldTree>();
  for (const [name, part] of parts) {
    const child = changedFields(old.get(name)?.value, part.value, part.shape);
    const isNewItem = !old.has(name) && name.startsWith('k:');
    const tree = isNewItem ? { ...child, self: true } : child;
    if (!isEmptyTree(tree)) children.set(name, tree);
  }
  if (before === undefined) return { self: isLeaf(after, shape) || !shape.isAlwaysThere, children };
  const isEmpty = old.size === 0 && parts.size === 0;
  return { self: isEmpty || isLeaf(before, shape) || isLeaf(after, shape), children };
}

/** Whether a value is a field as a whole; null is whatever it is compared with. */
function isLeaf(value: Json, shape: Shape): boolean {
  return value !== null && partsOf(value, shape) === undefined;
}

/** Fields that `before` has and `after` has no more. */
export function removedFields(before: Json, after: Json, shape: Shape): FieldTree {
  return difference(changedFields(after, before, shape), changedFields(before, after, shape));
}

/** The value without some fields. What is emptied turns into null: the real server does so too. */
export function withoutFields(value: Json, gone: FieldTree, shape: Shape): Json {
  if (!isObject(value) && !Array.isArray(value)) return value;
  const kept: [string, Json][] = [];
  for (const [name, part] of partsOf(value, shape) ?? []) {
    const lost = gone.children.get(name) ?? NO_FIELDS;
    if (lost.self) continue;
    const isWhole = lost.children.size === 0;
    kept.push([name, isWhole ? part.value : withoutFields(part.value, lost, part.shape)]);
  }
  if (kept.length === 0) return null;
  if (Array.isArray(value)) return kept.map(([, item]) => item);
  return Object.fromEntries(kept.map(([name, member]) => [name.slice('f:'.length), member]));
}

/** The tree with each member of a struct that it has something below of. */
export function withStructs(tree: FieldTree, shape: Shape): FieldTree {
  const children = new Map<string, FieldTree>();
  for (const [name, child] of tree.children) {
    const key = name.startsWith('f:') ? name.slice(2) : undefined;
    const below = withStructs(child, key === undefined ? shape.item() : shape.member(key));
    const isStruct = key !== undefined && child.children.size > 0 && shape.declares(key);
    children.set(name, isStruct ? { ...below, self: true } : below);
  }
  return { self: tree.self, children };
}

export function union(a: FieldTree, b: FieldTree): FieldTree {
  const children = new Map(a.children);
  for (const [name, child] of b.children) {
    const known = children.get(name);
    children.set(name, known === undefined ? child : union(known, child));
  }
  return { self: a.self || b.self, children };
}

/** What is in `a` and not in `b`. */
export function difference(a: FieldTree, b: FieldTree): FieldTree {
  const children = new Map<string, FieldTree>();
  for (const [name, child] of a.children) {
    const other = b.children.get(name);
    const rest = other === undefined ? child : difference(child, other);
    if (!isEmptyTree(rest)) children.set(name, rest);
  }
  return { self: a.self && !b.self, children };
}

/** What is in both. */
export function intersection(a: FieldTree, b: FieldTree): FieldTree {
  const children = new Map<string, FieldTree>();
  for (const [name, child] of a.children) {
    const other = b.children.get(name);
    const both = other === undefined ? NO_FIELDS : intersection(child, other);
    if (!isEmptyTree(both)) children.set(name, both);
  }
  return { self: a.self && b.self, children };
}

/** Dotted names of the leaves, as in conflict messages. */
export function leafPaths(tree: FieldTree, prefix = ''): string[] {
  const own = tree.self ? [prefix] : [];
  const below = [...tree.children].flatMap(([name, child]) =>
    leafPaths(child, `${prefix}${toPathStep(name)}`),
  );
  return tree.children.size > 0 ? below : own;
}

function toPathStep(name: string): string {
  if (name.startsWith('f:')) return `.${name.slice(2)}`;
  if (name.startsWith('v:')) return `[=${name.slice(2)}]`;
  return name.replace(/^k:\{(.*)\}$/, '[$1]').replace(/"(\w+)":/g, '$1=');
}

export function toFieldsV1(tree: FieldTree): JsonObject {
  const own: JsonObject = tree.self && tree.children.size > 0 ? { '.': {} } : {};
  const below = [...tree.children].map(([name, child]) => [name, toFieldsV1(child)]);
  return { ...own, ...Object.fromEntries(below) };
}

export function fromFieldsV1(fields: JsonObject): FieldTree {
  const children = new Map<string, FieldTree>();
  for (const [name, below] of Object.entries(fields)) {
    if (name !== '.' && isObject(below)) children.set(name, fromFieldsV1(below));
  }
  return { self: children.size === 0 || '.' in fields, children };
}
