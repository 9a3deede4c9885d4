// Test equipment: server-side apply reads its configuration by the schema, and answers 500 when it
// does not fit at all.
import { isEqual, isObject, type Json, type JsonObject, listAt, objectAt, textAt } from './json.ts';
import { itemKey } from './shape.ts';
import { ApiFailure } from './status.ts';

/**
 * Refuses a configuration with undeclared fields, values of another sort, or list items without
 * identity.
 */
export function checkTyped(config: JsonObject, schema: JsonObject, name: string): void {
  const { apiVersion, kind, metadata: _metadata, ...body } = config;
  const properties = Object.entries(objectAt(schema, 'properties'));
  const own = properties.filter(([key]) => !['apiVersion', 'kind', 'metadata'].includes(key));
  const faults = faultsOf(body, { ...schema, properties: Object.fromEntries(own) }, '');
  if (faults.length === 0) return;
  const what = `failed to create typed patch object (/${name}; ${apiVersion}, Kind=${kind})`;
  const reason = faults.length === 1 ? faults[0] : `errors:\n  ${faults.join('\n  ')}`;
  throw new ApiFailure({
    code: 500,
    reason: '',
    message: `${what}: ${reason}`,
  });
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
  return identities.flatMap((one, index) =>
    identities.slice(0, index).some((other) => isEqual(one, other))
      ? [`${path}: duplicate entries for key ${JSON.stringify(one)}`]
      : [],
  );
}
