// Test equipment: the few rules of built-in kinds that programs notice: what the server adds, and
// what it refuses. Everything else about built-in kinds is stored as it comes, without their
// defaults.
import { isObject, type JsonObject, listAt, objectAt, textAt } from './json.ts';
import { CRD_PLURAL, type Kind } from './kinds.ts';
import { withoutNullTexts } from './metadata.ts';
import { structuralFaults } from './schema.ts';
import type { StatusCause } from './status.ts';

/** What the server makes of an object of a built-in kind that is created. */
export function completeBuiltIn(object: JsonObject, kind: Kind, time: string): JsonObject {
  switch (kind.plural) {
    case 'namespaces':
      return completeNamespace(object);
    case 'pods':
      return { ...object, status: { phase: 'Pending', qosClass: 'BestEffort' } };
    case 'secrets':
      return { type: 'Opaque', ...object };
    case CRD_PLURAL:
      return completeCrd(object, time);
    case 'nodes':
      return object; // kubelets create their node with its status
    default:
      return kind.hasStatus ? { ...object, status: {} } : object;
  }
}

function completeNamespace(object: JsonObject): JsonObject {
  const metadata = objectAt(object, 'metadata');
  const labels = {
    ...objectAt(metadata, 'labels'),
    'kubernetes.io/metadata.name': textAt(metadata, 'name'),
  };
  return {
    ...object,
    metadata: { ...metadata, labels },
    spec: { finalizers: ['kubernetes'] },
    status: { phase: 'Active' },
  };
}

/** Names filled in and accepted, all served versions established at once. */
export function completeCrd(object: JsonObject, time: string): JsonObject {
  const spec = objectAt(object, 'spec');
  const names = objectAt(spec, 'names');
  const kind = textAt(names, 'kind');
  const accepted = { singular: kind.toLowerCase(), listKind: `${kind}List`, ...names };
  const condition = (type: string, reason: string, message: string): JsonObject => ({
    type,
    status: 'True',
    lastTransitionTime: time,
    reason,
    message,
  });
  const stored = listAt(spec, 'versions').filter(isObject);
  return {
    ...object,
    spec: { conversion: { strategy: 'None' }, ...spec, names: accepted },
    status: {
      conditions: [
        condition('NamesAccepted', 'NoConflicts', 'no conflicts found'),
        condition('Established', 'InitialNamesAccepted', 'the initial names have been accepted'),
      ],
      acceptedNames: accepted,
      storedVersions: stored
        .filter(({ storage }) => storage === true)
        .map(({ name }) => name ?? ''),
    },
  };
}

const DATA = ['data', 'binaryData', 'stringData'];

/** The object with its maps of strings as Go reads and writes them: left out when empty. */
export function withReadData(object: JsonObject): JsonObject {
  const read = { ...object };
  for (const key of DATA) {
    const map = read[key] ?? {};
    if (isObject(map) && Object.keys(map).length === 0) delete read[key];
    else read[key] = isObject(map) ? withoutNullTexts(map) : map;
  }
  return read;
}

/** What is wrong with an object of a built-in kind. */
export function checkBuiltIn(object: JsonObject, kind: Kind): StatusCause[] {
  switch (kind.plural) {
    case CRD_PLURAL:
      return checkCrd(object);
    case 'events':
      return checkEvent(object);
    case 'leases':
      return checkLease(object);
    case 'configmaps':
      return checkConfigMap(object);
    default:
      return [];
  }
}

function invalidValue(field: string, message: string): StatusCause {
  return { reason: 'FieldValueInvalid', field, message: `Invalid value: ${message}` };
}

function checkCrd(object: JsonObject): StatusCause[] {
  const spec = objectAt(object, 'spec');
  const names = objectAt(spec, 'names');
  const wanted = `${textAt(names, 'plural')}.${textAt(spec, 'group')}`;
  const faults: StatusCause[] = [];
  if (textAt(objectAt(object, 'metadata'), 'name') !== wanted) {
    faults.push(invalidValue('metadata.name', `must be spec.names.plural+"."+spec.group`));
  }
  const versions = listAt(spec, 'versions').filter(isObject);
  if (versions.filter(({ storage }) => storage === true).length !== 1) {
    faults.push(invalidValue('spec.versions', 'must have exactly one version marked as storage'));
  }
  if (spec.scope !== 'Cluster' && spec.scope !== 'Namespaced') {
    faults.push(invalidValue('spec.scope', 'must be Cluster or Namespaced'));
  }
  for (const [index, version] of versions.entries()) {
    const place = `spec.versions[${index}].schema.openAPIV3Schema`;
    const schema = objectAt(objectAt(version, 'schema'), 'openAPIV3Schema');
    for (const message of structuralFaults(schema, place)) {
      faults.push({ reason: 'FieldValueInvalid', field: place, message });
    }
  }
  return faults;
}

/** Events live beside what they are about; those about cluster-wide objects in `default`. */
function checkEvent(object: JsonObject): StatusCause[] {
  const involved = textAt(objectAt(object, 'involvedObject'), 'namespace');
  const namespace = textAt(objectAt(object, 'metadata'), 'namespace');
  if (namespace === (involved === '' ? 'default' : involved)) return [];
  return [
    invalidValue('involvedObject.namespace', `"${involved}": does not match event.namespace`),
  ];
}

function checkLease(object: JsonObject): StatusCause[] {
  const spec = objectAt(object, 'spec');
  const seconds = spec.leaseDurationSeconds;
  const transitions = spec.leaseTransitions;
  const faults: StatusCause[] = [];
  if (seconds !== undefined && !(typeof seconds === 'number' && seconds > 0)) {
    faults.push(invalidValue('spec.leaseDurationSeconds', 'must be greater than 0'));
  }
  if (transitions !== undefined && !(typeof transitions === 'number' && transitions >= 0)) {
    faults.push(invalidValue('spec.leaseTransitions', 'must be greater than or equal to 0'));
  }
  for (const field of ['acquireTime', 'renewTime']) {
    const time = spec[field];
    const isMicroTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)$/;
    if (time !== undefined && time !== null && !isMicroTime.test(String(time))) {
      faults.push(invalidValue(`spec.${field}`, 'must be a time with six digits of seconds'));
    }
  }
  return faults;
}

const CONFIG_MAP_BYTES_MAX = 1 << 20;

function checkConfigMap(object: JsonObject): StatusCause[] {
  const data = objectAt(object, 'data');
  const faults = Object.entries(data)
    .filter(([key, value]) => !/^[-._a-zA-Z0-9]{1,253}$/.test(key) || typeof value !== 'string')
    .map(([key]) => invalidValue(`data[${key}]`, 'a config map holds strings under plain names'));
  const sizeBytes = JSON.stringify(data).length;
  if (sizeBytes > CONFIG_MAP_BYTES_MAX) {
    const message = `Too long: may not be more than ${CONFIG_MAP_BYTES_MAX} bytes`;
    faults.push({ reason: 'FieldValueTooLong', field: '', message });
  }
  return faults;
}
