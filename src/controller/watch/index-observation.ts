// Gathers from the watched objects what planning of a network's indices starts from.
import type { IndexHost, IndexRecord } from '../plan/host-claims.ts';
import type { IndexInput, IndexNetwork } from '../plan/index-input.ts';
import type { InterfaceRecord } from '../plan/interface-indices.ts';
import type { Ledger } from '../plan/ledger.ts';
import type { Problem } from '../plan/problem.ts';
import { readCidrObject, readPools } from '../plan/records.ts';
import type { HostView, NetworkView } from './views.ts';
import type { World } from './world.ts';

/** The observed part of `IndexInput`. */
export type Observation = Pick<
  IndexInput,
  'hosts' | 'hostRecords' | 'interfaceRecords' | 'gone'
> & { readonly problems: readonly Problem[] };

const NONE: ReadonlyMap<string, number> = new Map();

/** Indices of a host in the network of that name and UID. */
export function publishedIn(host: HostView, network: NetworkView): ReadonlyMap<string, number> {
  const published = host.published.get(network.name);
  return published?.uid === network.uid ? published.indices : NONE;
}

/** Only what is published: enough while nothing has to be given or settled. */
export function observeHosts(world: World, network: NetworkView): Observation {
  const hosts = world.sortedHosts().map(
    (host): IndexHost => ({
      name: host.name,
      netAddresses: host.netAddresses,
      published: publishedIn(host, network),
    }),
  );
  const { interfaceIndices = [] } = network.object.status ?? {};
  const gone = new Set(world.gone().keys());
  return { hosts, hostRecords: [], interfaceRecords: interfaceIndices, gone, problems: [] };
}

/**
 * With every other record there is: the CIDR object, IPPools, and HostInterfaces that went away.
 */
export function observeRecords(
  world: World,
  o: { network: NetworkView; division: IndexNetwork; ledger: Ledger | undefined },
): Observation {
  const base = observeHosts(world, o.network);
  const cidr = world.cidr(o.network.name);
  const fromCidr = cidr && readCidrObject(o.division, cidr.object.spec);
  const interfaces = [
    ...(o.ledger?.nets ?? []),
    ...base.interfaceRecords,
    ...(fromCidr?.interfaces ?? []),
  ];
  const netAddresses = new Map(interfaces.map((net) => [net.interfaceIndex, net.netAddress]));
  const fromPools = readPools(o.division, world.pools.ofNetwork(o.network.name), {
    netAddressAt: (interfaceIndex) => netAddresses.get(interfaceIndex),
    netAddressOf: (hostName, interfaceName) => {
      const host = world.hosts.get(hostName);
      const nic = host?.interfaces.find((one) => one.interfaceName === interfaceName);
      return nic?.netAddress;
    },
  });
  return {
    ...base,
    hostRecords: [
      ...(fromCidr?.hosts ?? []),
      ...fromPools.hosts,
      ...departedRecords(world, o.network),
    ],
    interfaceRecords: [
      ...base.interfaceRecords,
      ...(fromCidr?.interfaces ?? []),
      ...fromPools.interfaces,
    ] satisfies InterfaceRecord[],
    problems: [...(fromCidr?.problems ?? []), ...fromPools.problems],
  };
}

/**
 * What was published for hosts whose HostInterface is not there at present, or never will be again.
 */
function departedRecords(world: World, network: NetworkView): IndexRecord[] {
  const lost = [...world.gone().values()].flatMap((view) => view ?? []);
  return [...world.departed(), ...lost].flatMap((view) =>
    [...publishedIn(view, network)].map(([netAddress, hostIndex]) => ({
      hostName: view.name,
      netAddress,
      hostIndex,
      source: 'a HostInterface that was deleted',
    })),
  );
}
