// Test equipment: JSON values and the few operations the embedded API server needs on them. Stored
// values are never changed in place; whoever wants to change one takes a copy first.

export type Json = null | boolean | number | string | Json[] | JsonObject;
export interface JsonObject {
  [key: string]: Json;
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The member if it is an object, else an empty one. */
export function objectAt(value: JsonObject | undefined, key: string): JsonObject {
  const member = value?.[key];
  return isObject(member) ? member : {};
}

/** The member if it is a string, else ''. */
export function textAt(value: JsonObject | undefined, key: string): string {
  const member = value?.[key];
  return typeof member === 'string' ? member : '';
}

/** The member if it is a list, else an empty one. */
export function listAt(value: JsonObject | undefined, key: string): Json[] {
  const member = value?.[key];
  return Array.isArray(member) ? member : [];
}

export function copy<T extends Json>(value: T): T {
  return structuredClone(value);
}

/** The object without some of its members. */
export function without(value: JsonObject, ...keys: string[]): JsonObject {
  return Object.fromEntries(Object.entries(value).filter(([key]) => !keys.includes(key)));
}

/** Equality of values; the order of members does not count. */
export function isEqual(a: Json | undefined, b: Json | undefined): boolean {
  if (a === b) return true;
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((item, index) => isEqual(item, b[index]));
  }
  if (!isObject(a) || !isObject(b)) return false;
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && isEqual(a[key], b[key]))
  );
}

/** Text that is the same for equal values. */
export function toCanonicalText(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(toCanonicalText).join(',')}]`;
  if (!isObject(value)) return JSON.stringify(value);
  const members = Object.keys(value)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${toCanonicalText(value[key] ?? null)}`);
  return `{${members.join(',')}}`;
}
