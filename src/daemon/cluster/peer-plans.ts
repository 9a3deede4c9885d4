// Routes to the pods of all other hosts, kept per network and peer, so that a change of one host
// among thousands costs the planning of one host.
import { formatCidr } from '../../shared/model/ip/cidr.ts';
import type { InterfaceInfo } from '../../shared/model/objects/host-interface.ts';
import type { DivisionCore, PlanHost } from '../../shared/model/plan/host-pools.ts';
import {
  type DuplicateIndex,
  planPeerRoutes,
  type UnreachablePeer,
} from '../../shared/model/plan/peer-routes.ts';
import type { ClusterView } from './cluster-view.ts';
import { type HostRecord, type NetworkRecord, toPlanHost } from './records.ts';

/** A route that this node should have. */
export interface DesiredRoute {
  readonly network: string;
  /** CIDR text. */
  readonly destination: string;
  readonly via: string;
  readonly interfaceName: string;
}

interface PeerPlan {
  readonly routes: readonly DesiredRoute[];
  readonly duplicates: readonly DuplicateIndex[];
  readonly unreachable: readonly UnreachablePeer[];
}

/** Peers planned before other work of the process gets its turn. */
const PEERS_PER_TURN = 200;

/** Plans of all networks for all peers. */
export class PeerPlans {
  readonly #core: DivisionCore;
  readonly #view: ClusterView;
  readonly #interfaces: () => readonly InterfaceInfo[];
  /** Network name, then host name. */
  readonly #plans = new Map<string, Map<string, PeerPlan>>();
  readonly #staleHosts = new Set<string>();
  #areAllStale = true;
  #last: Promise<void> = Promise.resolve();

  constructor(o: {
    core: DivisionCore;
    view: ClusterView;
    /** This node's NICs as they are now. */
    interfaces: () => readonly InterfaceInfo[];
  }) {
    this.#core = o.core;
    this.#view = o.view;
    this.#interfaces = o.interfaces;
  }

  /** The host's object changed or is gone. */
  hostChanged(name: string): void {
    this.#staleHosts.add(name);
  }

  /** A network, or something about this node, changed. */
  allChanged(): void {
    this.#areAllStale = true;
  }

  /** A network, or something about this node, changed since `refresh` began: plans are old. */
  get isOutdated(): boolean {
    return this.#areAllStale && this.#view.isLive && this.#view.self() !== undefined;
  }

  /**
   * Plans again what changed; nothing while the API server was never heard. One at a time. What is
   * aborted, or fails, changes no plan and is done by the next call.
   */
  refresh(signal: AbortSignal): Promise<void> {
    const run = this.#last.then(() => this.#refresh(signal));
    this.#last = run.catch(() => undefined); // reported to the caller of this run
    return run;
  }

  async #refresh(signal: AbortSignal): Promise<void> {
    const self = this.#view.self();
    if (!this.#view.isLive || self === undefined) return;
    const isFull = this.#areAllStale;
    const stale = new Set(this.#staleHosts);
    // Before the planning: what changes meanwhile is stale again.
    this.#areAllStale = false;
    this.#staleHosts.clear();
    try {
      const networks = this.#view.networks();
      const peers = isFull ? [...this.#view.peers()] : [...stale].flatMap((n) => this.#peer(n));
      const planned = new Map<string, Map<string, PeerPlan>>();
      for (const network of networks) {
        planned.set(network.name, await this.#planPeers({ network, self, peers, signal }));
      }
      this.#store(planned, isFull ? undefined : stale);
    } catch (error) {
      if (isFull) this.#areAllStale = true;
      for (const name of stale) this.#staleHosts.add(name);
      throw error;
    }
  }

  /** In one go: whoever reads finds no part of a plan. With `stale`, other peers keep theirs. */
  #store(
    planned: Map<string, Map<string, PeerPlan>>,
    stale: ReadonlySet<string> | undefined,
  ): void {
    for (const name of this.#plans.keys()) if (!planned.has(name)) this.#plans.delete(name);
    for (const [network, plans] of planned) {
      const kept = stale === undefined ? undefined : this.#plans.get(network);
      if (kept === undefined) {
        this.#plans.set(network, plans);
        continue;
      }
      for (const name of stale ?? []) kept.delete(name);
      for (const [name, plan] of plans) kept.set(name, plan);
    }
  }

  /** One route per destination. Where two peers claim one, neither gets it. */
  routes(): { routes: DesiredRoute[]; contested: string[] } {
    const byDestination = new Map<string, DesiredRoute>();
    const contested = new Set<string>();
    for (const plans of this.#plans.values()) {
      for (const { routes } of plans.values()) {
        for (const route of routes) {
          if (byDestination.has(route.destination)) contested.add(route.destination);
          else byDestination.set(route.destination, route);
        }
      }
    }
    for (const destination of contested) byDestination.delete(destination);
    return { routes: [...byDestination.values()], contested: [...contested].sort() };
  }

  /** Positions of this node that another host holds as well. */
  duplicates(network: string): DuplicateIndex[] {
    return [...(this.#plans.get(network)?.values() ?? [])].flatMap((plan) => plan.duplicates);
  }

  /** Peers and NICs without a route, with the reason. */
  unreachable(): (UnreachablePeer & { network: string })[] {
    return [...this.#plans].flatMap(([network, plans]) =>
      [...plans.values()].flatMap((plan) => plan.unreachable.map((peer) => ({ network, ...peer }))),
    );
  }

  #peer(name: string): HostRecord[] {
    const host = this.#view.host(name);
    return host === undefined || host.hostName === this.#view.node ? [] : [host];
  }

  /** By host name. Throws the signal's reason when it is aborted. */
  async #planPeers(o: {
    network: NetworkRecord;
    self: HostRecord;
    peers: readonly HostRecord[];
    signal: AbortSignal;
  }): Promise<Map<string, PeerPlan>> {
    const { network, peers, signal } = o;
    const plans = new Map<string, PeerPlan>();
    const self = toPlanHost(o.self, network, this.#interfaces());
    for (const [index, peer] of peers.entries()) {
      if (index % PEERS_PER_TURN === PEERS_PER_TURN - 1) {
        await new Promise((resolve) => setImmediate(resolve));
        signal.throwIfAborted();
      }
      plans.set(peer.hostName, this.#planPeer(network, self, toPlanHost(peer, network)));
    }
    return plans;
  }

  #planPeer(network: NetworkRecord, self: PlanHost, peer: PlanHost): PeerPlan {
    const { definition, interfaceIndices, name } = network;
    if (definition === undefined) return { routes: [], duplicates: [], unreachable: [] };
    const plan = planPeerRoutes(this.#core, definition, interfaceIndices, self, [peer]);
    return {
      duplicates: plan.duplicates,
      unreachable: plan.unreachable,
      routes: plan.routes.map(({ destination, via, interfaceName }) => ({
        network: name,
        destination: formatCidr(destination),
        via,
        interfaceName,
      })),
    };
  }
}
