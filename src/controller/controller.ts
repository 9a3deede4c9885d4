// The controller's work while it leads: watch, queue, reconcile. Everything it remembers ends with
// the term of leadership.
import type { Core } from '../../core-wasm/index.ts';
import { CONFIG_NAME, FIELD_MANAGER_CONTROLLER } from '../shared/model/names.ts';
import { type Clock, systemClock } from '../shared/platform/clock.ts';
import type { KubeClient } from '../shared/platform/kube/client.ts';
import { EventRecorder } from '../shared/platform/kube/event-recorder.ts';
import type { Logger } from '../shared/platform/log.ts';
import {
  createWorkQueue,
  type Outcome,
  RUN_RESULTS,
  type WorkQueue,
} from '../shared/platform/work-queue.ts';
import type { ControllerContext } from './apply/context.ts';
import { isOutdated } from './apply/outdated.ts';
import { type ConfigMemory, reconcileConfig } from './apply/reconcile-config.ts';
import { reconcileHost } from './apply/reconcile-host.ts';
import { reconcileNetwork } from './apply/reconcile-network.ts';
import { reconcilePool } from './apply/reconcile-pool.ts';
import { Turns } from './apply/turns.ts';
import type { Metrics } from './metrics.ts';
import type { ConfigDefaults } from './plan/daemon-config.ts';
import { formatWorkKey, parseWorkKey, WORK_KINDS } from './watch/keys.ts';
import { Since } from './watch/since.ts';
import { World } from './watch/world.ts';

export interface ControllerOptions {
  readonly client: KubeClient;
  readonly core: Core;
  readonly namespace: string;
  readonly leaseDurationMs: number;
  readonly defaults: ConfigDefaults;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly clock?: Clock;
  readonly hostBatchMs?: number;
  /** Daemons publish what they give out within this time. Default 2.5 s. */
  readonly settleMs?: number;
  /** A daemon that publishes nothing for so long holds nothing. Default 60 s. */
  readonly silenceMs?: number;
  /** A Node must be away for so long until its host counts as gone. Default 60 s. */
  readonly graceMs?: number;
  /** None of a network's daemons must be ready for so long until it is not. Default 30 s. */
  readonly daemonGraceMs?: number;
  /** Shortest time between two counts of daemons. */
  readonly statusBatchMs?: number;
  /** Told what the controller knows as soon as it starts. */
  readonly onStart?: (running: RunningController) => void;
}

export interface RunningController {
  readonly world: World;
  readonly queue: WorkQueue;
}

const CONCURRENCY = 4;
const RECONCILE_DEADLINE_MS = 120_000;
const BACKOFF = { initialMs: 200, maxMs: 60_000 };
const RESYNC_MS = 600_000;
const SETTLE_MS = 2_500;
/** Twice as long as a daemon waits at most between two attempts to publish. */
const SILENCE_MS = 60_000;
/** The pods of a Node that is away are deleted by Kubernetes itself after 40 s. */
const GRACE_MS = 60_000;
/** What a daemon takes to stop, to be replaced and to become ready, an image pull included. */
const DAEMON_GRACE_MS = 30_000;
/** Somebody else wrote in between: look again at once, but not in a circle. */
const CONFLICT_MS = 250;

export function declareMetrics(metrics: Metrics): void {
  const sets = WORK_KINDS.flatMap((kind) => RUN_RESULTS.map((result) => ({ kind, result })));
  metrics.declare('multi_nic_reconcile_total', 'counter', 'Reconcile runs by result.', sets);
  const kinds = WORK_KINDS.map((kind) => ({ kind }));
  metrics.declare('multi_nic_reconcile_seconds_total', 'counter', 'Time in runs.', kinds);
  metrics.declare('multi_nic_leader', 'gauge', '1 while this process leads.', [{}]);
  metrics.declare('multi_nic_restored', 'gauge', '1 once all lists are complete.', [{}]);
  metrics.declare('multi_nic_network_condition', 'gauge', 'Conditions of networks.', []);
  metrics.declare('multi_nic_hosts', 'gauge', 'HostInterfaces.', [{}]);
}

