// Test equipment: the patch formats other than server-side apply: RFC 7386 merge, RFC 6902 JSON
// patch, and the strategic merge that kubectl sends for built-in kinds.
import { isSameItem } from './apply.ts';
import { copy, isEqual, isObject, type Json, type JsonObject, without } from './json.ts';
import type { Shape } from './shape.ts';
import { badRequest } from './status.ts';

const OPERATIONS_MAX = 10_000; // as the real server

/** RFC 7386. */
export function mergePatch(value: Json | undefined, patch: Json): Json {
  if (!isObject(patch)) return copy(patch);
  const merged: JsonObject = isObject(value) ? { ...value } : {};
  for (const [key, member] of Object.entries(patch)) {
    if (member === null) delete merged[key];
    else merged[key] = mergePatch(merged[key], member);
  }
  return merged;
}

/** Thrown where an operation does not fit the document; the server answers 422. */
export class PatchMismatch extends Error {
  override readonly name = 'PatchMismatch';
}

/**
 * RFC 6902, all or nothing. Throws 400 on a malformed patch, PatchMismatch where it does not fit.
 */
export function jsonPatch(value: JsonObject, patch: Json): Json {
  if (!Array.isArray(patch)) throw badRequest('a JSON patch is a list of operations');
  if (patch.length > OPERATIONS_MAX) throw badRequest(`more than ${OPERATIONS_MAX} operations`);
  const root = { document: copy<Json>(value) };
  for (const operation of patch) {
    if (!isObject(operation)) throw badRequest('an operation of a JSON patch is an object');
    applyOperation(root, operation);
  }
  return root.document;
}

function applyOperation(root: { document: Json }, operation: JsonObject): void {
  const path = pointerOf(operation, 'path');
  switch (operation.op) {
    case 'test':
      if (!isEqual(readExisting(root, path), operation.value ?? null)) {
        throw new PatchMismatch(`testing value ${String(operation.path)} failed`);
      }
      return;
    case 'add':
      insert(root, path, copy(operation.value ?? null));
      return;
    case 'remove':
      take(root, path);
      return;
    case 'replace':
      replace(root, path, copy(operation.value ?? null));
      return;
    case 'move':
      insert(root, path, take(root, pointerOf(operation, 'from')));
      return;
    case 'copy':
      insert(root, path, copy(read(root.document, pointerOf(operation, 'from')) ?? null));
      return;
    default:
      throw badRequest(`unknown operation ${String(operation.op)} in a JSON patch`);
  }
}

