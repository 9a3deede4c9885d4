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

  /** Plans again what changed; nothing while the API server was never heard. One at a time. */
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
    this.#areAllStale = false;
    this.#staleHosts.clear();
    const networks = this.#view.networks();
    const names = new Set(networks.map(({ name }) => name));
    for (const name of this.#plans.keys()) if (!names.has(name)) this.#plans.delete(name);
    const peers = isFull ? [...this.#view.peers()] : [...stale].flatMap((n) => this.#peer(n));
    for (const network of networks) {
      const plans = isFull
        ? new Map<string, PeerPlan>()
        : (this.#plans.get(network.name) ?? new Map());
      for (const name of stale) plans.delete(name);
      await this.#planPeers({ network, self, peers, plans, signal });
      this.#plans.set(network.name, plans);
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

  async #planPeers(o: {
    network: NetworkRecord;
    self: HostRecord;
    peers: readonly HostRecord[];
    plans: Map<string, PeerPlan>;
    signal: AbortSignal;
  }): Promise<void> {
    const { network, peers, plans, signal } = o;
    const self = toPlanHost(o.self, network, this.#interfaces());
    for (const [index, peer] of peers.entries()) {
      if (index % PEERS_PER_TURN === PEERS_PER_TURN - 1) {
        await new Promise((resolve) => setImmediate(resolve));
        if (signal.aborted) return;
      }
      plans.set(peer.hostName, this.#planPeer(network, self, toPlanHost(peer, network)));
    }
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
