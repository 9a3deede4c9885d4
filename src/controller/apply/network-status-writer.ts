// Writes the status of a network: what the run found, counted over what is published by now.
import { isDeepStrictEqual } from 'node:util';
import { ROUTES_CONDITION } from '../../shared/model/objects/host-interface.ts';
import type { MultiNicNetworkStatus } from '../../shared/model/objects/multi-nic-network.ts';
import type { NetworkDefinition } from '../../shared/model/plan/network-definition.ts';
import { MULTI_NIC_NETWORKS } from '../../shared/platform/kube/resource.ts';
import { planConditionEvents } from '../plan/condition-events.ts';
import { type DaemonFinding, planDaemonFinding } from '../plan/daemon-status.ts';
import type { Ledger } from '../plan/ledger.ts';
import {
  type GivenIndices,
  type NetworkFinding,
  planNetworkStatus,
  toIndices,
} from '../plan/network-status.ts';
import { planRouteStatus, type RouteFinding, type RouteHost } from '../plan/routes.ts';
import { publishedIn } from '../watch/index-observation.ts';
import { type HostView, type NetworkView, toNetworkView } from '../watch/views.ts';
import type { Allocation } from './allocate-indices.ts';
import type { ControllerContext } from './context.ts';

export interface StatusTarget {
  readonly network: NetworkView;
  /** Undefined when the definition cannot be read. */
  readonly definition: NetworkDefinition | undefined;
  /** Undefined when indices were not looked at in this run. */
  readonly allocation: Allocation | undefined;
  readonly findings: readonly NetworkFinding[];
}

/** How many hosts have a NIC in the network, and how many of them all their indices (W-57). */
export function summarizeHosts(
  context: ControllerContext,
  network: NetworkView,
  masterNets: readonly string[],
): { hostCount: number; completeCount: number } {
  const nets = new Set(masterNets);
  let hostCount = 0;
  let completeCount = 0;
  for (const host of context.world.sortedHosts()) {
    const own = host.netAddresses.filter((netAddress) => nets.has(netAddress));
    if (own.length === 0) continue;
    hostCount++;
    const published = publishedIn(host, network);
    if (own.every((netAddress) => published.has(netAddress))) completeCount++;
  }
  return { hostCount, completeCount };
}

/** Returns the time after which to look again without a change, if there is one. */
export async function writeNetworkStatus(
  context: ControllerContext,
  target: StatusTarget,
  signal: AbortSignal,
): Promise<number | undefined> {
  const { world } = context;
  const { network, definition, allocation } = target;
  const daemons = daemonsOf(context, target);
  const routes = routesOf(context, target, daemons);
  const { discovery } = network.object.status ?? {};
  const status = planNetworkStatus({
    previous: network.object.status,
    generation: network.generation,
    nowText: new Date(context.clock.now()).toISOString(),
    findings: [...target.findings, ...routeFinding(definition, routes), daemons.finding],
    routes,
    computeResults: computeResults(context, target),
    daemons: daemons.count,
    discovery: {
      existDaemon: world.daemonNodes()?.size ?? discovery?.existDaemon ?? 0,
      infoAvailable: world.sortedHosts().filter(({ interfaces }) => interfaces.length > 0).length,
      cidrProcessed: allocation
        ? summarizeHosts(context, network, allocation.plan.masterNets).completeCount
        : (discovery?.cidrProcessed ?? 0),
    },
    given: allocation && givenBy(allocation.plan.ledger),
  });
  if (status === undefined) return daemons.afterMs;
  await patchStatus(context, { network, status }, signal);
  const before = network.object.status?.conditions ?? [];
  const events = planConditionEvents(network, before, status.conditions ?? []);
  for (const event of events) context.events.record(event);
  return daemons.afterMs;
}

/** Writes, if it is not there, what indices of the ledger stand for; returns the network then. */
export async function explainIndices(
  context: ControllerContext,
  { network, ledger }: { network: NetworkView; ledger: Ledger },
  signal: AbortSignal,
): Promise<NetworkView> {
  const status = toIndices(givenBy(ledger));
  const { interfaceIndices = [], division } = network.object.status ?? {};
  const known = { interfaceIndices, ...(division === undefined ? {} : { division }) };
  if (isDeepStrictEqual({ ...known, ...status }, known)) return network;
  return await patchStatus(context, { network, status }, signal);
}

