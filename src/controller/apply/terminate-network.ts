// Takes away what was made for a network that is being deleted or is gone, in an order in which no
// pod loses an address: definitions first, then nothing until the last pod has gone, then the rest.
import { CIDR_FINALIZER } from '../../shared/model/names.ts';
import { CIDRS, NET_ATTACH_DEFS } from '../../shared/platform/kube/resource.ts';
import { isOwnNad } from '../plan/nads.ts';
import { listNames } from '../plan/problem.ts';
import { applyNads, NO_NAD_KIND } from './apply-nads.ts';
import { awaitDrained, awaitPods } from './await-drained.ts';
import type { ControllerContext } from './context.ts';
import { deletePools, deleteWithFinalizer } from './finalizers.ts';
import { isKindServed } from './kind-served.ts';
import { deleteLedger } from './ledger-store.ts';
import { unpublishNetwork } from './publish-hosts.ts';
import { type EndingNetwork, type Termination, waiting } from './termination.ts';

const AGAIN_MS = 1_000;

const clean: Termination = { finding: undefined, afterMs: 0 };

/** One step further; to be called again after `afterMs` or when something changed. */
export async function terminateNetwork(
  context: ControllerContext,
  network: EndingNetwork,
  signal: AbortSignal,
): Promise<Termination> {
  const networkName = network.name;
  const left =
    (await removeNads(context, networkName, signal)) ??
    (await awaitDrained(context, network, signal)) ??
    (await unpublish(context, networkName, signal)) ??
    (await removePools(context, networkName, signal)) ??
    (await removeCidr(context, networkName, signal)) ??
    (await removeLedger(context, networkName, signal));
  return left ?? clean;
}

/** True when anything of the network is left that `terminateNetwork` would take away. */
export function hasRemains(context: ControllerContext, networkName: string): boolean {
  const { world } = context;
  return (
    ownNads(context, networkName).length > 0 ||
    world.pools.ofNetwork(networkName).length > 0 ||
    world.sortedHosts().some((host) => host.published.has(networkName)) ||
    world.cidr(networkName) !== undefined ||
    world.ledger(networkName) !== undefined
  );
}

function ownNads(context: ControllerContext, networkName: string) {
  return [...(context.world.nads?.values() ?? [])].filter(
    (nad) => nad.name === networkName && isOwnNad(nad, networkName),
  );
}

async function removeNads(
  context: ControllerContext,
  networkName: string,
  signal: AbortSignal,
): Promise<Termination | undefined> {
  if (context.world.nads === undefined) {
    if (!(await isKindServed(context, NET_ATTACH_DEFS, signal))) return undefined;
    return waiting('RemovingNads', 'definitions are not listed yet', AGAIN_MS);
  }
  if (ownNads(context, networkName).length === 0) return undefined;
  const { finding } = await applyNads(
    context,
    { networkName, template: undefined, namespaces: [] },
    signal,
  );
  if (finding.reason === NO_NAD_KIND) return undefined; // with the kind went all of them
  const left = ownNads(context, networkName).map(({ namespace }) => namespace);
  const detail = finding.status === 'False' ? finding.message : listNames(left.sort());
  return waiting('RemovingNads', `definitions are being removed: ${detail}`, AGAIN_MS);
}

/**
 * Without an index a daemon gives no address; what it gave just before shows in its pools a moment
 * later. That moment is waited for from the first look of this leader on: another one may have
 * withdrawn the indices just now.
 */
async function unpublish(
  context: ControllerContext,
  networkName: string,
  signal: AbortSignal,
): Promise<Termination | undefined> {
  const { world, settleMs, withdrawals } = context;
  const message = 'indices are being withdrawn from hosts';
  if (world.sortedHosts().some((host) => host.published.has(networkName))) {
    await unpublishNetwork(context, networkName, signal);
    withdrawals.end(networkName); // only now they are, perhaps not for the first time
    withdrawals.forMs(networkName);
    return waiting('Withdrawing', message, settleMs);
  }
  // What was given may not be recorded any more, but that it was withdrawn is known.
  if (world.given(networkName) === undefined && !withdrawals.has(networkName)) return undefined;
  const leftMs = settleMs - withdrawals.forMs(networkName);
  return leftMs > 0 ? waiting('Withdrawing', message, leftMs) : undefined;
}

async function removePools(
  context: ControllerContext,
  networkName: string,
  signal: AbortSignal,
): Promise<Termination | undefined> {
  const pools = context.world.pools.ofNetwork(networkName);
  if (pools.length === 0) return undefined;
  const held = awaitPods(context, networkName); // these very versions, which alone are deleted
  if (held !== undefined) return held;
  await deletePools(context, pools, signal);
  return waiting('RemovingPools', `${pools.length} pools are being removed`, AGAIN_MS);
}

async function removeCidr(
  context: ControllerContext,
  networkName: string,
  signal: AbortSignal,
): Promise<Termination | undefined> {
  const head = context.world.cidr(networkName);
  if (head === undefined) return undefined;
  await deleteWithFinalizer(context, {
    resource: CIDRS,
    head,
    finalizer: CIDR_FINALIZER,
    signal,
  });
  return waiting('RemovingCidr', 'the CIDR object is being removed', AGAIN_MS);
}

async function removeLedger(
  context: ControllerContext,
  networkName: string,
  signal: AbortSignal,
): Promise<Termination | undefined> {
  if (context.world.ledger(networkName) === undefined) return undefined;
  await deleteLedger(context, networkName, signal);
  return waiting('RemovingLedger', 'the ledger is being removed', AGAIN_MS);
}
