// Which pools this node should have now: every network's division applied to this node's NICs, and
// what must not be used because another host claims it as well. Pure.
import type { InterfaceInfo } from '../../shared/model/objects/host-interface.ts';
import {
  type DivisionCore,
  explainHostPools,
  findSharedNets,
  type HostPool,
  hostAddressBlocks,
  type SkippedInterface,
} from '../../shared/model/plan/host-pools.ts';
import type { DuplicateIndex } from '../../shared/model/plan/peer-routes.ts';
import { type HostRecord, type NetworkRecord, toPlanHost } from '../cluster/records.ts';
import type { WantedPool } from './pool-set.ts';

/** The pools of one network, and why NICs have none. */
export interface NetworkPools {
  readonly network: string;
  readonly pools: readonly WantedPool[];
  readonly skipped: readonly SkippedInterface[];
  /** Canonical net addresses in which this node holds a host index. */
  readonly plannedNets: ReadonlySet<string>;
}

/** What is known of one network when its pools are planned. */
export interface PoolInputs {
  readonly network: NetworkRecord;
  readonly self: HostRecord;
  readonly interfaces: readonly InterfaceInfo[];
  /** All hosts with their NICs: some would share a pool, some have addresses inside of one. */
  readonly hosts: readonly HostRecord[];
  readonly duplicates: readonly DuplicateIndex[];
}

/** Plans the pools of one network. A network that cannot be used has none. */
export function planNetworkPools(core: DivisionCore, o: PoolInputs): NetworkPools {
  const { network, self, interfaces, duplicates } = o;
  const { name, definition, interfaceIndices } = network;
  const reserved = definition?.hostSubnetMode === true ? hostAddressBlocks(o.hosts) : [];
  const host = { ...toPlanHost(self, network, interfaces), reserved };
  const plannedNets = new Set(host.hostIndices.keys());
  if (definition === undefined) return { network: name, pools: [], skipped: [], plannedNets };
  const { pools, skipped } = explainHostPools(core, definition, interfaceIndices, host);
  const claims = new Map(duplicates.map((claim) => [claim.netAddress, claim]));
  const shared = findSharedNets(definition, o.hosts);
  return {
    network: name,
    skipped,
    plannedNets,
    pools: pools.map((plan) => ({
      plan,
      reason: whyRefused(plan, claims.get(plan.netAddress), shared.get(plan.netAddress)),
    })),
  };
}

/** Two owners of one pool would give its addresses twice: then nobody uses it (design D6). */
function whyRefused(
  plan: HostPool,
  claim: DuplicateIndex | undefined,
  sharers: readonly string[] | undefined,
): string | undefined {
  if (claim?.hostIndex === plan.hostIndex) {
    return `host index ${claim.hostIndex} is held by ${claim.hostNames.join(' and ')}`;
  }
  if (sharers === undefined) return undefined;
  return `hostBlock 0 would give one pool to several hosts: ${sharers.join(', ')}`;
}
