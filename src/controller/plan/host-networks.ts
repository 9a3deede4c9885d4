// The list of networks in a HostInterface's status, with the entry of one network merged in or
// taken out.
import type {
  HostInterfaceStatus,
  HostNetwork,
} from '../../shared/model/objects/host-interface.ts';
import type { HostIndices } from './indices.ts';

/**
 * The list with `indices` published for the network. What the same network already has there stays:
 * an index once published is never replaced. Undefined when nothing has to change.
 */
export function mergeHostNetwork(
  networks: readonly HostNetwork[],
  o: { readonly name: string; readonly uid: string; readonly indices: HostIndices['indices'] },
): HostNetwork[] | undefined {
  const before = networks.find(({ name }) => name === o.name);
  const stored = before?.uid === o.uid ? before.indices : [];
  const known = new Set(stored.map(({ netAddress }) => netAddress));
  const added = o.indices.filter(({ netAddress }) => !known.has(netAddress));
  if (before?.uid === o.uid && added.length === 0) return undefined;
  const entry: HostNetwork = {
    name: o.name,
    uid: o.uid,
    indices: [...stored, ...added.map((index) => ({ ...index }))],
  };
  return before === undefined
    ? [...networks, entry]
    : networks.map((network) => (network === before ? entry : network));
}

/** What `kubectl get` shows of a host. */
export function countHost(o: {
  readonly interfaces: readonly unknown[];
  readonly networks: readonly unknown[];
}): Required<Pick<HostInterfaceStatus, 'interfaceCount' | 'networkCount'>> {
  return { interfaceCount: o.interfaces.length, networkCount: o.networks.length };
}

/** The list without the network, or undefined when it is not in it. */
export function removeHostNetwork(
  networks: readonly HostNetwork[],
  networkName: string,
): HostNetwork[] | undefined {
  const left = networks.filter(({ name }) => name !== networkName);
  return left.length === networks.length ? undefined : left;
}
