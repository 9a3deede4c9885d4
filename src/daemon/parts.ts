// The parts of the daemon, built and connected. Nothing starts here.
import type { Core } from '../../core-wasm/index.ts';
import { FIELD_MANAGER_DAEMON } from '../shared/model/names.ts';
import type { Clock } from '../shared/platform/clock.ts';
import type { KubeClient } from '../shared/platform/kube/client.ts';
import { EventRecorder } from '../shared/platform/kube/event-recorder.ts';
import type { Logger } from '../shared/platform/log.ts';
import type { FaultPoints } from './attach/fault-points.ts';
import { KeyLock } from './attach/key-lock.ts';
import { MasterUse } from './attach/master-use.ts';
import type { AttachPorts, ClusterFacts, KnownNetwork } from './attach/ports.ts';
import { type ClusterChange, ClusterView } from './cluster/cluster-view.ts';
import { PeerPlans } from './cluster/peer-plans.ts';
import type { NetworkRecord } from './cluster/records.ts';
import { ClusterSaver, loadSavedCluster } from './cluster/saved-cluster.ts';
import type { HostNet } from './hostnet/host-net.ts';
import { type Discovery, Inventory } from './inventory/nic-inventory.ts';
import type { NetworkPools } from './ipam/plan-pools.ts';
import { PoolKeeper } from './ipam/pool-keeper.ts';
import { PoolSet } from './ipam/pool-set.ts';
import type { Journal } from './journal/journal.ts';
import type { LogFile } from './journal/log-sync.ts';
import { HostPublisher } from './publish/host-publisher.ts';
import { PoolPublisher } from './publish/pool-publisher.ts';
import { RoutesReporter } from './publish/routes-reporter.ts';
import { RouteKeeper } from './routes/route-keeper.ts';
import type { Settings } from './settings.ts';

/** Operations at once: each is synchronous in the kernel, so more only share commits. */
const LOCK_LIMITS = { running: 128, waiting: 1_024, waitMsMax: 30_000 };

/** What the daemon needs from outside. */
export interface DaemonOptions {
  readonly settings: Settings;
  readonly client: KubeClient;
  readonly hostNet: HostNet;
  readonly core: Core;
  readonly clock: Clock;
  readonly log: Logger;
  readonly faults: FaultPoints;
  /** Of the running kernel. */
  readonly bootId: string;
  readonly discover: () => Discovery;
  /** For tests: another way to bring the journal's log to the disk. */
  readonly openLog?: (path: string) => LogFile;
}

/** How parts tell the rest of the daemon that something changed. */
export interface PartEvents {
  readonly onPoolsChanged: (names: readonly string[]) => void;
  readonly onClusterChange: (what: ClusterChange, key: string) => void;
}

/** Everything between the sockets and the kernel. */
export interface Parts {
  readonly options: DaemonOptions;
  readonly journal: Journal;
  readonly lock: KeyLock;
  readonly pools: PoolSet;
  readonly view: ClusterView;
  readonly saver: ClusterSaver;
  readonly inventory: Inventory;
  readonly peers: PeerPlans;
  readonly keeper: PoolKeeper;
  readonly poolPublisher: PoolPublisher;
  readonly hostPublisher: HostPublisher;
  readonly routes: RouteKeeper;
  readonly routesReporter: RoutesReporter;
  readonly events: EventRecorder;
  readonly attachPorts: AttachPorts;
}

/** Builds the parts around an open journal. `signal` ends the watches. */
export function createParts(o: {
  options: DaemonOptions;
  journal: Journal;
  events: PartEvents;
  signal: AbortSignal;
}): Parts {
  const { options, journal, events, signal } = o;
  const { client, clock, core, hostNet, log, bootId } = options;
  const node = options.settings.node;
  const lock = new KeyLock({ limits: LOCK_LIMITS, now: () => clock.monotonic() });
  journal.commitAtOnceWhen(() => lock.isAlone);
  const masters = new MasterUse(journal);
  journal.tellOfInserts((attachment) => masters.add(attachment));
  const pools = new PoolSet({ core, holdings: journal });
  const saved = loadSavedCluster(journal, node);
  const onChange = events.onClusterChange;
  const view = new ClusterView({ client, node, saved, onChange, signal, log });
  const inventory = new Inventory({
    discover: options.discover,
    links: () => hostNet.links(),
    listed: () => {
      const self = view.self();
      return self?.isUnmanaged === true ? self.interfaces : [];
    },
  });
  const peers = new PeerPlans({ core, view, interfaces: () => inventory.interfaces });
  const common = { client, view, clock, journal, pools, log };
  const routes = new RouteKeeper({ hostNet, view, peers, log });
  const keeper = new PoolKeeper({ ...common, core, bootId, peers, inventory });
  return {
    options,
    journal,
    lock,
    pools,
    view,
    saver: new ClusterSaver(journal),
    inventory,
    peers,
    keeper,
    poolPublisher: new PoolPublisher({
      ...common,
      keeper,
      intervalMs: options.settings.publishIntervalMs,
    }),
    hostPublisher: new HostPublisher({ client, view, inventory }),
    routes,
    routesReporter: new RoutesReporter({ client, view, routes, clock }),
    events: new EventRecorder({
      client,
      clock,
      log,
      source: { component: FIELD_MANAGER_DAEMON, host: node },
      signal,
    }),
    attachPorts: {
      journal,
      pools,
      masters,
      hostNet,
      cluster: toClusterFacts(view, keeper),
      inventory: () => inventory.current,
      clock,
      log,
      faults: options.faults,
      exclusive: (containerId, work) => lock.run(containerId, work),
      bootId,
      quarantineMs: options.settings.quarantineMs,
      onPoolsChanged: events.onPoolsChanged,
    },
  };
}

/** The cluster as attaching sees it: objects from the view, plans from the keeper. */
function toClusterFacts(view: ClusterView, keeper: PoolKeeper): ClusterFacts {
  // The same object for as long as nothing changes: plans are remembered by it.
  const known = new Map<
    string,
    { record: NetworkRecord; plan: NetworkPools | undefined; network: KnownNetwork }
  >();
  return {
    get isKnown() {
      return view.isKnown;
    },
    network: (name): KnownNetwork | undefined => {
      const network = view.network(name);
      if (network === undefined) {
        known.delete(name);
        return undefined;
      }
      const plan = keeper.plan(name);
      const last = known.get(name);
      if (last?.record === network && last.plan === plan) return last.network;
      const next = toKnownNetwork(network, plan);
      known.set(name, { record: network, plan, network: next });
      return next;
    },
    deviceClass: (name) => view.deviceClass(name),
    podState: (pod) => view.podState(pod),
  };
}

function toKnownNetwork(network: NetworkRecord, plan: NetworkPools | undefined): KnownNetwork {
  return {
    name: network.name,
    definition: network.definition,
    issues: network.issues,
    plannedNets: plan?.plannedNets ?? new Set(),
    skipped: new Map((plan?.skipped ?? []).map((nic) => [nic.interfaceName, nic.reason])),
  };
}
