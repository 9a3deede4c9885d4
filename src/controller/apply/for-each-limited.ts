// Effects on many objects at once, but not on too many.

/** As `forEachLimited`, and throws the first failure after all items were visited. */
export async function forEachOrThrow<T>(
  items: readonly T[],
  limit: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const [first] = await forEachLimited(items, limit, work);
  if (first !== undefined) throw first.error;
}

/**
 * Runs `work` on every item, at most `limit` at a time, and visits all of them whatever fails.
 * Returns the failures in the order of the items.
 */
export async function forEachLimited<T>(
  items: readonly T[],
  limit: number,
  work: (item: T) => Promise<void>,
): Promise<readonly { readonly item: T; readonly error: unknown }[]> {
  const failures: { index: number; item: T; error: unknown }[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < items.length) {
      const index = next++;
      const item = items[index];
      if (item === undefined) continue;
      try {
        await work(item);
      } catch (error) {
        failures.push({ index, item, error });
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, lane));
  return failures.sort((a, b) => a.index - b.index);
}
