// Test equipment: checks values against the validations of a structural schema and names every
// fault with its place, in the words of the real server where tests read them.
import { isEqual, isObject, type Json, type JsonObject, listAt, objectAt, textAt } from './json.ts';
import { itemKey } from './shape.ts';
import type { StatusCause } from './status.ts';

const FAULTS_MAX = 100;

/** All faults of a value, none if it is valid. */
export function checkValue(value: Json, schema: JsonObject, field: string): StatusCause[] {
  return faultsOf(value, schema, field).slice(0, FAULTS_MAX);
}

function faultsOf(value: Json, schema: JsonObject, field: string): StatusCause[] {
  if (value === null && schema.nullable === true) return [];
  const wrongType = typeFault(value, schema, field);
  if (wrongType !== undefined) return [wrongType];
  return [
    ...enumFaults(value, schema, field),
    ...(typeof value === 'string' ? stringFaults(value, schema, field) : []),
    ...(typeof value === 'number' ? numberFaults(value, schema, field) : []),
    ...(Array.isArray(value) ? listFaults(value, schema, field) : []),
    ...(isObject(value) ? objectFaults(value, schema, field) : []),
    ...junctorFaults(value, schema, field),
  ];
}

function fault(reason: string, field: string, message: string): StatusCause {
  return { reason, field: field === '' ? '<nil>' : field, message };
}

function isOfType(value: Json, type: string): boolean {
  switch (type) {
    case 'string':
    case 'boolean':
      return typeof value === type;
    case 'integer':
      return Number.isInteger(value);
    case 'number':
      return typeof value === 'number';
    case 'array':
      return Array.isArray(value);
    default:
      return type !== 'object' || isObject(value);
  }
}

function typeFault(value: Json, schema: JsonObject, field: string): StatusCause | undefined {
  const type = textAt(schema, 'type');
  const isIntOrString = schema['x-kubernetes-int-or-string'] === true;
  const fits = isIntOrString
    ? Number.isInteger(value) || typeof value === 'string'
    : type === '' || isOfType(value, type);
  if (fits) return undefined;
  const wanted = isIntOrString ? 'integer,string' : type;
  const shown = JSON.stringify(nameOfType(value));
  const message = `Invalid value: ${shown}: ${field} in body must be of type ${wanted}: ${shown}`;
  return fault('FieldValueTypeInvalid', field, message);
}

function nameOfType(value: Json): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
}

function enumFaults(value: Json, schema: JsonObject, field: string): StatusCause[] {
  const allowed = schema.enum;
  if (!Array.isArray(allowed) || allowed.some((one) => isEqual(one, value))) return [];
  const list = allowed.map((one) => JSON.stringify(one)).join(', ');
  const message = `Unsupported value: ${JSON.stringify(value)}: supported values: ${list}`;
  return [fault('FieldValueNotSupported', field, message)];
}

function limitFaults(
  schema: JsonObject,
  field: string,
  limits: readonly [keyword: string, isBroken: (limit: number) => boolean, words: string][],
): StatusCause[] {
  return limits.flatMap(([keyword, isBroken, words]) => {
    const limit = schema[keyword];
    if (typeof limit !== 'number' || !isBroken(limit)) return [];
    const message = `Invalid value: ${field} in body ${words.replace('#', String(limit))}`;
    return [fault('FieldValueInvalid', field, message)];
  });
}

function stringFaults(value: string, schema: JsonObject, field: string): StatusCause[] {
  const sizeRunes = [...value].length;
  const faults = limitFaults(schema, field, [
    ['maxLength', (limit) => sizeRunes > limit, 'should be at most # chars long'],
    ['minLength', (limit) => sizeRunes < limit, 'should be at least # chars long'],
  ]);
  const pattern = schema.pattern;
  if (typeof pattern === 'string' && !new RegExp(pattern, 'u').test(value)) {
    const message = `Invalid value: ${JSON.stringify(value)}: ${field} in body should match '${pattern}'`;
    faults.push(fault('FieldValueInvalid', field, message));
  }
  const format = textAt(schema, 'format');
  if (FORMATS[format]?.test(value) === false) {
    const message = `Invalid value: ${JSON.stringify(value)}: ${field} in body must be of type ${format}`;
    faults.push(fault('FieldValueTypeInvalid', field, message));
  }
  return faults;
}