/** Works until `signal` aborts. */
export async function runController(o: ControllerOptions, signal: AbortSignal): Promise<void> {
  const { client, core, namespace, log, metrics, leaseDurationMs, defaults } = o;
  const clock = o.clock ?? systemClock;
  const configMemory: ConfigMemory = { isDefaultWanted: true, appliedGeneration: undefined };
  const queue = createWorkQueue({
    reconcile: (key, deadline) => reconcile(context, configMemory, key, deadline),
    concurrency: CONCURRENCY,
    backoff: BACKOFF,
    deadlineMs: RECONCILE_DEADLINE_MS,
    log,
    clock,
    onResult: (result, durationMs, key) => {
      const { kind } = parseWorkKey(key);
      metrics.add('multi_nic_reconcile_total', { kind, result });
      metrics.add('multi_nic_reconcile_seconds_total', { kind }, durationMs / 1000);
    },
  });
  const world = new World({
    client,
    namespace,
    enqueue: (key) => queue.add(key),
    signal,
    log,
    clock,
    ...(o.hostBatchMs === undefined ? {} : { hostBatchMs: o.hostBatchMs }),
    ...(o.statusBatchMs === undefined ? {} : { statusBatchMs: o.statusBatchMs }),
  });
  const source = { component: FIELD_MANAGER_CONTROLLER };
  const events = new EventRecorder({ client, clock, log, source, signal });
  const context: ControllerContext = {
    client,
    core,
    world,
    clock,
    log,
    metrics,
    events,
    namespace,
    leaseDurationMs,
    defaults,
    settleMs: o.settleMs ?? SETTLE_MS,
    silenceMs: o.silenceMs ?? SILENCE_MS,
    silences: new Since(clock),
    graceMs: o.graceMs ?? GRACE_MS,
    daemonGraceMs: o.daemonGraceMs ?? DAEMON_GRACE_MS,
    daemonless: new Since(clock),
    withdrawals: new Since(clock),
    hostTurns: new Turns(),
    ledgerTurns: new Turns(),
    memories: new Map(),
  };
  o.onStart?.({ world, queue });
  metrics.set('multi_nic_leader', 1);
  try {
    // No index is given before every claim that exists is known (design D5).
    await world.restored();
    log.info('restored', { hosts: world.sortedHosts().length });
    metrics.set('multi_nic_restored', 1);
    queue.add(formatWorkKey('config', CONFIG_NAME));
    const enqueueAll = (): void => {
      for (const key of world.allKeys()) queue.add(key);
    };
    enqueueAll();
    await Promise.all([queue.run(signal), resync(clock, enqueueAll, signal)]);
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    metrics.set('multi_nic_leader', 0);
    metrics.set('multi_nic_restored', 0);
  }
}

/** The slow safety net: whatever an event missed is looked at again. */
async function resync(clock: Clock, enqueueAll: () => void, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await clock.sleep(RESYNC_MS, signal);
    enqueueAll();
  }
}

async function reconcile(
  context: ControllerContext,
  configMemory: ConfigMemory,
  key: string,
  signal: AbortSignal,
): Promise<Outcome> {
  const { kind, name } = parseWorkKey(key);
  try {
    switch (kind) {
      case 'network':
        return await reconcileNetwork(context, name, signal);
      case 'host':
        return await reconcileHost(context, name, signal);
      case 'pool':
        return await reconcilePool(context, name, signal);
      case 'config':
        return await reconcileConfig(context, configMemory, { name, signal });
    }
  } catch (error) {
    if (!isOutdated(error)) throw error;
    context.log.debug('changed by somebody else', { key, error });
    return { afterMs: CONFLICT_MS };
  }
}

/** Brings the gauges up to date with what is watched: to be called when they are asked for. */
export function countObjects(metrics: Metrics, world: World): void {
  metrics.clear('multi_nic_network_condition');
  metrics.set('multi_nic_hosts', world.sortedHosts().length);
  for (const { name, object } of world.networks.values()) {
    for (const { type, status, reason } of object.status?.conditions ?? []) {
      metrics.set('multi_nic_network_condition', 1, { network: name, type, status, reason });
    }
  }
}
