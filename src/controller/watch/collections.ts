// The kinds that the controller watches, which objects of them, and what is kept of each.
import { GENERATED_LABEL, LEDGER_LABEL } from '../../shared/model/names.ts';
import { type Clock, systemClock } from '../../shared/platform/clock.ts';
import type { KubeClient } from '../../shared/platform/kube/client.ts';
import { type Collection, watchCollection } from '../../shared/platform/kube/collection.ts';
import * as kinds from '../../shared/platform/kube/resource.ts';
import type { Logger } from '../../shared/platform/log.ts';
import type { NadView } from '../plan/nads.ts';
import {
  type CidrView,
  type ConfigView,
  DAEMON_POD_SELECTOR,
  type DaemonPodView,
  type DaemonSetView,
  type HostView,
  type LedgerView,
  type NamespaceView,
  type NetworkView,
  type NodeView,
  type PoolView,
  toCidrView,
  toConfigView,
  toDaemonPodView,
  toDaemonSetView,
  toHostView,
  toLedgerView,
  toNadView,
  toNamespaceView,
  toNetworkView,
  toNodeView,
  toPoolView,
} from './views.ts';

/** One live copy per kind. */
export interface Collections {
  readonly networks: Collection<NetworkView>;
  readonly hosts: Collection<HostView>;
  readonly nodes: Collection<NodeView>;
  readonly namespaces: Collection<NamespaceView>;
  readonly ledgers: Collection<LedgerView>;
  readonly cidrs: Collection<CidrView>;
  readonly pools: Collection<PoolView>;
  readonly configs: Collection<ConfigView>;
  readonly daemonSets: Collection<DaemonSetView>;
  readonly daemonPods: Collection<DaemonPodView>;
  readonly nads: Collection<NadView>;
}

/** Called with the key of what changed. */
export type Changed = Readonly<Record<keyof Collections, (key: string) => void>>;

/** Starts all of them. `namespace`: where ledgers, the DaemonSet and the daemon's pods are. */
export function watchCollections(
  o: {
    readonly client: KubeClient;
    readonly namespace: string;
    readonly signal: AbortSignal;
    readonly log: Logger;
    readonly clock?: Clock;
  },
  changed: Changed,
): Collections {
  const { client, signal, log, namespace, clock = systemClock } = o;
  const base = { client, signal, log, clock };
  return {
    networks: watchCollection({
      ...base,
      resource: kinds.MULTI_NIC_NETWORKS,
      project: toNetworkView,
      onChange: changed.networks,
    }),
    hosts: watchCollection({
      ...base,
      resource: kinds.HOST_INTERFACES,
      project: toHostView,
      onChange: changed.hosts,
    }),
    nodes: watchCollection({
      ...base,
      resource: kinds.NODES,
      project: toNodeView,
      onChange: changed.nodes,
    }),
    namespaces: watchCollection({
      ...base,
      resource: kinds.NAMESPACES,
      project: toNamespaceView,
      onChange: changed.namespaces,
    }),
    ledgers: watchCollection({
      ...base,
      resource: kinds.CONFIG_MAPS,
      namespace,
      labelSelector: `${LEDGER_LABEL}=true`,
      project: toLedgerView,
      onChange: changed.ledgers,
    }),
    cidrs: watchCollection({
      ...base,
      resource: kinds.CIDRS,
      project: toCidrView,
      onChange: changed.cidrs,
    }),
    pools: watchCollection({
      ...base,
      resource: { ...kinds.IP_POOLS, parse: kinds.parseNamed },
      project: toPoolView,
      onChange: changed.pools,
    }),
    configs: watchCollection({
      ...base,
      resource: kinds.DAEMON_CONFIGS,
      project: toConfigView,
      onChange: changed.configs,
    }),
    daemonSets: watchCollection({
      ...base,
      resource: kinds.DAEMON_SETS,
      namespace,
      project: toDaemonSetView,
      onChange: changed.daemonSets,
    }),
    daemonPods: watchCollection({
      ...base,
      resource: kinds.PODS,
      namespace,
      labelSelector: DAEMON_POD_SELECTOR,
      project: toDaemonPodView,
      onChange: changed.daemonPods,
    }),
    nads: watchCollection({
      ...base,
      resource: kinds.NET_ATTACH_DEFS,
      labelSelector: `${GENERATED_LABEL}=true`,
      project: toNadView,
      onChange: changed.nads,
    }),
  };
}
