// Reports in the status of this node's HostInterface whether its routes are as planned, so that the
// controller can say it of a network. Applies one condition, as the owner of nothing else: the
// positions beside it are the controller's.
import { FIELD_MANAGER_DAEMON } from '../../shared/model/names.ts';
import { ROUTES_CONDITION } from '../../shared/model/objects/host-interface.ts';
import type { Condition } from '../../shared/model/objects/meta.ts';
import type { Clock } from '../../shared/platform/clock.ts';
import type { KubeClient } from '../../shared/platform/kube/client.ts';
import { isKubeError } from '../../shared/platform/kube/errors.ts';
import { HOST_INTERFACES } from '../../shared/platform/kube/resource.ts';
import type { Outcome } from '../../shared/platform/work-queue.ts';
import type { ClusterView } from '../cluster/cluster-view.ts';
import { toOwnHostRecord } from '../cluster/records.ts';
import type { RouteKeeper, RouteReport } from '../routes/route-keeper.ts';

/** Problems that are named; there can be one for each of thousands of peers. */
const NAMED_MAX = 3;
const MESSAGE_CHARS_MAX = 1_024;

/** What is said of the routes, before it is known since when. */
export type RoutesFinding = Pick<Condition, 'status' | 'reason' | 'message'>;

/**
 * The condition that a report makes. It does not count peers when all is well, so that a host that
 * joins makes no other host write.
 */
export function planRoutesFinding(report: RouteReport): RoutesFinding {
  const { missing, contested, unreachable } = report;
  const refused = missing.map(
    ({ network, destination, via, interfaceName, reason }) =>
      `network ${network}: no route to ${destination} via ${via} on ${interfaceName}: ${reason}`,
  );
  const doubled = contested.map((destination) => `two hosts claim ${destination}`);
  const lost = unreachable.map(
    ({ network, hostName, netAddress, reason }) =>
      `network ${network}: no route to ${hostName} in ${netAddress}: ${reason}`,
  );
  const problems = [...refused, ...doubled, ...lost];
  if (problems.length === 0) {
    return { status: 'True', reason: 'AsPlanned', message: 'all routes to other hosts are set' };
  }
  const more = problems.length - NAMED_MAX;
  const named = problems.slice(0, NAMED_MAX).join('; ');
  const message = more > 0 ? `${named}; and ${more} more` : named;
  return {
    status: 'False',
    reason: toReason(report),
    message: message.slice(0, MESSAGE_CHARS_MAX),
  };
}

function toReason({ missing, contested }: RouteReport): string {
  if (missing.length > 0) return 'RoutesMissing';
  return contested.length > 0 ? 'RoutesContested' : 'PeersUnreachable';
}

/** Writes the condition of one node. */
export class RoutesReporter {
  readonly #client: KubeClient;
  readonly #view: ClusterView;
  readonly #routes: RouteKeeper;
  readonly #clock: Clock;
  written = 0;

  constructor(o: { client: KubeClient; view: ClusterView; routes: RouteKeeper; clock: Clock }) {
    this.#client = o.client;
    this.#view = o.view;
    this.#routes = o.routes;
    this.#clock = o.clock;
  }

  /** Makes the condition what the last round found. Throws KubeError: again, with backoff. */
  async report(signal: AbortSignal): Promise<Outcome> {
    const own = this.#view.isLive ? this.#view.self()?.own : undefined;
    if (own === undefined || !this.#routes.isDone) return 'done';
    if (own.routes === undefined && !this.#hasRoutedNetwork()) return 'done'; // nobody asks
    const finding = planRoutesFinding(this.#routes.report);
    if (isSame(own.routes, finding, own.generation)) return 'done';
    await this.#write(finding, signal);
    return 'done';
  }

  #hasRoutedNetwork(): boolean {
    return this.#view.networks().some(({ definition }) => definition?.routed === true);
  }

  async #write(finding: RoutesFinding, signal: AbortSignal): Promise<void> {
    const { node: name } = this.#view;
    // The watched copy may lag behind our own last write.
    const object = await this.#client.get(HOST_INTERFACES, { name }, { signal });
    const own = object === undefined ? undefined : toOwnHostRecord(object).own;
    if (own === undefined || isSame(own.routes, finding, own.generation)) return;
    const hasTurned = own.routes?.status !== finding.status;
    const condition: Condition = {
      type: ROUTES_CONDITION,
      ...finding,
      lastTransitionTime:
        own.routes === undefined || hasTurned
          ? new Date(this.#clock.now()).toISOString()
          : own.routes.lastTransitionTime,
      observedGeneration: own.generation,
    };
    const uid = object?.metadata.uid;
    const body = { metadata: { name, uid }, status: { conditions: [condition] } };
    const apply = { type: 'apply', subresource: 'status', force: true, body } as const;
    const patch = { ...apply, fieldManager: FIELD_MANAGER_DAEMON };
    try {
      await this.#client.patch(HOST_INTERFACES, { name }, patch, { signal });
      this.written += 1;
    } catch (error) {
      if (!isKubeError(error, 'not-found')) throw error; // gone: its successor starts this anew
    }
  }
}

function isSame(
  stored: Condition | undefined,
  finding: RoutesFinding,
  generation: number,
): boolean {
  return (
    stored?.status === finding.status &&
    stored.reason === finding.reason &&
    stored.message === finding.message &&
    stored.observedGeneration === generation
  );
}
