// What becomes of a host's objects when its Node is gone. Only two live answers "there is no such
// object" make a host gone (design D5; W-06, W-38).
import { HOST_INTERFACE_FINALIZER, IP_POOL_FINALIZER } from '../../shared/model/names.ts';
import { HOST_INTERFACES, IP_POOLS, NODES } from '../../shared/platform/kube/resource.ts';
import type { Outcome } from '../../shared/platform/work-queue.ts';
import type { ControllerContext } from './context.ts';
import { deleteWithFinalizer, removeFinalizer } from './finalizers.ts';
import { forEachLimited } from './for-each-limited.ts';

const DELETES_AT_ONCE = 8;
const AGAIN_MS = 1_000;

export async function reconcileHost(
  context: ControllerContext,
  hostName: string,
  signal: AbortSignal,
): Promise<Outcome> {
  const { world } = context;
  const host = world.hosts.get(hostName);
  if (host?.isDeleting === true) {
    // The original's finalizer keeps it; the daemon writes it anew if the node lives (W-37).
    await removeFinalizer(context, {
      resource: HOST_INTERFACES,
      head: host,
      finalizer: HOST_INTERFACE_FINALIZER,
      signal,
    });
    return 'done';
  }
  if (world.hasNode(hostName)) return 'done';
  if (host !== undefined && (host.isUnmanaged || host.isTest)) return 'done';
  const node = await context.client.get(NODES, { name: hostName }, { signal });
  if (node !== undefined) return { afterMs: AGAIN_MS }; // the watch will bring it
  if (host !== undefined) {
    context.log.info('host interface of a removed node deleted', { node: hostName });
    await deleteWithFinalizer(context, {
      resource: HOST_INTERFACES,
      head: host,
      finalizer: HOST_INTERFACE_FINALIZER,
      signal,
    });
    return 'done'; // its disappearance brings this host here again
  }
  const stored = await context.client.get(HOST_INTERFACES, { name: hostName }, { signal });
  if (stored !== undefined) return { afterMs: AGAIN_MS };
  return await removeGoneHost(context, hostName, signal);
}

/** Node and HostInterface were confirmed absent: pools go, and networks take the indices back. */
async function removeGoneHost(
  context: ControllerContext,
  hostName: string,
  signal: AbortSignal,
): Promise<Outcome> {
  const { world } = context;
  const pools = world.pools.ofHost(hostName);
  const failures = await forEachLimited(pools, DELETES_AT_ONCE, async (head) => {
    await deleteWithFinalizer(context, {
      resource: IP_POOLS,
      head,
      finalizer: IP_POOL_FINALIZER,
      signal,
    });
  });
  const [first] = failures;
  if (first !== undefined) throw first.error;
  // Pools first: as long as one is there, the index it stands for must not serve another host.
  if (pools.length > 0) return { afterMs: AGAIN_MS };
  if (!world.gone().has(hostName)) {
    context.log.info('host is gone', { node: hostName });
    world.markGone(hostName);
  }
  return 'done';
}
