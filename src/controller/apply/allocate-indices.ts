// Brings the indices of a network from plan to effect: the ledger by one conditional write, and
// only then the hosts (design D6).
import { isExtendedDivision, isSameDivision } from '../../shared/model/plan/division.ts';
import type { IndexInput, IndexNetwork } from '../plan/index-input.ts';
import { type IndexPlan, planIndices } from '../plan/indices.ts';
import { formatLedger, type Ledger } from '../plan/ledger.ts';
import type { Problem } from '../plan/problem.ts';
import { readGivenDivision } from '../watch/given-division.ts';
import {
  type Observation,
  observeHosts,
  observeRecords,
  publishedIn,
} from '../watch/index-observation.ts';
import { overlapOf } from '../watch/network-observation.ts';
import type { LedgerView, NetworkView } from '../watch/views.ts';
import type { ControllerContext } from './context.ts';
import { readLedger, writeLedger } from './ledger-store.ts';
import type { NetworkMemory } from './network-memory.ts';
import { OutdatedError } from './outdated.ts';
import { publishHosts } from './publish-hosts.ts';

/**
 * So many hosts are claimed before they are published: the most that a crash leaves without owner.
 */
const HOSTS_PER_ROUND = 256;
const ATTEMPTS_MAX = 5;
/** A bit without owner is given back after so many lease durations. */
const ORPHAN_LEASES = 2;

export interface IndexTarget {
  readonly network: NetworkView;
  readonly division: IndexNetwork;
  readonly mode: 'full' | 'adopt';
  readonly memory: NetworkMemory;
  /** Writes to the status of the network what indices of this ledger stand for. */
  readonly explain: (ledger: Ledger) => Promise<void>;
}

export interface Allocation {
  readonly plan: IndexPlan;
  readonly problems: readonly Problem[];
  /** When to look again although nothing changes. */
  readonly afterMs: number | undefined;
}

/** Throws when the API server refuses; what was claimed is remembered and published next time. */
export async function allocateIndices(
  context: ControllerContext,
  target: IndexTarget,
  signal: AbortSignal,
): Promise<Allocation> {
  const { network, memory } = target;
  // A claim that is published late must still be in the ledger, not only in our copy of it.
  const isLate = memory.pending.size > 0;
  let before = isLate
    ? await readLedger(context, network.name, signal)
    : context.world.ledger(network.name);
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
    signal.throwIfAborted();
    assertReadable(before);
    assertSameDivision(before, target);
    const { plan, problems } = planNow(context, target, before);
    const written = await claim(context, { target, plan, before, signal });
    if (written === 'conflict') {
      before = await readLedger(context, network.name, signal);
      continue;
    }
    const nowMs = context.clock.monotonic();
    memory.noteOrphans(plan.orphans, nowMs);
    await publish(context, target, plan, signal);
    const orphanMs = memory.waitMs(nowMs, orphanAgeMs(context));
    return { plan, problems, afterMs: plan.hasMore ? 0 : orphanMs };
  }
  throw new Error(
    `the ledger of ${network.name} changed ${ATTEMPTS_MAX} times while it was planned`,
  );
}

/** What cannot be read is not planned over: it may say who has which index. */
function assertReadable(view: LedgerView | undefined): void {
  if (view?.reading.ok !== false) return;
  throw new Error(`the ledger of ${view.network} cannot be read: ${view.reading.issue}`);
}

/** A ledger that was read after the definition was accepted may be of another leader. */
function assertSameDivision(view: LedgerView | undefined, { division }: IndexTarget): void {
  const given = readGivenDivision({ ledger: view, cidr: undefined });
  if (given === undefined || isExtendedDivision(given.division, division.division)) return;
  throw new OutdatedError('hosts have got indices for another division meanwhile');
}

function orphanAgeMs(context: ControllerContext): number {
  return ORPHAN_LEASES * context.leaseDurationMs;
}

