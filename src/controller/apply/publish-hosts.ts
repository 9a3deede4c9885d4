// Publishing host indices in HostInterface statuses. Every write is conditional: whoever published
// first for a host and a net address is right (design D6).

import type { HostNetwork } from '../../shared/model/objects/host-interface.ts';
import { isKubeError } from '../../shared/platform/kube/errors.ts';
import { HOST_INTERFACES } from '../../shared/platform/kube/resource.ts';
import { countHost, mergeHostNetwork, removeHostNetwork } from '../plan/host-networks.ts';
import type { HostIndices } from '../plan/indices.ts';
import { type HostView, toHostView } from '../watch/views.ts';
import type { ControllerContext } from './context.ts';
import { forEachOrThrow } from './for-each-limited.ts';
import type { NetworkMemory } from './network-memory.ts';

const WRITES_AT_ONCE = 16;
const ATTEMPTS_MAX = 4;

/** Publishes all of it, or throws the first failure after having tried every host. */
export async function publishHosts(
  context: ControllerContext,
  o: {
    readonly network: { readonly name: string; readonly uid: string };
    readonly publish: readonly HostIndices[];
    readonly memory: NetworkMemory;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const { network, memory } = o;
  // A claim that is not published within a lease may have been given back by another leader.
  const signal = AbortSignal.any([o.signal, AbortSignal.timeout(context.leaseDurationMs)]);
  await forEachOrThrow(o.publish, WRITES_AT_ONCE, async (host) => {
    const { indices } = host;
    const isThere = await changeNetworks(context, host.hostName, signal, (networks) =>
      mergeHostNetwork(networks, { ...network, indices }),
    );
    if (isThere) memory.settle(host.hostName);
  });
}

/**
 * Takes the network's entry out of every HostInterface. Throws the first failure after all were
 * tried.
 */
export async function unpublishNetwork(
  context: ControllerContext,
  networkName: string,
  signal: AbortSignal,
): Promise<void> {
  const holders = context.world
    .sortedHosts()
    .filter(({ networks }) => networks.some(({ name }) => name === networkName));
  await forEachOrThrow(holders, WRITES_AT_ONCE, async ({ name }) => {
    await changeNetworks(context, name, signal, (networks) =>
      removeHostNetwork(networks, networkName),
    );
  });
}

/**
 * Changes the list of networks of a host by `change`, which says undefined when nothing is to do,
 * on its newest version. False when the HostInterface is gone.
 */
async function changeNetworks(
  context: ControllerContext,
  hostName: string,
  signal: AbortSignal,
  change: (networks: readonly HostNetwork[]) => HostNetwork[] | undefined,
): Promise<boolean> {
  // Every network publishes for every host, and all of them at once when hosts join.
  return await context.hostTurns.run(
    hostName,
    async () => await changeInTurn(context, hostName, signal, change),
  );
}

async function changeInTurn(
  context: ControllerContext,
  hostName: string,
  signal: AbortSignal,
  change: (networks: readonly HostNetwork[]) => HostNetwork[] | undefined,
): Promise<boolean> {
  const { client, world } = context;
  const key = { name: hostName };
  let view: HostView | undefined = world.hosts.get(hostName);
  for (let attempt = 1; view !== undefined; attempt++) {
    signal.throwIfAborted();
    const networks = change(view.networks);
    if (networks === undefined) return true;
    const { resourceVersion } = view;
    const counts = countHost({ interfaces: view.interfaces, networks });
    const body = { metadata: { resourceVersion }, status: { networks, ...counts } };
    try {
      const patch = { type: 'merge', subresource: 'status', body } as const;
      const written = await client.patch(HOST_INTERFACES, key, patch, { signal });
      world.putHost(toHostView(written), resourceVersion);
      return true;
    } catch (error) {
      if (isKubeError(error, 'not-found')) return false;
      if (!isKubeError(error, 'conflict') || attempt >= ATTEMPTS_MAX) throw error;
    }
    const fresh = await client.get(HOST_INTERFACES, key, { signal });
    view = fresh === undefined ? undefined : toHostView(fresh);
  }
  return false;
}
