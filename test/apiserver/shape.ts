// Test equipment: how a value merges at each place of an object: which lists have keys, what is
// replaced as a whole. For custom kinds the schema says it; for built-in ones a short table by
// field name does, which is approximate.
import { isObject, type JsonObject, listAt, objectAt } from './json.ts';
import type { Kind, ListRule } from './kinds.ts';

export interface Shape {
  readonly list: ListRule;
  /** The object is replaced as a whole. */
  readonly isAtomicMap: boolean;
  /** A Go struct, which the server has even where nobody wrote it: it cannot be new. */
  readonly isAlwaysThere: boolean;
  /** False for the keys of a map, which come and go; true for the members of a struct. */
  declares(key: string): boolean;
  member(key: string): Shape;
  item(): Shape;
}

const ATOMIC: ListRule = { type: 'atomic' };

const BUILT_IN_LISTS: Readonly<Record<string, ListRule>> = {
  conditions: { type: 'map', keys: ['type'] },
  containers: { type: 'map', keys: ['name'] },
  env: { type: 'map', keys: ['name'] },
  finalizers: { type: 'set' },
  imagePullSecrets: { type: 'map', keys: ['name'] },
  initContainers: { type: 'map', keys: ['name'] },
  ownerReferences: { type: 'map', keys: ['uid'] },
  ports: { type: 'map', keys: ['containerPort', 'protocol'] },
  secrets: { type: 'map', keys: ['name'] },
  validations: ATOMIC,
  volumeMounts: { type: 'map', keys: ['mountPath'] },
  volumes: { type: 'map', keys: ['name'] },
};
const BUILT_IN_ATOMIC_MAPS = new Set(['selector', 'nodeSelector', 'fieldRef', 'openAPIV3Schema']);

const BUILT_IN_MAPS = new Set([
  'allocatable',
  'annotations',
  'binaryData',
  'capacity',
  'data',
  'labels',
  'limits',
  'matchLabels',
  'requests',
]);

/** Values of keys that an item may leave out. */
export const LIST_KEY_DEFAULTS: JsonObject = { protocol: 'TCP' };

function builtInShape(name: string): Shape {
  return {
    list: BUILT_IN_LISTS[name] ?? ATOMIC,
    isAtomicMap: BUILT_IN_ATOMIC_MAPS.has(name),
    isAlwaysThere: !BUILT_IN_MAPS.has(name) && BUILT_IN_LISTS[name] === undefined,
    declares: () => !BUILT_IN_MAPS.has(name),
    member: builtInShape,
    item: () => builtInShape(''),
  };
}

function schemaShape(schema: JsonObject): Shape {
  const properties = objectAt(schema, 'properties');
  const others = objectAt(schema, 'additionalProperties');
  return {
    list: listRuleOf(schema),
    isAtomicMap: schema['x-kubernetes-map-type'] === 'atomic',
    isAlwaysThere: false,
    declares: (key) => isObject(properties[key]),
    member: (key) => {
      const own = properties[key];
      return schemaShape(isObject(own) ? own : others);
    },
    item: () => schemaShape(objectAt(schema, 'items')),
  };
}

function listRuleOf(schema: JsonObject): ListRule {
  const keys = listAt(schema, 'x-kubernetes-list-map-keys').filter(
    (key) => typeof key === 'string',
  );
  if (schema['x-kubernetes-list-type'] === 'set') return { type: 'set' };
  return schema['x-kubernetes-list-type'] === 'map' ? { type: 'map', keys } : ATOMIC;
}

/** The shape of whole objects of a kind. */
export function shapeOf(kind: Pick<Kind, 'schema'>): Shape {
  if (kind.schema === undefined) return builtInShape('');
  const custom = schemaShape(kind.schema);
  const metadata = builtInShape('metadata');
  const member = (key: string): Shape => (key === 'metadata' ? metadata : custom.member(key));
  const declares = (key: string): boolean => key === 'metadata' || custom.declares(key);
  return { ...custom, isAlwaysThere: true, declares, member };
}

/** The keys of a list item, defaults filled in; undefined when it has none of them. */
export function itemKey(item: unknown, keys: readonly string[]): JsonObject | undefined {
  if (!isObject(item)) return undefined;
  const found: JsonObject = {};
  for (const key of keys) {
    const value = item[key] ?? LIST_KEY_DEFAULTS[key];
    if (value !== undefined) found[key] = value;
  }
  return keys.some((key) => item[key] !== undefined) ? found : undefined;
}
