// Finalizers: ours on networks, and those of the original, which nobody else will ever take away.
// Only metadata is written, and only on the version that was seen (W-44, W-45).
import { IP_POOL_FINALIZER } from '../../shared/model/names.ts';
import { isKubeError } from '../../shared/platform/kube/errors.ts';
import { IP_POOLS, type Resource } from '../../shared/platform/kube/resource.ts';
import type { Head } from '../watch/views.ts';
import type { ControllerContext } from './context.ts';
import { forEachOrThrow } from './for-each-limited.ts';

/** Adds a finalizer that is not there yet and returns the object. */
export async function addFinalizer<T>(
  context: ControllerContext,
  o: { resource: Resource<T>; head: Head; finalizer: string; signal: AbortSignal },
): Promise<T> {
  return await setFinalizers(context, o, [...o.head.finalizers, o.finalizer]);
}

/** Takes a finalizer away; an object that is gone, or never had it, is done. */
export async function removeFinalizer<T>(
  context: ControllerContext,
  o: { resource: Resource<T>; head: Head; finalizer: string; signal: AbortSignal },
): Promise<void> {
  const left = o.head.finalizers.filter((finalizer) => finalizer !== o.finalizer);
  if (left.length === o.head.finalizers.length) return;
  try {
    await setFinalizers(context, o, left);
  } catch (error) {
    if (!isKubeError(error, 'not-found')) throw error;
  }
}

async function setFinalizers<T>(
  context: ControllerContext,
  o: { resource: Resource<T>; head: Head; signal: AbortSignal },
  finalizers: readonly string[],
): Promise<T> {
  const { name, resourceVersion } = o.head;
  const body = { metadata: { resourceVersion, finalizers } };
  const patch = { type: 'merge', body } as const;
  return await context.client.patch(o.resource, { name }, patch, { signal: o.signal });
}

const POOLS_AT_ONCE = 8;

/** Deletes exactly these IPPools; throws the first failure after all were tried. */
export async function deletePools(
  context: ControllerContext,
  pools: readonly Head[],
  signal: AbortSignal,
): Promise<void> {
  await forEachOrThrow(pools, POOLS_AT_ONCE, async (head) => {
    const finalizer = IP_POOL_FINALIZER;
    await deleteWithFinalizer(context, { resource: IP_POOLS, head, finalizer, signal });
  });
}

/**
 * Deletes exactly this object, and takes the original's finalizer away if that is what keeps it.
 */
export async function deleteWithFinalizer<T>(
  context: ControllerContext,
  o: { resource: Resource<T>; head: Head; finalizer: string; signal: AbortSignal },
): Promise<void> {
  const { resource, head, signal } = o;
  if (!head.isDeleting) {
    const { name, uid, resourceVersion } = head;
    await context.client.delete(resource, { name }, { uid, resourceVersion, signal });
    if (!head.finalizers.includes(o.finalizer)) return;
  }
  // The deletion has changed the version; the watch brings it, and with it this function again.
  if (head.isDeleting) await removeFinalizer(context, o);
}
