// What the daemon does by itself, job by job. Each brings one part up to date and says when it
// wants to be asked again.
import type { Outcome } from '../shared/platform/work-queue.ts';
import { collectAbandoned } from './attach/collect.ts';
import { recover } from './attach/recover.ts';
import type { Parts } from './parts.ts';
import type { Spool } from './spool/spool.ts';
import type { Jobs } from './upkeep.ts';

/** Slow rounds that find what no event told of. */
const INVENTORY_AGAIN_MS = 30_000;
const PLAN_AGAIN_MS = 60_000;
const HOST_AGAIN_MS = 60_000;
const ROUTES_AGAIN_MS = 30_000;
const SPOOL_AGAIN_MS = 5_000;
const RECOVER_AGAIN_MS = 10_000;
const COLLECT_AGAIN_MS = 60_000;
const QUARANTINE_AGAIN_MS = 250;

/** The jobs over the parts. */
export function createJobs(
  parts: Parts,
  spool: Spool,
  o: { publishPools: () => void; onInventoryChanged: () => void; onRoutesCompared: () => void },
): Jobs {
  const { keeper, saver, view, routes, hostPublisher, poolPublisher, routesReporter } = parts;
  return {
    inventory: async () => {
      if (parts.inventory.refresh()) o.onInventoryChanged();
      return { afterMs: INVENTORY_AGAIN_MS };
    },
    plan: async (signal) => {
      await keeper.replan(signal);
      await saver.save(view);
      o.publishPools();
      return { afterMs: PLAN_AGAIN_MS };
    },
    routes: async (signal) => {
      await routes.reconcile(signal);
      o.onRoutesCompared();
      return { afterMs: ROUTES_AGAIN_MS };
    },
    host: async (signal) => {
      await hostPublisher.publish(signal);
      return { afterMs: HOST_AGAIN_MS };
    },
    report: (signal) => routesReporter.report(signal),
    pool: (signal, name) => poolPublisher.publish(name, signal),
    quarantine: () => endQuarantines(parts),
    spool: async () => {
      await spool.workOff();
      return { afterMs: SPOOL_AGAIN_MS };
    },
    recover: () => recoverAgain(parts),
    collect: () => collectGarbage(parts),
  };
}

/** Frees addresses whose quarantine is over: in the journal first, in the bitmaps after it. */
async function endQuarantines(parts: Parts): Promise<Outcome> {
  const { journal, pools, options, attachPorts } = parts;
  const expired = pools.expired(options.clock.now());
  if (expired.length > 0) {
    await journal.endQuarantine(expired);
    pools.endQuarantine(expired);
    attachPorts.onPoolsChanged(pools.dropDrained());
  }
  return { afterMs: QUARANTINE_AGAIN_MS };
}

/** Rows that a failed undo or a failed release left behind. */
async function recoverAgain({ attachPorts, options }: Parts): Promise<Outcome> {
  const { released, errors } = await recover(attachPorts);
  if (released > 0) options.log.info('left-over attachments released', { released });
  for (const error of errors) options.log.error('attachment still not released', { error });
  return { afterMs: RECOVER_AGAIN_MS };
}

async function collectGarbage({ attachPorts, options }: Parts): Promise<Outcome> {
  const { released, kept, errors } = await collectAbandoned(attachPorts);
  if (released > 0) options.log.info('abandoned attachments released', { released });
  if (kept.length > 0) options.log.debug('attachments kept without proof', { count: kept.length });
  for (const error of errors) options.log.error('attachment not collected', { error });
  return { afterMs: COLLECT_AGAIN_MS };
}