const FORMATS: Readonly<Record<string, RegExp>> = {
  'date-time': /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/,
  date: /^\d{4}-\d\d-\d\d$/,
  ipv4: /^((25[0-5]|2[0-4]\d|1?\d?\d)(\.(?!$)|$)){4}$/,
  mac: /^[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}$/,
  uuid: /^[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}$/,
};

function numberFaults(value: number, schema: JsonObject, field: string): StatusCause[] {
  const isMaxOut = schema.exclusiveMaximum === true;
  const isMinOut = schema.exclusiveMinimum === true;
  const faults = limitFaults(schema, field, [
    [
      'maximum',
      (limit) => (isMaxOut ? value >= limit : value > limit),
      'should be less than or equal to #',
    ],
    [
      'minimum',
      (limit) => (isMinOut ? value <= limit : value < limit),
      'should be greater than or equal to #',
    ],
    ['multipleOf', (limit) => value % limit !== 0, 'should be a multiple of #'],
  ]);
  const isInt32 = schema.format === 'int32';
  if (isInt32 && (value < -(2 ** 31) || value >= 2 ** 31)) {
    faults.push(fault('FieldValueInvalid', field, 'Invalid value: out of range of int32'));
  }
  return faults;
}

function listFaults(value: Json[], schema: JsonObject, field: string): StatusCause[] {
  const items = objectAt(schema, 'items');
  return [
    ...limitFaults(schema, field, [
      ['maxItems', (limit) => value.length > limit, 'should have at most # items'],
      ['minItems', (limit) => value.length < limit, 'should have at least # items'],
    ]),
    ...duplicateFaults(value, schema, field),
    ...value.flatMap((item, index) => faultsOf(item, items, `${field}[${index}]`)),
  ];
}

/** Sets and keyed lists hold each element once. */
function duplicateFaults(value: Json[], schema: JsonObject, field: string): StatusCause[] {
  const type = schema['x-kubernetes-list-type'];
  if (type !== 'set' && type !== 'map') return [];
  const keys = listAt(schema, 'x-kubernetes-list-map-keys').filter(
    (key) => typeof key === 'string',
  );
  const identities = value.map((item) => (type === 'set' ? item : (itemKey(item, keys) ?? {})));
  return identities.flatMap((one, index) =>
    identities.slice(0, index).some((other) => isEqual(one, other))
      ? [
          fault(
            'FieldValueDuplicate',
            `${field}[${index}]`,
            `Duplicate value: ${JSON.stringify(one)}`,
          ),
        ]
      : [],
  );
}

function objectFaults(value: JsonObject, schema: JsonObject, field: string): StatusCause[] {
  const properties = objectAt(schema, 'properties');
  const others = schema.additionalProperties;
  const place = (key: string): string => (field === '' ? key : `${field}.${key}`);
  const missing = listAt(schema, 'required')
    .filter((key) => typeof key === 'string')
    .filter((key) => value[key] === undefined)
    .map((key) => fault('FieldValueRequired', place(key), 'Required value'));
  const size = Object.keys(value).length;
  const limits = limitFaults(schema, field, [
    ['maxProperties', (limit) => size > limit, 'should have at most # properties'],
    ['minProperties', (limit) => size < limit, 'should have at least # properties'],
  ]);
  const below = Object.entries(value).flatMap(([key, member]) => {
    const own = properties[key];
    const rules = isObject(own) ? own : isObject(others) ? others : {};
    return faultsOf(member, rules, place(key));
  });
  return [...missing, ...limits, ...below];
}

function junctorFaults(value: Json, schema: JsonObject, field: string): StatusCause[] {
  const branches = (keyword: string): boolean[] =>
    listAt(schema, keyword)
      .filter(isObject)
      .map((branch) => faultsOf(value, branch, field).length === 0);
  const refuse = (words: string): StatusCause[] => [
    fault('FieldValueInvalid', field, `Invalid value: ${field} in body ${words}`),
  ];
  const count = (keyword: string): number => branches(keyword).filter(Boolean).length;
  const hasAny = schema.anyOf === undefined || count('anyOf') > 0;
  const hasOne = schema.oneOf === undefined || count('oneOf') === 1;
  const not = schema.not;
  const isExcluded = isObject(not) && faultsOf(value, not, field).length === 0;
  return [
    ...(hasAny ? [] : refuse('must validate at least one schema (anyOf)')),
    ...(hasOne ? [] : refuse('must validate one and only one schema (oneOf)')),
    ...(branches('allOf').every(Boolean) ? [] : refuse('must validate all the schemas (allOf)')),
    ...(isExcluded ? refuse('must not validate the schema (not)') : []),
  ];
}
