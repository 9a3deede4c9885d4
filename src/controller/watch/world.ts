// Everything that the controller watches, projected, and which keys a change of it makes work for.
// No decision is taken here: a change only enqueues.
import { LEDGER_NAME_PREFIX } from '../../shared/model/names.ts';
import { type Clock, systemClock } from '../../shared/platform/clock.ts';
import type { KubeClient } from '../../shared/platform/kube/client.ts';
import type { Collection } from '../../shared/platform/kube/collection.ts';
import type { Logger } from '../../shared/platform/log.ts';
import type { NadView } from '../plan/nads.ts';
import { sortNetAddresses } from '../plan/net-order.ts';
import { type Batch, createBatch } from './batch.ts';
import { type Collections, watchCollections } from './collections.ts';
import { type GivenDivision, readGivenDivision } from './given-division.ts';
import { formatWorkKey, type WorkKind } from './keys.ts';
import { Overlay } from './overlay.ts';
import { PoolIndex } from './pool-index.ts';
import { Since } from './since.ts';
import type {
  CidrView,
  ConfigView,
  DaemonSetView,
  HostView,
  LedgerView,
  NetworkView,
  NodeView,
  PoolView,
} from './views.ts';

export interface WorldOptions {
  readonly client: KubeClient;
  /** Where ledgers, the DaemonSet and the daemon's pods are. */
  readonly namespace: string;
  readonly enqueue: (key: string) => void;
  readonly signal: AbortSignal;
  readonly log: Logger;
  readonly clock?: Clock;
  /** Changes of hosts wait so long for others before networks are planned. */
  readonly hostBatchMs?: number;
  /** Shortest time between two counts of daemons. */
  readonly statusBatchMs?: number;
}

const HOST_BATCH_MS = 100;
const STATUS_BATCH_MS = 2_000;
/**
 * Every daemon watches every network, so what a count costs grows with the number of daemons. With
 * this much time for each of them, a rollout makes at most 200 events a second per network.
 */
const STATUS_BATCH_MS_PER_DAEMON = 5;

