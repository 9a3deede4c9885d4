// ADD: takes addresses, makes all links of an attachment and records it, or leaves nothing.
//
//   plan ─► take addresses ─► write intent ─► make links ─► shared routes ─┬► write attached
//              (memory)        (journal) │     (kernel)       (kernel)      │  (journal) ─► reply
//                                        └► intent is brought to the disk ──┘
//
// Each arrow is a fault point. Whatever fails is undone from there to the left. After a crash, a
// row that says `intent` is released by the next start; addresses without a row are free by then.
// The disk works while the kernel does: a power cut that catches the intent on its way ends the
// pod's namespace and the links in it as well.
import { DomainError } from '../../shared/model/errors.ts';
import { LINK_GROUP_BASE, LINK_GROUP_COUNT } from '../../shared/model/names.ts';
import type { NetnsHandle, PodLink, PodLinkRequest } from '../hostnet/host-net.ts';
import type { TakenAddress } from '../ipam/pool-set.ts';
import type { AttachedNic, Attachment, HeldAddress } from '../journal/attachment.ts';
import type { SyncPoint } from '../journal/log-sync.ts';
import type { AttachDemand, AttachIdentity } from './attach-config.ts';
import type { AttachmentPlan, PlannedNic } from './plan-attachment.ts';
import type { PlanCache } from './plan-cache.ts';
import type { AttachPorts } from './ports.ts';
import { poolNames } from './release.ts';
import { addUndoFailure, UndoStack } from './undo.ts';

/** An attachment that was made. `links` are in the order of its NICs. */
export interface Attached {
  readonly attachment: Attachment;
  readonly plan: AttachmentPlan;
  readonly links: readonly PodLink[];
  /** Milliseconds of each step. */
  readonly steps: Readonly<Record<string, number>>;
}

/** One ADD on its way. */
interface Work {
  readonly ports: AttachPorts;
  readonly identity: AttachIdentity;
  readonly demand: AttachDemand;
  readonly plan: AttachmentPlan;
  readonly netns: NetnsHandle;
  readonly undo: UndoStack;
  readonly taken: TakenAddress[];
  /** Addresses were on links: others may have seen them. */
  wereVisible: boolean;
}

/**
 * Attaches a pod to all NICs that the plan names, or throws with nothing left behind. `signal`: the
 * caller has gone; what was made so far is taken back. `plans` remembers over several calls.
 */
export async function attach(
  ports: AttachPorts,
  o: { identity: AttachIdentity; demand: AttachDemand; plans: PlanCache; signal: AbortSignal },
): Promise<Attached> {
  const { identity, demand } = o;
  const steps = startSteps(ports);
  refuseIfGone(o.signal);
  refuseSecond(ports, identity);
  const plan = o.plans.plan(ports, o);
  refuseConflict(ports, { demand, nics: plan.nics, network: plan.network.name });
  using netns = ports.hostNet.openNetns(identity.netnsPath);
  const undo = new UndoStack();
  const work: Work = { ports, identity, demand, plan, netns, undo, taken: [], wereVisible: false };
  steps.mark('planMs');
  try {
    const draft = takeAddresses(work);
    ports.faults.reach('add-addresses-taken');
    const intent = await writeIntent(work, draft);
    ports.faults.reach('add-intent-written');
    // Another ADD on the same NICs may have been recorded since the plan was made.
    refuseConflict(ports, { demand, nics: plan.nics, network: draft.network, id: draft.id });
    steps.mark('intentMs');
    const links = makeLinks(work, draft);
    steps.mark('linksMs');
    await ports.journal.onDisk(intent);
    ports.faults.reach('add-intent-on-disk');
    steps.mark('diskMs');
    refuseIfGone(o.signal);
    const attachment = await writeAttached(work, { draft, links, steps: steps.all });
    ports.faults.reach('add-attached-written');
    steps.mark('attachedMs');
    ports.onPoolsChanged(poolNames(attachment));
    return { attachment, plan, links, steps: steps.all };
  } catch (error) {
    throw await takeBack(work, error);
  } finally {
    ports.pools.settle(work.taken);
  }
}

/** Undoes everything; the error that comes out is the first one. */
async function takeBack({ ports, identity, undo }: Work, error: unknown): Promise<unknown> {
  const failure = await undo.unwind();
  if (failure === undefined) return error;
  ports.log.error('undo of an ADD failed, will be repeated', {
    ...identity.key,
    step: failure.step,
    error: failure.error,
  });
  return error instanceof DomainError ? addUndoFailure(error, failure) : error;
}

function startSteps({ clock }: AttachPorts): {
  all: Record<string, number>;
  mark: (name: string) => void;
} {
  const all: Record<string, number> = {};
  let lastMs = clock.monotonic();
  return {
    all,
    mark: (name) => {
      const nowMs = clock.monotonic();
      all[name] = Math.round((nowMs - lastMs) * 1000) / 1000;
      lastMs = nowMs;
    },
  };
}

/** CNI SPEC, ADD: a runtime does not repeat it without a DEL; giving more addresses would leak. */
function refuseSecond(ports: AttachPorts, { key }: AttachIdentity): void {
  const state = ports.journal.stateOf(key);
  if (state === undefined) return;
  if (state === 'attached') {
    throw new DomainError(
      'already-attached',
      `container ${key.containerId} is attached to ${key.network} as ${key.ifName} already`,
      { details: { ...key } },
    );
  }
  throw new DomainError('conflict', 'an earlier attachment is still being released', {
    details: { ...key, state },
  });
}

