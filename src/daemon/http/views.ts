// What people and programs can look at: health, metrics and read-only views of attachments, pools,
// routes and NICs. Nothing here changes anything.
import type { Hono } from 'hono';
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
  app.get('/v1/attachments', (c) =>
    c.body(attachmentsDocument(s.node, s.journal), 200, { 'content-type': 'application/json' }),
  );
  app.get('/v1/pools', (c) => c.json({ node: s.node, ...poolView(s) }));
  app.get('/v1/routes', (c) =>
    c.json({ node: s.node, ...s.routes.report, actual: s.routes.actual() }),
  );
  app.get('/v1/interfaces', (c) => c.json({ node: s.node, ...s.inventory.current }));
  app.get('/v1/why/:containerId', (c) => c.json(whyView(s, c.req.param('containerId'))));
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