async function patchStatus(
  { client, world }: ControllerContext,
  { network, status }: { network: NetworkView; status: Partial<MultiNicNetworkStatus> },
  signal: AbortSignal,
): Promise<NetworkView> {
  const { name, resourceVersion } = network;
  const body = { metadata: { resourceVersion }, status };
  const patch = { type: 'merge', subresource: 'status', body } as const;
  const stored = await client.patch(MULTI_NIC_NETWORKS, { name }, patch, { signal });
  const view = toNetworkView(stored);
  world.networks.put(name, view, resourceVersion);
  return view;
}

/** How the hosts of a network are covered by daemons, and when that is to be judged again. */
function daemonsOf(
  context: ControllerContext,
  { network, definition, allocation }: StatusTarget,
): DaemonFinding & { readonly afterMs: number | undefined } {
  const { world, daemonless, daemonGraceMs: graceMs } = context;
  const nets = new Set(allocation?.plan.masterNets ?? definition?.masterNets);
  const hosts = world.sortedHosts().filter(
    (host) =>
      !host.isTest && // simulated, without a daemon
      (host.published.has(network.name) ||
        host.netAddresses.some((net) => nets.size === 0 || nets.has(net))),
  );
  const withoutMs = daemonless.forMs(network.name);
  const before = network.object.status?.conditions?.find((one) => one.type === 'DaemonsReady');
  const found = planDaemonFinding({
    hosts: hosts.map(({ name }) => name),
    ready: world.daemonNodes(),
    previous: before && { ...before, type: 'DaemonsReady' },
    withoutMs,
    graceMs,
  });
  if (!found.isWithout) daemonless.end(network.name);
  const isWaited = found.isWithout && found.finding.status === 'True';
  return { ...found, afterMs: isWaited ? graceMs - withoutMs : undefined };
}

function givenBy({ nets, division }: Ledger): GivenIndices {
  const interfaceIndices = nets.map(({ netAddress, interfaceIndex }) => ({
    netAddress,
    interfaceIndex,
  }));
  return { interfaceIndices, division };
}

/** Hosts with an index, per net address. Without a look at indices the stored numbers stay. */
function computeResults(
  context: ControllerContext,
  { network, allocation, definition }: StatusTarget,
): { netAddress: string; numOfHosts: number }[] {
  if (definition?.managedIpam === false) return [];
  if (allocation === undefined) return network.object.status?.computeResults ?? [];
  const counts = new Map(allocation.plan.ledger.nets.map(({ netAddress }) => [netAddress, 0]));
  for (const host of context.world.sortedHosts()) {
    for (const netAddress of publishedIn(host, network).keys()) {
      const count = counts.get(netAddress);
      if (count !== undefined) counts.set(netAddress, count + 1);
    }
  }
  return [...counts].map(([netAddress, numOfHosts]) => ({ netAddress, numOfHosts }));
}

/** Where no daemon is left, what they reported last says nothing any more. */
function routesOf(
  context: ControllerContext,
  { network, definition }: StatusTarget,
  daemons: DaemonFinding,
): RouteFinding {
  const daemonNodes = context.world.daemonNodes() ?? new Set();
  const isStale = daemons.finding.status === 'False';
  const hosts = context.world
    .sortedHosts()
    .filter((host) => publishedIn(host, network).size > 0)
    .map((host) => ({
      name: host.name,
      ...(isStale ? { routes: undefined } : reportedRoutes(host)),
      hasDaemon: daemonNodes.has(host.name),
    }));
  return planRouteStatus(definition?.routed ?? false, hosts);
}

function reportedRoutes({ conditions }: HostView): Pick<RouteHost, 'routes' | 'message'> {
  const report = conditions.find(({ type }) => type === ROUTES_CONDITION);
  if (report === undefined) return { routes: undefined };
  return { routes: report.status, message: report.message };
}

function routeFinding(
  definition: NetworkDefinition | undefined,
  { status, message }: RouteFinding,
): NetworkFinding[] {
  const type = 'RoutesReady';
  if (definition === undefined || status === 'N/A') return [];
  if (status === 'Success') {
    const done = 'all hosts report their routes as planned';
    return [{ type, status: 'True', reason: 'Success', message: done }];
  }
  return [{ type, status: status === 'Failed' ? 'False' : 'Unknown', reason: status, message }];
}