/** Takes one address per NIC and family, in memory only. */
function takeAddresses(work: Work): Attachment {
  const { ports, identity, demand, plan } = work;
  const nics = plan.nics.map(
    (planned): AttachedNic => ({
      name: planned.name,
      master: planned.nic.interfaceName,
      netAddress: planned.nic.netAddress,
      kind: demand.link.kind,
      mode: demand.link.mode,
      mtu: demand.mtu,
      mac: '',
      addresses: planned.pools.map((record) => {
        const taken = ports.pools.take(record);
        if (taken === undefined) throw exhausted(planned, record.plan.name);
        work.taken.push(taken);
        work.undo.push('release address', () => giveBack(work, taken));
        return toHeld(taken);
      }),
      routes: [...(plan.routes.byNic.get(planned.name) ?? [])],
    }),
  );
  const id = ports.journal.takeId();
  const nowMs = ports.clock.now();
  const { key, podUid, podNamespace, podName, netnsPath } = identity;
  return {
    ...key,
    id,
    state: 'intent',
    external: false,
    podUid,
    podNamespace,
    podName,
    netnsPath,
    netnsId: work.netns.id,
    bootId: ports.bootId,
    group: LINK_GROUP_BASE + (id % LINK_GROUP_COUNT),
    createdAtMs: nowMs,
    updatedAtMs: nowMs,
    nics,
    sharedRoutes: plan.routes.shared.map(({ destination, nexthops }) => ({
      destination,
      nexthops: [...nexthops],
    })),
    why: {},
  };
}

function exhausted({ nic, name }: PlannedNic, pool: string): DomainError {
  return new DomainError(
    'pool-exhausted',
    `pool ${pool} of NIC ${nic.interfaceName} has no free address for ${name}`,
    { details: { pool, master: nic.interfaceName, interfaceName: name } },
  );
}

function toHeld({ record, index, address }: TakenAddress): HeldAddress {
  const { name, family, vlanCidr } = record.plan;
  return { pool: name, index, family, address, prefix: vlanCidr.prefix };
}

function giveBack({ ports, wereVisible }: Work, taken: TakenAddress): void {
  const { pools, clock, quarantineMs } = ports;
  pools.giveBack(taken, wereVisible ? { untilMs: clock.now() + quarantineMs } : {});
}

async function writeIntent(work: Work, draft: Attachment): Promise<SyncPoint> {
  const { journal, clock, quarantineMs, faults } = work.ports;
  const point = await journal.record(draft);
  work.undo.push('remove row', async () => {
    await journal.remove(draft.id, work.wereVisible ? { untilMs: clock.now() + quarantineMs } : {});
    faults.reach('undo-row-removed');
  });
  return point;
}

/** Links of another kind on one of the NICs; with an `id`, only those of older rows count. */
function refuseConflict(
  { masters }: AttachPorts,
  o: { demand: AttachDemand; nics: readonly PlannedNic[]; network: string; id?: number },
): void {
  const { demand, nics, ...rest } = o;
  const names = nics.map(({ nic }) => nic.interfaceName);
  masters.refuseConflict({ ...rest, link: demand.link, masters: names });
}

function makeLinks(work: Work, draft: Attachment): readonly PodLink[] {
  const { netns, undo, plan } = work;
  const { faults } = work.ports;
  const requests = toLinkRequests(work, draft);
  const names = requests.map(({ name }) => name);
  // Before the first link, so that a namespace that cannot be entered leaves nothing to undo there.
  netns.enter();
  // Registered before the call: a link whose removal failed inside it must still be found.
  undo.push('delete links', () => {
    netns.deleteLinks({ group: draft.group, names });
    faults.reach('undo-links-deleted');
  });
  if (faults.isActive('add-half-the-links-made')) {
    netns.createLinks(requests.slice(0, Math.ceil(requests.length / 2)));
    faults.reach('add-half-the-links-made');
  }
  const { created } = netns.createLinks(requests, faults);
  work.wereVisible = true;
  faults.reach('add-links-made');
  if (plan.routes.shared.length > 0) {
    netns.addRoutes(plan.routes.shared);
    faults.reach('add-shared-routes-made');
  }
  return requests.map(({ name }) => {
    const link = created.find((candidate) => candidate.name === name);
    if (link === undefined) throw new Error(`link ${name} is not among those made`);
    return link;
  });
}

function toLinkRequests({ plan, demand }: Work, draft: Attachment): PodLinkRequest[] {
  return plan.nics.map(({ nic, name }, index): PodLinkRequest => {
    const made = draft.nics[index];
    if (made === undefined) throw new Error('the attachment has fewer NICs than its plan');
    return {
      name,
      parentIndex: nic.index,
      parentName: nic.interfaceName,
      link: demand.link,
      mtu: demand.mtu,
      group: draft.group,
      addresses: made.addresses,
      routes: made.routes.map(({ destination, via }) => ({
        destination,
        ...(via === undefined ? {} : { via }),
      })),
    };
  });
}

function refuseIfGone(signal: AbortSignal): void {
  if (!signal.aborted) return;
  throw new DomainError('timeout', 'the caller gave up before the attachment was ready');
}

async function writeAttached(
  { ports, plan }: Work,
  o: { draft: Attachment; links: readonly PodLink[]; steps: Readonly<Record<string, number>> },
): Promise<Attachment> {
  const { draft, links, steps } = o;
  const updatedAtMs = ports.clock.now();
  const body = {
    nics: draft.nics.map((nic, index) => ({ ...nic, mac: links[index]?.mac ?? '' })),
    sharedRoutes: draft.sharedRoutes,
    why: {
      considered: plan.considered,
      routesLeftOut: plan.routes.leftOut,
      steps: { ...steps },
    },
  };
  await ports.journal.update(draft.id, { state: 'attached', updatedAtMs, body });
  return { ...draft, ...body, state: 'attached', updatedAtMs };
}
