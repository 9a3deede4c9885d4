// What becomes of a host's objects when its Node is gone. Only two live answers "there is no such
// object" make a host gone (design D5; W-06, W-38).
import { HOST_INTERFACE_FINALIZER } from '../../shared/model/names.ts';
import { isKubeError } from '../../shared/platform/kube/errors.ts';
import { HOST_INTERFACES, NODES } from '../../shared/platform/kube/resource.ts';
import type { Outcome } from '../../shared/platform/work-queue.ts';
import { countHost } from '../plan/host-networks.ts';
import { toHostView } from '../watch/views.ts';
import type { ControllerContext } from './context.ts';
import { deletePools, deleteWithFinalizer, removeFinalizer } from './finalizers.ts';

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
  if (world.hasNode(hostName) || host?.isUnmanaged === true || host?.isTest === true) {
    world.absences.end(hostName);
    if (host !== undefined) {
      await context.hostTurns.run(
        hostName,
        async () => await writeCounts(context, hostName, signal),
      );
    }
    return 'done';
  }
  const node = await context.client.get(NODES, { name: hostName }, { signal });
  if (node !== undefined) return { afterMs: AGAIN_MS }; // the watch will bring it
  if (world.hasNode(hostName)) return { afterMs: AGAIN_MS }; // it came while it was asked for
  // A node is sometimes deleted only to be registered anew, while its pods run. They are given up
  // when it stays away for longer; until then nothing of it goes.
  const leftMs = context.graceMs - world.absences.forMs(hostName);
  if (leftMs > 0) return { afterMs: leftMs };
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
  const isBack = world.hasNode(hostName) || world.hosts.get(hostName) !== undefined;
  if (isBack) return { afterMs: AGAIN_MS };
  return await removeGoneHost(context, hostName, signal);
}

/** With indices they are written at once; this is for NICs that come and go. */
async function writeCounts(
  { client, world }: ControllerContext,
  hostName: string,
  signal: AbortSignal,
): Promise<void> {
  const host = world.hosts.get(hostName);
  if (host === undefined) return;
  const counts = countHost(host);
  const isSame =
    counts.interfaceCount === host.counts.interfaceCount &&
    counts.networkCount === (host.counts.networkCount ?? 0);
  if (isSame) return;
  const { name, resourceVersion } = host;
  const body = { metadata: { resourceVersion }, status: counts };
  const patch = { type: 'merge', subresource: 'status', body } as const;
  try {
    const stored = await client.patch(HOST_INTERFACES, { name }, patch, { signal });
    world.putHost(toHostView(stored), resourceVersion);
  } catch (error) {
    if (!isKubeError(error, 'not-found')) throw error; // deleted meanwhile: nothing to count
  }
}

/** Node and HostInterface were confirmed absent: pools go, and networks take the indices back. */
async function removeGoneHost(
  context: ControllerContext,
  hostName: string,
  signal: AbortSignal,
): Promise<Outcome> {
  const { world } = context;
  const pools = world.pools.ofHost(hostName);
  // Pools first: as long as one is there, the index it stands for must not serve another host.
  if (pools.length > 0) {
    await deletePools(context, pools, signal);
    return { afterMs: AGAIN_MS };
  }
  if (!world.gone().has(hostName)) {
    context.log.info('host is gone', { node: hostName });
    world.markGone(hostName);
  }
  world.absences.end(hostName);
  return 'done';
}
