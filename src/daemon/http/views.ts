// What people and programs can look at: health, metrics and read-only views of attachments, pools,
// routes and NICs. Nothing here changes anything.
import type { Context, Hono } from 'hono';
import { DomainError } from '../../shared/model/errors.ts';
import { formatCidr } from '../../shared/model/ip/cidr.ts';
import type { CniService, Readiness } from '../attach/service.ts';
import type { Inventory } from '../inventory/nic-inventory.ts';
import type { PoolKeeper } from '../ipam/pool-keeper.ts';
import type { PoolSet } from '../ipam/pool-set.ts';
import type { Journal } from '../journal/journal.ts';
import type { Metrics } from '../metrics.ts';
import type { RouteKeeper } from '../routes/route-keeper.ts';
import type { AppEnv } from './app-env.ts';
import { attachmentsDocument } from './attachments-document.ts';

/** Entries of one list. */
const LIST_MAX = 1_000;

/** What the views show. */
export interface ViewSources {
  readonly node: string;
  readonly readiness: () => Readiness;
  readonly metrics: Metrics;
  readonly journal: Journal;
  readonly pools: PoolSet;
  readonly keeper: PoolKeeper;
  readonly routes: RouteKeeper;
  readonly inventory: Inventory;
  readonly service: CniService;
}

/** Adds the views to an app. */
export function addViews(app: Hono<AppEnv>, s: ViewSources): void {
  app.get('/healthz', (c) => c.json({ status: 'alive', node: s.node }));
  app.get('/readyz', (c) => {
    const { isReady, reason } = s.readiness();
    if (!isReady) throw new DomainError('not-ready', reason);
    return c.json({ status: 'ready', node: s.node });
  });
  app.get('/metrics', (c) =>
    c.text(s.metrics.text(), 200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }),
  );
  app.get('/v1/attachments', (c) => {
    const document = attachmentsDocument(s.journal, { node: s.node, after: afterOf(c) });
    return c.body(document, 200, { 'content-type': 'application/json' });
  });
  app.get('/v1/pools', (c) => c.json({ node: s.node, ...shorten(poolView(s)) }));
  app.get('/v1/routes', (c) =>
    c.json({ node: s.node, ...shorten({ ...s.routes.report, actual: s.routes.actual() }) }),
  );
  app.get('/v1/interfaces', (c) => c.json({ node: s.node, ...s.inventory.current }));
  app.get('/v1/why/:containerId', (c) => c.json(whyView(s, c.req.param('containerId'))));
}

/** Where a list goes on; all ids are above 0. */
function afterOf(c: Context<AppEnv>): number {
  const text = c.req.query('after') ?? '0';
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new DomainError('decode-failed', 'after must be an id, as `next` names it');
}

/** With thousands of peers, lists are longer than anybody reads; `omitted` says by how much. */
function shorten(view: object): object {
  const long = Object.entries(view).filter(
    (entry): entry is [string, unknown[]] => Array.isArray(entry[1]) && entry[1].length > LIST_MAX,
  );
  if (long.length === 0) return view;
  const lists = long.map(([name, list]) => [name, list.slice(0, LIST_MAX)]);
  const omitted = long.map(([name, list]) => [name, list.length - LIST_MAX]);
  return { ...view, ...Object.fromEntries(lists), omitted: Object.fromEntries(omitted) };
}

function poolView({ pools, keeper }: ViewSources): object {
  return {
    conflicts: keeper.conflicts,
    pools: pools.records().map(({ plan, pool, state, reason }) => ({
      name: plan.name,
      network: plan.network,
      interfaceName: plan.interfaceName,
      netAddress: plan.netAddress,
      podCidr: formatCidr(plan.podCidr),
      vlanCidr: formatCidr(plan.vlanCidr),
      excludes: plan.excludes.map(formatCidr),
      state,
      reason,
      usable: pool.usable,
      occupied: pool.occupied,
      quarantined: pool.quarantined,
      free: pool.free,
    })),
  };
}

/** Why a sandbox has the NICs and addresses that it has, or why its last ADD was refused. */
function whyView({ journal, service, node }: ViewSources, containerId: string): object {
  const attachments = journal.list({ containerId });
  const refusals = service.refusals.filter((one) => one.identity.key.containerId === containerId);
  if (attachments.length === 0 && refusals.length === 0) {
    throw new DomainError('network-unknown', `container ${containerId} has no attachment here`, {
      details: { containerId },
    });
  }
  return {
    node,
    containerId,
    attachments: attachments.map(({ network, ifName, state, nics, why, createdAtMs }) => ({
      network,
      ifName,
      state,
      since: new Date(createdAtMs).toISOString(),
      nics: nics.map(({ name, master, netAddress, addresses }) => ({
        name,
        master,
        netAddress,
        addresses: addresses.map(({ address, prefix, pool }) => ({ address, prefix, pool })),
      })),
      why,
    })),
    refusals: refusals.map(({ atMs, identity, kind, message, details }) => ({
      at: new Date(atMs).toISOString(),
      network: identity.key.network,
      ifName: identity.key.ifName,
      kind,
      message,
      details,
    })),
  };
}
