// Test equipment: structural schemas of custom kinds: pruning, defaults, and finding unknown
// fields. Checking values is in schema-check.ts. CEL rules (x-kubernetes-validations) are not
// evaluated.
import { copy, isObject, type Json, type JsonObject, listAt, objectAt } from './json.ts';

const PRESERVE = 'x-kubernetes-preserve-unknown-fields';

/** The frame that every object has, whatever its schema says. */
const FRAME = new Set(['apiVersion', 'kind', 'metadata']);

const METADATA = new Set([
  'annotations',
  'creationTimestamp',
  'deletionGracePeriodSeconds',
  'deletionTimestamp',
  'finalizers',
  'generateName',
  'generation',
  'labels',
  'managedFields',
  'name',
  'namespace',
  'ownerReferences',
  'resourceVersion',
  'selfLink',
  'uid',
]);

export interface Pruned {
  readonly object: JsonObject;
  /** Dotted names of what was dropped. */
  readonly unknown: string[];
}

/**
 * Drops what the schema does not know. A null that is not nullable is dropped where a default
 * stands for it.
 */
export function prune(object: JsonObject, schema: JsonObject): Pruned {
  const unknown: string[] = [];
  const body = Object.fromEntries(Object.entries(object).filter(([key]) => !FRAME.has(key)));
  const frame = Object.fromEntries(Object.entries(object).filter(([key]) => FRAME.has(key)));
  const pruned = pruneValue(body, schema, '', unknown);
  const metadata = objectAt(object, 'metadata');
  for (const key of Object.keys(metadata)) {
    if (!METADATA.has(key)) unknown.push(`metadata.${key}`);
  }
  const known = Object.entries(metadata).filter(([key]) => METADATA.has(key));
  const rest = isObject(pruned) ? pruned : {};
  return { object: { ...frame, ...rest, metadata: Object.fromEntries(known) }, unknown };
}

function pruneValue(value: Json, schema: JsonObject, path: string, unknown: string[]): Json {
  if (Array.isArray(value)) {
    const items = objectAt(schema, 'items');
    return value.map((item, index) => pruneValue(item, items, `${path}[${index}]`, unknown));
  }
  if (!isObject(value)) return value;
  const properties = objectAt(schema, 'properties');
  const others = schema.additionalProperties;
  const keepsOthers = schema[PRESERVE] === true || others === true;
  const kept: JsonObject = {};
  for (const [key, member] of Object.entries(value)) {
    const place = path === '' ? key : `${path}.${key}`;
    const own = properties[key];
    if (isObject(own)) kept[key] = pruneValue(member, own, place, unknown);
    else if (isObject(others)) kept[key] = pruneValue(member, others, place, unknown);
    else if (keepsOthers) kept[key] = member;
    else unknown.push(place);
  }
  return kept;
}

/**
 * Drops members that are null where the schema neither allows that nor has a default to put there.
 * Done when an object is read from a request, not to the result of a server-side apply.
 */
export function dropNulls(value: Json, schema: JsonObject): Json {
  if (Array.isArray(value)) {
    const items = objectAt(schema, 'items');
    return value.map((item) => dropNulls(item, items));
  }
  if (!isObject(value)) return value;
  const properties = objectAt(schema, 'properties');
  const others = schema.additionalProperties;
  const kept = Object.entries(value).flatMap(([key, member]) => {
    const own = properties[key] ?? others;
    if (!isObject(own)) return [[key, member] as const];
    const isMisplaced = member === null && own.nullable !== true && own.default === undefined;
    return isMisplaced ? [] : [[key, dropNulls(member, own)] as const];
  });
  return Object.fromEntries(kept);
}

/** Fills in defaults, also inside of what was filled in. */
export function fillDefaults(value: Json, schema: JsonObject): Json {
  if (Array.isArray(value)) {
    const items = objectAt(schema, 'items');
    return value.map((item) => fillDefaults(item, items));
  }
  if (!isObject(value)) return value;
  const properties = objectAt(schema, 'properties');
  const others = objectAt(schema, 'additionalProperties');
  const filled: JsonObject = { ...value };
  for (const [key, own] of Object.entries(properties)) {
    const member = isObject(own) ? defaulted(filled[key], own) : filled[key];
    if (member !== undefined) filled[key] = member;
  }
  for (const [key, member] of Object.entries(value)) {
    if (!(key in properties)) filled[key] = fillDefaults(member, others);
  }
  return filled;
}

function defaulted(member: Json | undefined, own: JsonObject): Json | undefined {
  const isNullLeftOut = member === null && own.nullable !== true;
  const present = member === undefined || isNullLeftOut ? own.default : member;
  if (present === undefined) return member;
  return fillDefaults(copy(present), own);
}

/** What the server itself refuses in a schema; only the mistakes that are easily made. */
export function structuralFaults(schema: JsonObject, path: string): string[] {
  const faults: string[] = [];
  const isTyped = typeof schema.type === 'string' || schema['x-kubernetes-int-or-string'] === true;
  if (!isTyped && schema[PRESERVE] !== true) faults.push(`${path}.type: Required value`);
  if ('$ref' in schema) faults.push(`${path}.$ref: Forbidden: $ref is not supported`);
  if (schema.additionalProperties !== undefined && schema.properties !== undefined) {
    faults.push(`${path}.additionalProperties: Forbidden: it is mutual exclusive with properties`);
  }
  if (schema.type === 'array' && !isObject(schema.items)) {
    faults.push(`${path}.items: Required value: must be specified`);
  }
  const isKeyed = schema['x-kubernetes-list-type'] === 'map';
  if (isKeyed && listAt(schema, 'x-kubernetes-list-map-keys').length === 0) {
    faults.push(`${path}.x-kubernetes-list-map-keys: Required value`);
  }
  return [...faults, ...faultsBelow(schema, path)];
}

function faultsBelow(schema: JsonObject, path: string): string[] {
  const faults: string[] = [];
  const others = schema.additionalProperties;
  for (const [key, own] of Object.entries(objectAt(schema, 'properties'))) {
    if (isObject(own)) faults.push(...structuralFaults(own, `${path}.properties[${key}]`));
  }
  if (isObject(schema.items)) faults.push(...structuralFaults(schema.items, `${path}.items`));
  if (isObject(others)) faults.push(...structuralFaults(others, `${path}.additionalProperties`));
  return faults;
}
