// Turns a valibot schema into the structural schema (OpenAPI 3.0) that the API server accepts. What
// cannot be expressed there fails here instead of being left out.
import { toJsonSchema } from '@valibot/to-json-schema';
import type { GenericSchema } from 'valibot';

/** A JSON Schema node whose members nobody has looked at. */
export type SchemaNode = Record<string, unknown>;

/** Members that a structural schema may have. */
const KEPT = new Set([
  'type',
  'description',
  'nullable',
  'default',
  'enum',
  'format',
  'pattern',
  'minLength',
  'maxLength',
  'minimum',
  'maximum',
  'minItems',
  'maxItems',
  'maxProperties',
  'required',
  'properties',
  'additionalProperties',
  'items',
  'x-kubernetes-int-or-string',
  'x-kubernetes-list-map-keys',
  'x-kubernetes-list-type',
  'x-kubernetes-preserve-unknown-fields',
  'x-kubernetes-validations',
]);

/** Members that say nothing to the API server. */
const DROPPED = new Set(['$schema', 'examples', 'propertyNames']);

/**
 * The structural schema of what a valibot object schema takes as input, without the members `omit`.
 */
export function toStructuralSchema(
  schema: GenericSchema,
  o: { readonly omit?: readonly string[] } = {},
): SchemaNode {
  const node = { ...toJsonSchema(schema, { typeMode: 'input', target: 'draft-07' }) };
  const members = Object.entries(node.properties ?? {});
  const properties = members.filter(([name]) => !o.omit?.includes(name));
  const required = (node.required ?? []).filter((name) => !o.omit?.includes(name));
  return structural({ ...node, required, properties: Object.fromEntries(properties) }, '$');
}

function structural(source: SchemaNode, path: string): SchemaNode {
  const node: SchemaNode = {};
  for (const [name, value] of Object.entries(source)) {
    if (DROPPED.has(name) || value === undefined) continue;
    if (!KEPT.has(name)) throw new Error(`${path}: ${name} has no structural form`);
    node[name] = value;
  }
  if (node.required !== undefined && isEmpty(node.required)) delete node.required;
  convertMembers(node, path);
  convertItems(node, path);
  if (node.type === undefined && node['x-kubernetes-int-or-string'] !== true) {
    throw new Error(`${path}: no type`);
  }
  return inOrder(node);
}

/**
 * Objects: members are described one by one, or all alike; unknown ones are pruned or preserved.
 */
function convertMembers(node: SchemaNode, path: string): void {
  const { properties, additionalProperties } = node;
  if (isNode(properties)) {
    node.properties = Object.fromEntries(
      Object.entries(properties).map(([name, child]) => [
        name,
        structural(asNode(child, path), `${path}.${name}`),
      ]),
    );
    delete node.additionalProperties;
    if (Object.keys(properties).length === 0) delete node.properties;
  } else if (isNode(additionalProperties)) {
    if (node['x-kubernetes-preserve-unknown-fields'] === true) delete node.additionalProperties;
    else node.additionalProperties = structural(additionalProperties, `${path}.*`);
  }
}

function convertItems(node: SchemaNode, path: string): void {
  if (node.type !== 'array') return;
  node.items = structural(asNode(node.items, path), `${path}[]`);
}

/** Members in the order of `KEPT`, so that generated files do not change without reason. */
function inOrder(node: SchemaNode): SchemaNode {
  const names = [...KEPT].filter((name) => node[name] !== undefined);
  return Object.fromEntries(names.map((name) => [name, node[name]]));
}

function isNode(value: unknown): value is SchemaNode {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function asNode(value: unknown, path: string): SchemaNode {
  if (isNode(value)) return value;
  throw new Error(`${path}: not a schema`);
}

function isEmpty(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}
