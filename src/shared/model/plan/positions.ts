// Reads the positions that the controller published: interface indices from a network's status,
// host indices from a host's. Keys are canonical net addresses, so planning can look them up.
import { canonicalCidr } from '../ip/cidr.ts';
import type { HostInterface } from '../objects/host-interface.ts';
import type { MultiNicNetwork } from '../objects/multi-nic-network.ts';
import type { PlanHost } from './host-pools.ts';

/** Interface index per net address of a network; empty until the controller has given any. */
export function interfaceIndicesOf(network: Pick<MultiNicNetwork, 'status'>): Map<string, number> {
  return toMap(
    (network.status?.interfaceIndices ?? []).map(({ netAddress, interfaceIndex }) => [
      netAddress,
      interfaceIndex,
    ]),
  );
}

/**
 * A host as planning sees it in one network. Indices that were given in a namesake with another UID
 * do not count: that network was deleted.
 */
export function planHostOf(
  host: Pick<HostInterface, 'spec' | 'status'>,
  network: { readonly name: string; readonly uid: string },
): PlanHost {
  const given = (host.status?.networks ?? []).find(
    ({ name, uid }) => name === network.name && uid === network.uid,
  );
  const { hostName, interfaces } = host.spec;
  const pairs = (given?.indices ?? []).map(({ netAddress, hostIndex }): [string, number] => [
    netAddress,
    hostIndex,
  ]);
  return { hostName, interfaces, hostIndices: toMap(pairs) };
}

function toMap(pairs: readonly (readonly [string, number])[]): Map<string, number> {
  const map = new Map<string, number>();
  for (const [netAddress, index] of pairs) {
    const key = canonicalCidr(netAddress);
    if (key !== undefined) map.set(key, index);
  }
  return map;
}
