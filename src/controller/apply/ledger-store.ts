// The ledger's ConfigMap: read, and written only under the condition that it is still as it was
// read.
import { LEDGER_KEY, LEDGER_LABEL, LEDGER_NAME_PREFIX } from '../../shared/model/names.ts';
import { isKubeError } from '../../shared/platform/kube/errors.ts';
import { CONFIG_MAPS } from '../../shared/platform/kube/resource.ts';
import { formatLedger, type Ledger } from '../plan/ledger.ts';
import { type LedgerView, toLedgerView } from '../watch/views.ts';
import type { ControllerContext } from './context.ts';

function toKey(context: ControllerContext, network: string) {
  return { name: `${LEDGER_NAME_PREFIX}${network}`, namespace: context.namespace };
}

/** The ledger as the API server has it now; undefined when there is none. */
export async function readLedger(
  context: ControllerContext,
  network: string,
  signal: AbortSignal,
): Promise<LedgerView | undefined> {
  const object = await context.client.get(CONFIG_MAPS, toKey(context, network), { signal });
  return object === undefined ? undefined : toLedgerView(object);
}

/** Creates the ledger, or replaces the version `before`. 'conflict': somebody else was faster. */
export async function writeLedger(
  context: ControllerContext,
  o: {
    readonly network: string;
    readonly ledger: Ledger;
    readonly before: LedgerView | undefined;
    readonly signal: AbortSignal;
  },
): Promise<LedgerView | 'conflict'> {
  const { before, signal } = o;
  const object = {
    metadata: {
      ...toKey(context, o.network),
      labels: { [LEDGER_LABEL]: 'true' },
      ...(before === undefined ? {} : { resourceVersion: before.resourceVersion, uid: before.uid }),
    },
    data: { [LEDGER_KEY]: formatLedger(o.ledger) },
  };
  try {
    const written =
      before === undefined
        ? await context.client.create(CONFIG_MAPS, object, { signal })
        : await context.client.replace(CONFIG_MAPS, object, { signal });
    const view = toLedgerView(written);
    context.world.putLedger(view, before?.resourceVersion);
    return view;
  } catch (error) {
    if (isKubeError(error, 'conflict', 'already-exists')) return 'conflict';
    // Replacing what was deleted meanwhile: the next reading finds nothing and starts from records.
    if (before !== undefined && isKubeError(error, 'not-found')) return 'conflict';
    throw error;
  }
}

/** Deletes exactly the ledger that is known. */
export async function deleteLedger(
  context: ControllerContext,
  network: string,
  signal: AbortSignal,
): Promise<void> {
  const view = context.world.ledger(network);
  if (view === undefined) return;
  const { uid, resourceVersion } = view;
  await context.client.delete(CONFIG_MAPS, toKey(context, network), {
    uid,
    resourceVersion,
    signal,
  });
}