export class World {
  readonly networks = new Overlay<NetworkView>(() => this.#all.networks);
  readonly hosts = new Overlay<HostView>(() => this.#all.hosts);
  readonly #ledgers = new Overlay<LedgerView>(() => this.#all.ledgers);
  readonly #cidrs = new Overlay<CidrView>(() => this.#all.cidrs);
  readonly pools = new PoolIndex();
  /** That Nodes are absent. Here, because one that was there between two looks starts anew. */
  readonly absences: Since;
  readonly #all: Collections;
  readonly #options: WorldOptions;
  readonly #soon: Batch;
  readonly #later: Batch;
  /** Hosts of which Node and HostInterface were confirmed absent, with what was published last. */
  readonly #gone = new Map<string, HostView | undefined>();
  /** The last state of each HostInterface, kept when it is deleted while its Node stays. */
  readonly #lastHosts = new Map<string, HostView>();
  #sortedHosts: readonly HostView[] | undefined;
  #hostsVersion = 0;
  #addressesVersion = 0;
  #hostNets: readonly string[] | undefined;
  /** What of each network is more than its status. */
  readonly #networks = new Map<string, string>();
  /** What of each DaemonSet is more than a count, by key. */
  readonly #daemonSets = new Map<string, string>();
  /** Networks in which a host holds an index. */
  readonly #holding = new Set<string>();

  constructor(options: WorldOptions) {
    this.#options = options;
    const { signal, clock = systemClock } = options;
    this.absences = new Since(clock);
    const flush = (keys: readonly string[]): void => {
      for (const key of keys) options.enqueue(key);
    };
    const delayMs = options.hostBatchMs ?? HOST_BATCH_MS;
    this.#soon = createBatch({ delayMs: () => delayMs, clock, signal, flush });
    this.#later = createBatch({ delayMs: () => this.#countDelayMs(), clock, signal, flush });
    this.#all = this.#watchAll();
    for (const { synced } of [this.#all.nads, this.#all.daemonPods]) {
      synced.then(
        () => this.#enqueueNetworks(),
        () => undefined, // rejected only when everything ends
      );
    }
  }

  /** Resolves when all that indices depend on is known: the restore barrier (design D5). */
  async restored(): Promise<void> {
    const { networks, hosts, nodes, ledgers, cidrs, pools, namespaces, configs } = this.#all;
    const needed = [networks, hosts, nodes, ledgers, cidrs, pools, namespaces, configs];
    await Promise.all(needed.map(({ synced }) => synced));
  }

  get isRestored(): boolean {
    const { networks, hosts, nodes, ledgers, cidrs, pools, namespaces, configs } = this.#all;
    const needed = [networks, hosts, nodes, ledgers, cidrs, pools, namespaces, configs];
    return needed.every(({ isSynced }) => isSynced);
  }

  /** Undefined until the kind exists and was listed. */
  get nads(): Collection<NadView> | undefined {
    return this.#all.nads.isSynced ? this.#all.nads : undefined;
  }

  /** Changes whenever any HostInterface, or who is gone, does. */
  get hostsVersion(): number {
    return this.#hostsVersion;
  }

  /** Changes whenever it may have changed which addresses networks want or hosts hold. */
  get addressesVersion(): number {
    return this.#addressesVersion;
  }

  /** All HostInterfaces by name. */
  sortedHosts(): readonly HostView[] {
    this.#sortedHosts ??= [...this.hosts.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
    return this.#sortedHosts;
  }

  /** Net addresses that any host has, in numeric order. */
  hostNetAddresses(): readonly string[] {
    this.#hostNets ??= sortNetAddresses(this.sortedHosts().flatMap((host) => host.netAddresses));
    return this.#hostNets;
  }

  putHost(view: HostView, basedOn: string): void {
    this.hosts.put(view.name, view, basedOn);
    this.#keepLast(view.name);
    this.#forgetSorted();
  }

  hasNode(name: string): boolean {
    return this.#all.nodes.has(name);
  }

  get nodeCount(): number {
    return this.#all.nodes.size;
  }

  nodes(): Iterable<NodeView> {
    return this.#all.nodes.values();
  }

  activeNamespaces(): string[] {
    return [...this.#all.namespaces.values()]
      .filter(({ isActive }) => isActive)
      .map(({ name }) => name)
      .sort();
  }

  ledger(network: string): LedgerView | undefined {
    return this.#ledgers.get(this.#ledgerKey(network));
  }

  putLedger(view: LedgerView, basedOn: string | undefined): void {
    this.#addressesVersion++;
    this.#ledgers.put(this.#ledgerKey(view.network), view, basedOn);
  }

  cidr(network: string): CidrView | undefined {
    return this.#cidrs.get(network);
  }

  putCidr(view: CidrView, basedOn: string | undefined): void {
    this.#cidrs.put(view.name, view, basedOn);
  }

  pool(name: string): PoolView | undefined {
    return this.#all.pools.get(name);
  }

  config(name: string): ConfigView | undefined {
    return this.#all.configs.get(name);
  }

  /** Undefined until it was listed, then null where there is none. */
  daemonSet(name: string): DaemonSetView | null | undefined {
    if (!this.#all.daemonSets.isSynced) return undefined;
    return this.#all.daemonSets.get(`${this.#options.namespace}/${name}`) ?? null;
  }

  /** Nodes on which a daemon's pod is ready; undefined until the pods were listed. */
  daemonNodes(): ReadonlySet<string> | undefined {
    if (!this.#all.daemonPods.isSynced) return undefined;
    const ready = [...this.#all.daemonPods.values()].filter(({ isReady }) => isReady);
    return new Set(ready.map(({ nodeName }) => nodeName));
  }

  /** Says that Node and HostInterface of a host were both confirmed absent just now. */
  markGone(hostName: string): void {
    this.#gone.set(hostName, this.#lastHosts.get(hostName));
    this.#lastHosts.delete(hostName);
    this.#hostsVersion++;
    this.#enqueueNetworks();
  }

  gone(): ReadonlyMap<string, HostView | undefined> {
    return this.#gone;
  }

  /** Last states of HostInterfaces that were deleted while nothing proves that the host is gone. */
  departed(): HostView[] {
    return [...this.#lastHosts.values()].filter(({ name }) => this.hosts.get(name) === undefined);
  }

  /** What indices of a network were given for, as long as a host holds one. */
  given(network: string): GivenDivision | undefined {
    return readGivenDivision({ ledger: this.ledger(network), cidr: this.cidr(network) });
  }

  /** Networks, and those that are gone while something that was given in them is recorded. */
  networkNames(): ReadonlySet<string> {
    const { networks, ledgers, cidrs } = this.#all;
    const recorded = [...ledgers.values()].map(({ network }) => network);
    return new Set([...networks.keys(), ...cidrs.keys(), ...recorded]);
  }

  /** Everything there is to reconcile, for the start and for the slow resync. */
  allKeys(): string[] {
    const { hosts, cidrs, configs, pools } = this.#all;
    const cidrHosts = [...cidrs.values()].flatMap(({ object }) =>
      object.spec.cidr.flatMap((entry) => entry.hosts.map(({ hostName }) => hostName)),
    );
    const keysOf = (kind: WorkKind, ...names: Iterable<string>[]): string[] =>
      [...new Set(names.flatMap((some) => [...some]))].map((name) => formatWorkKey(kind, name));
    return [
      ...keysOf('config', configs.keys()),
      ...keysOf('host', hosts.keys(), this.pools.hosts(), cidrHosts),
      ...keysOf('network', this.networkNames(), this.pools.networks()),
      ...keysOf(
        'pool',
        [...pools.values()].filter(isStuck).map(({ name }) => name),
      ),
    ];
  }

  #ledgerKey(network: string): string {
    return `${this.#options.namespace}/${LEDGER_NAME_PREFIX}${network}`;
  }

  #enqueue(kind: WorkKind, name: string): void {
    this.#options.enqueue(formatWorkKey(kind, name));
  }

  #enqueueNetworks(batch?: Batch): void {
    for (const name of this.#all.networks.keys()) {
      if (batch === undefined) this.#enqueue('network', name);
      else batch.add(formatWorkKey('network', name));
    }
  }

  /**
   * A status that changed, mostly by our own hand, is looked at when counts are: were it looked at
   * at once, each write would count anew what changed meanwhile, and be followed by the next.
   */
  #networkChanged(name: string): void {
    this.networks.forget(name);
    this.#addressesVersion++;
    const view = this.#all.networks.get(name);
    const definition = view && `${view.uid} ${view.generation} ${view.isDeleting} `;
    const state = view && `${definition}${view.finalizers}`;
    const known = this.#networks.get(name);
    if (state === undefined) this.#networks.delete(name);
    else this.#networks.set(name, state);
    if (state !== undefined && state === known) {
      this.#later.add(formatWorkKey('network', name));
      return;
    }
    // A definition that comes, goes or changes may make or end an overlap with any other.
    const isSame = definition !== undefined && known?.startsWith(definition) === true;
    if (!isSame) this.#enqueueNetworks();
    this.#enqueue('network', name);
  }

  #hostChanged(name: string): void {
    this.hosts.forget(name);
    this.#addressesVersion++;
    this.#forgetSorted();
    this.#keepLast(name);
    if (this.#all.hosts.has(name)) this.#gone.delete(name);
    this.#enqueue('host', name);
    this.#enqueueNetworks(this.#soon);
  }

  /** The newest state that is known: the answer to a write may come after that of a later one. */
  #keepLast(name: string): void {
    const view = this.hosts.get(name);
    if (view !== undefined) this.#lastHosts.set(name, view);
  }

  #forgetSorted(): void {
    this.#hostsVersion++;
    this.#sortedHosts = undefined;
    this.#hostNets = undefined;
  }

  #nodeChanged(name: string): void {
    if (this.#all.nodes.has(name)) {
      this.#gone.delete(name);
      this.absences.end(name);
    }
    this.#enqueue('host', name);
  }

  #poolChanged(name: string): void {
    const pool = this.#all.pools.get(name);
    const before = this.pools.update(name, pool);
    const hostName = (pool ?? before)?.hostName;
    if (hostName !== undefined && !this.hasNode(hostName)) this.#enqueue('host', hostName);
    if (pool !== undefined && isStuck(pool)) this.#enqueue('pool', name);
    const network = (pool ?? before)?.network;
    if (network === undefined) return;
    const view = this.#all.networks.get(network);
    if (view === undefined || view.isDeleting) this.#enqueue('network', network);
  }

