// Test equipment: server-side apply reads its configuration by the schema, and answers 500 when it
// does not fit at all.
import { isEqual, isObject, type Json, type JsonObject, listAt, objectAt, textAt } from './json.ts';
import { itemKey, type Shape } from './shape.ts';
import { ApiFailure } from './status.ts';

/**
 * Refuses a configuration with undeclared fields, values of another sort, or list items without
 * identity.
 */
export function checkTyped(config: JsonObject, schema: JsonObject, name: string): void {
  const { apiVersion: _apiVersion, kind: _kind, metadata: _metadata, ...body } = config;
  const properties = Object.entries(objectAt(schema, 'properties'));
  const own = properties.filter(([key]) => !['apiVersion', 'kind', 'metadata'].includes(key));
  refuse(config, name, faultsOf(body, { ...schema, properties: Object.fromEntries(own) }, ''));
}

/** The same for a kind of which only the shape is known: items that are there twice. */
export function checkShape(config: JsonObject, shape: Shape, name: string): void {
  refuse(config, name, repeatedIn(config, shape, ''));
}

function refuse({ apiVersion, kind }: JsonObject, name: string, faults: readonly string[]): void {
  if (faults.length === 0) return;
  const what = `failed to create typed patch object (${name}; ${apiVersion}, Kind=${kind})`;
  const reason = faults.length === 1 ? faults[0] : `errors:\n  ${faults.join('\n  ')}`;
  throw new ApiFailure({
    code: 500,
    reason: '',
    message: `${what}: ${reason}`,
  });
}

function repeatedIn(value: Json, shape: Shape, path: string): string[] {
  if (isObject(value)) {
    return Object.entries(value).flatMap(([key, member]) =>
      repeatedIn(member, shape.member(key), `${path}.${key}`),
    );
  }
  if (!Array.isArray(value)) return [];
  const { list } = shape;
  const keys = list.type === 'map' ? value.map((item) => itemKey(item, list.keys)) : [];
  const below = value.flatMap((item, index) =>
    repeatedIn(item, shape.item(), `${path}[${JSON.stringify(keys[index] ?? index)}]`),
  );
  return [...below, ...repeated(keys, path)];
}

function faultsOf(value: Json, schema: JsonObject, path: string): string[] {
  if (value === null) return [];
  if (schema['x-kubernetes-int-or-string'] === true) return [];
  switch (textAt(schema, 'type')) {
    case 'object':
      return isObject(value)
        ? memberFaults(value, schema, path)
        : [`${path}: expected map, got ${show(value)}`];
    case 'array':
      return Array.isArray(value)
        ? itemFaults(value, schema, path)
        : [`${path}: expected list, got ${show(value)}`];
    case 'integer':
    case 'number':
      return typeof value === 'number'
        ? []
        : [`${path}: expected numeric (int or float), got ${typeof value}`];
    case 'string':
      return typeof value === 'string' ? [] : [`${path}: expected string, got ${show(value)}`];
    case 'boolean':
      return typeof value === 'boolean' ? [] : [`${path}: expected boolean, got ${show(value)}`];
    default:
      return [];
  }
}

const show = (value: Json): string => `&{${JSON.stringify(value)}}`;

function memberFaults(value: JsonObject, schema: JsonObject, path: string): string[] {
  const properties = objectAt(schema, 'properties');
  const others = schema.additionalProperties;
  const isOpen = schema['x-kubernetes-preserve-unknown-fields'] === true || others === true;
  return Object.entries(value).flatMap(([key, member]) => {
    const place = `${path}.${key}`;
    const own = properties[key];
    if (isObject(own)) return faultsOf(member, own, place);
    if (isObject(others)) return faultsOf(member, others, place);
    return isOpen ? [] : [`${place}: field not declared in schema`];
  });
}

function itemFaults(value: Json[], schema: JsonObject, path: string): string[] {
  const items = objectAt(schema, 'items');
  const below = value.flatMap((item, index) => faultsOf(item, items, `${path}[${index}]`));
  return [...below, ...identityFaults(value, schema, path)];
}

function identityFaults(value: Json[], schema: JsonObject, path: string): string[] {
  const type = schema['x-kubernetes-list-type'];
  if (type !== 'set' && type !== 'map') return [];
  const keys = listAt(schema, 'x-kubernetes-list-map-keys').filter(
    (key) => typeof key === 'string',
  );
  const identities = value.map((item) => (type === 'set' ? item : itemKey(item, keys)));
  if (identities.includes(undefined)) {
    return [`${path}: associative list with keys has an element that omits key field`];
  }
  return repeated(identities, path);
}

function repeated(identities: readonly (Json | undefined)[], path: string): string[] {
  return identities.flatMap((one, index) =>
    one !== undefined && identities.slice(0, index).some((other) => isEqual(one, other))
      ? [`${path}: duplicate entries for key ${JSON.stringify(one)}`]
      : [],
  );
}
