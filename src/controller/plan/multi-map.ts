// Maps from a key to several values.

/** Adds values to the list of `key`. */
export function pushTo<K, T>(map: Map<K, T[]>, key: K, ...values: readonly T[]): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [...values]);
  else list.push(...values);
}

/** The items by key, in their order. */
export function groupBy<K, T>(items: Iterable<T>, toKey: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) pushTo(groups, toKey(item), item);
  return groups;
}