/** Looks at the other records only where they matter: reading tens of thousands takes its time. */
function planNow(
  context: ControllerContext,
  target: IndexTarget,
  before: LedgerView | undefined,
): { plan: IndexPlan; problems: readonly Problem[] } {
  const { network, division } = target;
  const ledger = usableLedger(before, division);
  if (ledger !== undefined) {
    const plan = planWith(context, target, ledger, observeHosts(context.world, network));
    const isSettled = plan.publish.length === 0 && plan.orphans.length === 0 && !plan.hasMore;
    if (isSettled && plan.problems.length === 0) return { plan, problems: [] };
  }
  const observation = observeRecords(context.world, { network, division, ledger });
  const plan = planWith(context, target, ledger, observation);
  return { plan, problems: [...observation.problems, ...plan.problems] };
}

/**
 * A ledger of a namesake counts as long as it is about the same division; pods may have outlived
 * it.
 */
function usableLedger(view: LedgerView | undefined, division: IndexNetwork): Ledger | undefined {
  if (view === undefined || !view.reading.ok) return undefined;
  const { ledger } = view.reading;
  const isSame =
    ledger.division !== undefined && isSameDivision(ledger.division, division.division);
  return isSame || ledger.networkUid === division.uid ? ledger : undefined;
}

function planWith(
  context: ControllerContext,
  { network, division, mode, memory }: IndexTarget,
  ledger: Ledger | undefined,
  observation: Observation,
): IndexPlan {
  const input: IndexInput = {
    ...observation,
    network: { ...division, uid: network.uid },
    ledger,
    mode,
    pending: memory.pending,
    freeable: memory.freeable(context.clock.monotonic(), orphanAgeMs(context)),
    assignHostsMax: HOSTS_PER_ROUND,
  };
  return planIndices(context.core, input);
}

interface Claim {
  readonly target: IndexTarget;
  readonly plan: IndexPlan;
  readonly before: LedgerView | undefined;
  readonly signal: AbortSignal;
}

/** Writes the ledger if it has to change. */
async function claim(
  context: ControllerContext,
  o: Claim,
): Promise<'unchanged' | 'written' | 'conflict'> {
  const { before } = o;
  const { ledger } = o.plan;
  const isSame =
    before === undefined
      ? ledger.nets.length === 0
      : before.reading.ok && formatLedger(before.reading.ledger) === formatLedger(ledger);
  if (isSame) return 'unchanged';
  // Two networks that ask for the same addresses would both find that no host holds any.
  return await context.ledgerTurns.run('', async () => await writeClaim(context, o));
}

async function writeClaim(
  context: ControllerContext,
  { target, plan, before, signal }: Claim,
): Promise<'written' | 'conflict'> {
  const { network, memory, mode } = target;
  signal.throwIfAborted();
  const overlap = mode === 'full' ? overlapOf(context.world, network.name) : undefined;
  if (overlap !== undefined) {
    throw new OutdatedError(`${overlap.block} is in use by network ${overlap.other} meanwhile`);
  }
  const { ledger } = plan;
  const written = await writeLedger(context, { network: network.name, ledger, before, signal });
  if (written === 'conflict') return 'conflict';
  memory.prune(ledger);
  return 'written';
}

async function publish(
  context: ControllerContext,
  { network, memory, explain }: IndexTarget,
  plan: IndexPlan,
  signal: AbortSignal,
): Promise<void> {
  for (const host of plan.publish) {
    const view = context.world.hosts.get(host.hostName);
    if (view !== undefined) memory.notePending(host, publishedIn(view, network));
  }
  if (plan.publish.length === 0) return;
  // By what the status said before, an index could stand for addresses that others have now.
  await explain(plan.ledger);
  await publishHosts(context, { network, publish: plan.publish, memory, signal });
  context.log.info('host indices published', {
    network: network.name,
    hosts: plan.publish.length,
  });
}
