// IPPools that somebody deleted and that the original's finalizer keeps. One that pods hold
// addresses of stays until they are gone: it may be the only record of them (W-08).
import { IP_POOL_FINALIZER } from '../../shared/model/names.ts';
import { IP_POOLS } from '../../shared/platform/kube/resource.ts';
import type { Outcome } from '../../shared/platform/work-queue.ts';
import type { ControllerContext } from './context.ts';
import { removeFinalizer } from './finalizers.ts';

export async function reconcilePool(
  context: ControllerContext,
  poolName: string,
  signal: AbortSignal,
): Promise<Outcome> {
  const head = context.world.pool(poolName);
  if (head === undefined || !head.isDeleting) return 'done';
  const isHeld = head.allocationCount > 0 && !context.world.gone().has(head.hostName);
  if (isHeld) {
    context.log.info('deleted pool is kept while pods hold addresses of it', {
      pool: poolName,
      network: head.network,
      node: head.hostName,
      allocations: head.allocationCount,
    });
    return 'done';
  }
  await removeFinalizer(context, {
    resource: IP_POOLS,
    head,
    finalizer: IP_POOL_FINALIZER,
    signal,
  });
  return 'done';
}
