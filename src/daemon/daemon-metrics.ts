// The daemon's own metrics: which there are, and where their values come from.
import type { EventRecorder } from '../shared/platform/kube/event-recorder.ts';
import type { ServiceMetrics } from './attach/service.ts';
import type { PoolKeeper } from './ipam/pool-keeper.ts';
import type { PoolSet } from './ipam/pool-set.ts';
import type { Journal } from './journal/journal.ts';
import type { Metrics, Sample } from './metrics.ts';
import type { HostPublisher } from './publish/host-publisher.ts';
import type { PoolPublisher } from './publish/pool-publisher.ts';
import type { RoutesReporter } from './publish/routes-reporter.ts';
import type { RouteKeeper } from './routes/route-keeper.ts';
import type { Spool } from './spool/spool.ts';

const COMMANDS = ['ADD', 'DEL', 'CHECK', 'STATUS', 'GC'];

/** Counters of the verbs, zero from the start. */
export function createServiceMetrics(metrics: Metrics): ServiceMetrics {
  return {
    requests: metrics.counter({
      name: 'multi_nic_cni_requests_total',
      help: 'CNI requests by verb and outcome (ok, or the kind of error).',
      series: COMMANDS.flatMap((command) => [
        { command, outcome: 'ok' },
        { command, outcome: 'not-ready' },
        { command, outcome: 'internal' },
      ]),
    }),
    seconds: metrics.histogram({
      name: 'multi_nic_cni_request_duration_seconds',
      help: 'Time to answer a CNI request, waiting included.',
      series: COMMANDS.map((command) => ({ command })),
    }),
  };
}

/** What the gauges read. */
export interface GaugeSources {
  readonly isReady: () => boolean;
  readonly journal: Journal;
  readonly pools: PoolSet;
  readonly keeper: PoolKeeper;
  readonly routes: RouteKeeper;
  readonly poolPublisher: PoolPublisher;
  readonly routesReporter: RoutesReporter;
  readonly events: EventRecorder;
  readonly hostPublisher: HostPublisher;
  readonly spool: Spool;
  readonly lock: { readonly running: number; readonly waiting: number };
}

/** Registers everything that is read at the time of a scrape. */
export function addGauges(metrics: Metrics, s: GaugeSources): void {
  const gauge = (name: string, help: string, read: () => readonly Sample[] | number): void =>
    metrics.gauge({
      name: `multi_nic_${name}`,
      help,
      read: () => {
        const value = read();
        return typeof value === 'number' ? [{ labels: {}, value }] : value;
      },
    });
  gauge('ready', 'Whether ADD can be served.', () => (s.isReady() ? 1 : 0));
  gauge('attachments', 'Attachments by state.', () =>
    Object.entries(s.journal.countStates()).map(([state, value]) => ({ labels: { state }, value })),
  );
  gauge('pool_addresses', 'Addresses of a pool by state.', () => poolSamples(s.pools));
  gauge('pool_refused', 'Pools that give no addresses, with 1 while refused.', () =>
    s.pools.records().map(({ plan, state }) => ({
      labels: { pool: plan.name },
      value: state === 'refused' ? 1 : 0,
    })),
  );
  gauge(
    'adoption_conflicts',
    'Recorded allocations that could not be taken over.',
    () => s.keeper.conflicts.length,
  );
  gauge('routes_desired', 'Routes to pods of other hosts that should exist.', () => {
    return s.routes.report.desired;
  });
  gauge('routes_installed', 'Those of them that exist.', () => s.routes.report.installed);
  gauge('routes_contested', 'Destinations that two hosts claim.', () => {
    return s.routes.report.contested.length;
  });
  gauge('journal_commits_total', 'Commits.', () => s.journal.counts.commits);
  gauge(
    'journal_syncs_total',
    'Times the log was brought to the disk.',
    () => s.journal.counts.syncs,
  );
  gauge('journal_writes_total', 'Changes in those commits.', () => s.journal.counts.writes);
  gauge('journal_failures_total', 'Commits that failed.', () => s.journal.counts.failures);
  gauge('ippool_writes_total', 'IPPool objects written.', () => s.poolPublisher.counts.written);
  gauge('ippool_deletes_total', 'IPPool objects deleted.', () => s.poolPublisher.counts.deleted);
  gauge('hostinterface_writes_total', 'HostInterface writes.', () => s.hostPublisher.written);
  gauge('route_reports_total', 'Reports of routes written.', () => s.routesReporter.written);
  gauge('events_total', 'Events about refused ADDs by outcome.', () =>
    Object.entries(s.events.counts).map(([outcome, value]) => ({ labels: { outcome }, value })),
  );
  gauge('spool_waiting', 'Spooled DELs that wait.', () => s.spool.waiting);
  gauge('operations_running', 'Operations under way.', () => s.lock.running);
  gauge('operations_waiting', 'Operations in the queue.', () => s.lock.waiting);
}

function poolSamples(pools: PoolSet): Sample[] {
  return pools.records().flatMap(({ plan, pool }) => {
    const labels = { network: plan.network, nic: plan.interfaceName, pool: plan.name };
    return [
      { labels: { ...labels, state: 'occupied' }, value: pool.occupied },
      { labels: { ...labels, state: 'quarantined' }, value: pool.quarantined },
      { labels: { ...labels, state: 'free' }, value: pool.free },
    ];
  });
}
