// Keeps the kernel's routes to the pods of other hosts what the cluster's plan says: desired minus
// actual, by our own protocol number. Routes of anybody else are neither seen nor touched.
import { ROUTE_PROTOCOL } from '../../shared/model/names.ts';
import type { Logger } from '../../shared/platform/log.ts';
import type { ClusterView } from '../cluster/cluster-view.ts';
import type { DesiredRoute, PeerPlans } from '../cluster/peer-plans.ts';
import type { HostNet, HostRoute } from '../hostnet/host-net.ts';

/** The main table (decision 0001). */
const TABLE = 254;

/** A route that should be there and is not. */
export interface MissingRoute extends DesiredRoute {
  readonly reason: string;
}

/** A peer without a route over a NIC. */
export type UnreachableNet = ReturnType<PeerPlans['unreachable']>[number];

/** The state after the last comparison. */
export interface RouteReport {
  readonly desired: number;
  readonly installed: number;
  readonly missing: readonly MissingRoute[];
  /** Peers that no route can lead to over a NIC, with the reason. */
  readonly unreachable: readonly UnreachableNet[];
  /** Destinations that two peers claim. */
  readonly contested: readonly string[];
  readonly added: number;
  readonly removed: number;
}

const NOTHING: RouteReport = {
  desired: 0,
  installed: 0,
  missing: [],
  unreachable: [],
  contested: [],
  added: 0,
  removed: 0,
};

/** Compares and corrects. */
export class RouteKeeper {
  readonly #hostNet: HostNet;
  readonly #view: ClusterView;
  readonly #peers: PeerPlans;
  readonly #log: Logger;
  #report: RouteReport = NOTHING;

  constructor(o: { hostNet: HostNet; view: ClusterView; peers: PeerPlans; log: Logger }) {
    this.#hostNet = o.hostNet;
    this.#view = o.view;
    this.#peers = o.peers;
    this.#log = o.log;
  }

  /** Whether there was a round yet that knew the cluster. */
  get isDone(): boolean {
    return this.#report !== NOTHING;
  }

  get report(): RouteReport {
    return this.#report;
  }

  /** Our routes as the kernel has them. */
  actual(): HostRoute[] {
    return this.#hostNet.routes({ protocol: ROUTE_PROTOCOL, table: TABLE });
  }

  /** One round. Before the API server was heard, routes of an earlier process stay as they are. */
  async reconcile(signal: AbortSignal): Promise<RouteReport> {
    if (!this.#view.isLive || this.#view.self() === undefined) return this.#report;
    await this.#peers.refresh(signal);
    if (signal.aborted) return this.#report;
    const { routes, contested } = this.#peers.routes();
    const indices = new Map(this.#hostNet.links().map((link) => [link.name, link.index]));
    const placed = routes.map((route) => ({ route, index: indices.get(route.interfaceName) }));
    const desired = new Map(
      placed.flatMap(({ route, index }) =>
        index === undefined ? [] : [[route.destination, toHostRoute(route, index)] as const],
      ),
    );
    const actual = this.actual();
    const { add, remove } = diff(desired, actual);
    const failed = this.#change(add, remove);
    const missing = [
      ...placed
        .filter(({ index }) => index === undefined)
        .map(({ route }) => ({ ...route, reason: 'this node has no such NIC' })),
      ...routes.flatMap((route) => {
        const errno = failed.get(route.destination);
        return errno === undefined ? [] : [{ ...route, reason: toReason(errno) }];
      }),
    ];
    this.#report = {
      desired: routes.length + contested.length,
      installed: routes.length - missing.length,
      missing,
      unreachable: this.#peers.unreachable(),
      contested,
      added: add.length - failed.size,
      removed: remove.length,
    };
    return this.#report;
  }

  #change(add: readonly HostRoute[], remove: readonly HostRoute[]): ReadonlyMap<string, string> {
    if (add.length === 0 && remove.length === 0) return new Map();
    const { failed } = this.#hostNet.changeRoutes({ add, remove });
    this.#log.info('routes changed', {
      added: add.length - failed.length,
      removed: remove.length,
      failed: failed.length,
    });
    return new Map(failed.map(({ route, errno }) => [route.destination, errno]));
  }
}

function toHostRoute({ destination, via }: DesiredRoute, interfaceIndex: number): HostRoute {
  return { destination, via, interfaceIndex, table: TABLE, protocol: ROUTE_PROTOCOL };
}

/** Adding replaces a route of ours to the same destination: only other ones are removed. */
function diff(
  desired: ReadonlyMap<string, HostRoute>,
  actual: readonly HostRoute[],
): { add: HostRoute[]; remove: HostRoute[] } {
  const same = new Set(
    actual
      .filter((route) => {
        const wanted = desired.get(route.destination);
        return wanted?.via === route.via && wanted.interfaceIndex === route.interfaceIndex;
      })
      .map((route) => route.destination),
  );
  return {
    add: [...desired.values()].filter((route) => !same.has(route.destination)),
    remove: actual.filter((route) => !desired.has(route.destination)),
  };
}

function toReason(errno: string): string {
  if (errno === 'EEXIST') return 'a route of another program has this destination (EEXIST)';
  return `the kernel refused it (${errno})`;
}