  #ledgerChanged(key: string): void {
    this.#ledgers.forget(key);
    const network = key.slice(this.#ledgerKey('').length);
    this.#enqueue('network', network);
    this.#holdingChanged(network);
  }

  #cidrChanged(network: string): void {
    this.#cidrs.forget(network);
    this.#enqueue('network', network);
    this.#holdingChanged(network);
  }

  /** The last index that is given back makes room for networks that wait for the addresses. */
  #holdingChanged(network: string): void {
    this.#addressesVersion++;
    if (this.given(network) !== undefined) this.#holding.add(network);
    else if (this.#holding.delete(network)) this.#enqueueNetworks();
  }

  #countDelayMs(): number {
    const { statusBatchMs = STATUS_BATCH_MS } = this.#options;
    return Math.max(statusBatchMs, this.#all.daemonPods.size * STATUS_BATCH_MS_PER_DAEMON);
  }

  /** Somebody else's change is put right at once; how many daemons are ready is only counted. */
  #daemonSetChanged(key: string): void {
    const name = key.slice(key.indexOf('/') + 1);
    const view = this.#all.daemonSets.get(key);
    const state = view && `${view.uid} ${view.generation} ${view.rendered} ${view.isDeleting}`;
    const isCount = state !== undefined && state === this.#daemonSets.get(key);
    if (state === undefined) this.#daemonSets.delete(key);
    else this.#daemonSets.set(key, state);
    if (isCount) this.#later.add(formatWorkKey('config', name));
    else this.#enqueue('config', name);
  }

  #configChanged(name: string): void {
    this.#enqueue('config', name);
    this.#enqueueNetworks();
  }

  #watchAll(): Collections {
    const soon = (): void => this.#enqueueNetworks(this.#soon);
    const nameOf = (key: string): string => key.slice(key.indexOf('/') + 1);
    return watchCollections(this.#options, {
      networks: (key) => this.#networkChanged(key),
      hosts: (key) => this.#hostChanged(key),
      nodes: (key) => this.#nodeChanged(key),
      namespaces: soon,
      ledgers: (key) => this.#ledgerChanged(key),
      cidrs: (key) => this.#cidrChanged(key),
      pools: (key) => this.#poolChanged(key),
      configs: (key) => this.#configChanged(key),
      daemonSets: (key) => this.#daemonSetChanged(key),
      daemonPods: () => this.#enqueueNetworks(this.#later),
      nads: (key) => this.#enqueue('network', nameOf(key)),
    });
  }
}

/** Waits for a finalizer that only the original set: nobody else will take it away. */
function isStuck(pool: PoolView): boolean {
  return pool.isDeleting && pool.finalizers.length > 0;
}