function pointerOf(operation: JsonObject, member: 'path' | 'from'): string[] {
  const text = operation[member];
  if (typeof text !== 'string' || (text !== '' && !text.startsWith('/'))) {
    throw badRequest(`'${member}' of a JSON patch operation is not a JSON pointer`);
  }
  const steps = text.split('/').slice(1);
  return steps.map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function read(value: Json, path: readonly string[]): Json | undefined {
  let current: Json | undefined = value;
  for (const step of path) current = memberOf(current, step);
  return current;
}

function memberOf(value: Json | undefined, step: string): Json | undefined {
  if (Array.isArray(value)) return /^(0|[1-9]\d*)$/.test(step) ? value[Number(step)] : undefined;
  return isObject(value) && Object.hasOwn(value, step) ? value[step] : undefined;
}

/** The container that the last step of a path leads into. */
function parentOf(root: { document: Json }, path: readonly string[]): Json[] | JsonObject {
  const parent = read(root.document, path.slice(0, -1));
  if (isObject(parent) || Array.isArray(parent)) return parent;
  throw new PatchMismatch(`the path /${path.join('/')} leads nowhere`);
}

/** Like the library of the real server: an absent member of an object that exists is null. */
function readExisting(root: { document: Json }, path: readonly string[]): Json {
  const value = read(root.document, path);
  if (value !== undefined) return value;
  if (isObject(parentOf(root, path))) return null;
  throw new PatchMismatch(`nothing at /${path.join('/')}`);
}

function insert(root: { document: Json }, path: readonly string[], value: Json): void {
  const last = path.at(-1);
  if (last === undefined) {
    root.document = value;
    return;
  }
  const parent = parentOf(root, path);
  if (isObject(parent)) {
    parent[last] = value;
    return;
  }
  const index = last === '-' ? parent.length : Number(last);
  if (!Number.isInteger(index) || index < 0 || index > parent.length) {
    throw new PatchMismatch(`no index ${last} in the list at /${path.slice(0, -1).join('/')}`);
  }
  parent.splice(index, 0, value);
}

/** The real server's library lets an absent member of an object be replaced, against the RFC. */
function replace(root: { document: Json }, path: readonly string[], value: Json): void {
  if (path.length > 0 && isObject(parentOf(root, path))) insert(root, path, value);
  else {
    take(root, path);
    insert(root, path, value);
  }
}

function take(root: { document: Json }, path: readonly string[]): Json {
  const last = path.at(-1);
  const value = read(root.document, path);
  if (value === undefined) throw new PatchMismatch(`nothing at /${path.join('/')}`);
  if (last === undefined) {
    root.document = null;
    return value;
  }
  const parent = parentOf(root, path);
  if (isObject(parent)) delete parent[last];
  else parent.splice(Number(last), 1);
  return value;
}

const DIRECTIVES = ['$patch', '$retainKeys'];
const isDirective = (key: string): boolean =>
  DIRECTIVES.includes(key) || /^\$(setElementOrder|deleteFromPrimitiveList)\//.test(key);

/** The strategic merge of built-in kinds. The order asked for by `$setElementOrder` is not kept. */
export function strategicMerge(value: Json | undefined, patch: Json, shape: Shape): Json {
  if (!isObject(patch)) return copy(patch);
  if (patch.$patch === 'replace') return without(patch, '$patch');
  const merged: JsonObject = isObject(value) ? { ...value } : {};
  for (const [key, member] of Object.entries(patch)) {
    if (isDirective(key)) continue;
    if (member === null || (isObject(member) && member.$patch === 'delete')) delete merged[key];
    else merged[key] = strategicMember(merged[key], member, shape.member(key));
  }
  removeElements(merged, patch);
  return retain(merged, patch);
}

function strategicMember(value: Json | undefined, patch: Json, shape: Shape): Json {
  if (!Array.isArray(patch) || !Array.isArray(value)) return strategicMerge(value, patch, shape);
  if (patch.some((item) => isObject(item) && item.$patch === 'replace')) {
    return patch.filter((item) => !(isObject(item) && item.$patch === 'replace'));
  }
  const rule = shape.list;
  if (rule.type === 'set') {
    return [...value, ...patch.filter((item) => !value.some((old) => isEqual(old, item)))];
  }
  if (rule.type !== 'map') return copy(patch);
  // kubectl merges ports and the like by the first key alone.
  const keys = rule.keys.slice(0, 1);
  let merged = [...value];
  for (const item of patch) {
    const index = merged.findIndex((old) => isSameItem(old, item, keys));
    if (isObject(item) && item.$patch === 'delete') {
      merged = merged.filter((old) => !isSameItem(old, item, keys));
    } else if (index < 0) merged.push(copy(item));
    else merged[index] = strategicMerge(merged[index], item, shape.item());
  }
  return merged;
}

function removeElements(merged: JsonObject, patch: JsonObject): void {
  for (const [key, gone] of Object.entries(patch)) {
    const name = /^\$deleteFromPrimitiveList\/(.+)$/.exec(key)?.[1];
    const list = name === undefined ? undefined : merged[name];
    if (name === undefined || !Array.isArray(list) || !Array.isArray(gone)) continue;
    merged[name] = list.filter((item) => !gone.some((one) => isEqual(one, item)));
  }
}

function retain(merged: JsonObject, patch: JsonObject): JsonObject {
  const keys = patch.$retainKeys;
  if (!Array.isArray(keys)) return merged;
  return Object.fromEntries(Object.entries(merged).filter(([key]) => keys.includes(key)));
}
