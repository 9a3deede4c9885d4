// Brings the NetworkAttachmentDefinitions of a network to what is planned, namespace by namespace;
// one that fails does not stop the others, and none fails in silence (W-52).
import { isKubeError } from '../../shared/platform/kube/errors.ts';
import { NAMESPACES, NET_ATTACH_DEFS } from '../../shared/platform/kube/resource.ts';
import { messageWithCauses } from '../../shared/platform/log.ts';
import {
  isOwnNad,
  type NadAction,
  type NadTemplate,
  type NadView,
  planNads,
} from '../plan/nads.ts';
import type { NetworkFinding } from '../plan/network-status.ts';
import { listNames } from '../plan/problem.ts';
import { toNadView, toNamespaceView } from '../watch/views.ts';
import type { ControllerContext } from './context.ts';
import { forEachLimited } from './for-each-limited.ts';
import { isKindServed } from './kind-served.ts';

const WRITES_AT_ONCE = 8;
const RETRY_MS = 30_000;
/** Reason of the finding while the kind is not there. */
export const NO_NAD_KIND = 'WaitingForNadKind';

export interface NadOutcome {
  readonly finding: NetworkFinding;
  readonly afterMs: number | undefined;
}

const noKind: NadOutcome = {
  finding: finding(
    NO_NAD_KIND,
    'the kind NetworkAttachmentDefinition is not there: Multus is not installed',
  ),
  afterMs: RETRY_MS,
};

export interface NadTarget {
  readonly networkName: string;
  /** Undefined: no NAD is wanted anywhere. */
  readonly template: NadTemplate | undefined;
  /** As in `spec.namespaces`; empty for all. */
  readonly namespaces: readonly string[];
}

export async function applyNads(
  context: ControllerContext,
  target: NadTarget,
  signal: AbortSignal,
): Promise<NadOutcome> {
  const { nads } = context.world;
  if (nads === undefined) return await explainMissingKind(context, signal);
  const { networkName, template } = target;
  const active = context.world.activeNamespaces();
  const listed = target.namespaces;
  const namespaces = listed.length === 0 ? active : listed.filter((name) => active.includes(name));
  const existing = [...nads.values()].filter(({ name }) => name === networkName);
  const plan = planNads({ networkName, template, namespaces, existing });
  const foreign = [...plan.foreign];
  const failures = await forEachLimited(plan.actions, WRITES_AT_ONCE, async (action) => {
    signal.throwIfAborted();
    const isForeign = await applyOne(context, { target, action, existing, signal });
    if (isForeign) foreign.push(action.namespace);
  });
  const conflict = failures.find(({ error }) => isKubeError(error, 'conflict'));
  if (conflict !== undefined) throw conflict.error; // the caller looks again at once
  const isLost = failures.some(({ error }) => isKubeError(error, 'not-found'));
  if (isLost && !(await isKindServed(context, NET_ATTACH_DEFS, signal))) return noKind;
  const absent = listed.filter((name) => !active.includes(name));
  return toOutcome({
    foreign: foreign.sort(),
    failures: failures.map(({ item, error }) => `${item.namespace}: ${messageWithCauses(error)}`),
    absent,
    count: namespaces.length - foreign.length,
  });
}

/** True when the name is taken by an object that is not ours. */
async function applyOne(
  context: ControllerContext,
  o: {
    target: NadTarget;
    action: NadAction;
    existing: readonly NadView[];
    signal: AbortSignal;
  },
): Promise<boolean> {
  const { client } = context;
  const { action, signal } = o;
  const key = { name: o.target.networkName, namespace: action.namespace };
  switch (action.kind) {
    case 'delete':
      await client.delete(NET_ATTACH_DEFS, key, { uid: action.uid, signal });
      return false;
    case 'patch':
      await client.patch(NET_ATTACH_DEFS, key, { type: 'merge', body: action.body }, { signal });
      return false;
    case 'create':
      try {
        await client.create(NET_ATTACH_DEFS, action.body, { signal });
        return false;
      } catch (error) {
        if (isKubeError(error, 'already-exists')) {
          return await takeUnlabelled(context, o.target, key, signal);
        }
        if (await hasEnded(context, { error, namespace: action.namespace, signal })) return false;
        throw error;
      }
  }
}

/** The namespace ends, and the watch of namespaces has not said so yet. */
async function hasEnded(
  context: ControllerContext,
  o: { error: unknown; namespace: string; signal: AbortSignal },
): Promise<boolean> {
  const { error, namespace: name, signal } = o;
  if (!isKubeError(error, 'forbidden', 'not-found')) return false;
  const object = await context.client.get(NAMESPACES, { name }, { signal });
  return object === undefined || !toNamespaceView(object).isActive;
}

/**
 * An object of that name which the watch does not see: ours without its label, or somebody else's.
 */
async function takeUnlabelled(
  context: ControllerContext,
  { networkName, template }: NadTarget,
  key: { name: string; namespace: string },
  signal: AbortSignal,
): Promise<boolean> {
  const object = await context.client.get(NET_ATTACH_DEFS, key, { signal });
  if (object === undefined) throw new Error(`${key.namespace}/${key.name} came and went`);
  const view = toNadView(object);
  if (!isOwnNad(view, networkName)) return true;
  const { namespace } = key;
  const plan = planNads({ networkName, template, namespaces: [namespace], existing: [view] });
  const [action] = plan.actions;
  if (action?.kind !== 'patch') return false;
  const patch = { type: 'merge', body: action.body } as const;
  await context.client.patch(NET_ATTACH_DEFS, key, patch, { signal });
  return false;
}

async function explainMissingKind(
  context: ControllerContext,
  signal: AbortSignal,
): Promise<NadOutcome> {
  if (!(await isKindServed(context, NET_ATTACH_DEFS, signal))) return noKind;
  const message = 'the list of NetworkAttachmentDefinitions is not read yet';
  return { finding: finding(NO_NAD_KIND, message), afterMs: RETRY_MS };
}

function finding(reason: string, message: string): NetworkFinding {
  return { type: 'NadsReady', status: 'False', reason, message };
}

function toOutcome(o: {
  foreign: readonly string[];
  failures: readonly string[];
  absent: readonly string[];
  count: number;
}): NadOutcome {
  if (o.failures.length > 0) {
    const message = `NetworkAttachmentDefinitions not written: ${listNames(o.failures)}`;
    return { finding: finding('WriteFailed', message), afterMs: RETRY_MS };
  }
  if (o.foreign.length > 0) {
    const where = listNames(o.foreign);
    const message = `a NetworkAttachmentDefinition of that name is not ours in ${where}`;
    return { finding: finding('ForeignNad', message), afterMs: RETRY_MS };
  }
  const absent = o.absent.length === 0 ? '' : `; no such namespace: ${listNames(o.absent)}`;
  const message = `${o.count} namespaces have the NetworkAttachmentDefinition${absent}`;
  return {
    finding: { type: 'NadsReady', status: 'True', reason: 'Applied', message },
    afterMs: undefined,
  };
}
