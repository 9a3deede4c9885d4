// The Config and the DaemonSet that it describes: created if there is none, rendered by server-side
// apply, repaired when somebody changes it (W-84, W-87).
import { isDeepStrictEqual } from 'node:util';
import {
  CONFIG_FINALIZER,
  CONFIG_NAME,
  FIELD_MANAGER_CONTROLLER,
} from '../../shared/model/names.ts';
import { isKubeError } from '../../shared/platform/kube/errors.ts';
import { DAEMON_CONFIGS, DAEMON_SETS } from '../../shared/platform/kube/resource.ts';
import { messageWithCauses } from '../../shared/platform/log.ts';
import type { Outcome } from '../../shared/platform/work-queue.ts';
import { type Finding, mergeConditions } from '../plan/conditions.ts';
import { refuseConfig, toDefaultConfig } from '../plan/daemon-config.ts';
import { renderDaemonSet } from '../plan/daemon-set.ts';
import { type ConfigView, type DaemonSetView, toDaemonSetView } from '../watch/views.ts';
import type { ControllerContext } from './context.ts';
import { removeFinalizer } from './finalizers.ts';

const AGAIN_MS = 500;

/** What the leader remembers of the DaemonSet. */
export interface ConfigMemory {
  /** The default Config is created once per term: a user who deletes it wants the daemons gone. */
  isDefaultWanted: boolean;
  /** `metadata.generation` that our last apply led to. */
  appliedGeneration: number | undefined;
}

export async function reconcileConfig(
  context: ControllerContext,
  memory: ConfigMemory,
  o: { name: string; signal: AbortSignal },
): Promise<Outcome> {
  const { name, signal } = o;
  const view = context.world.config(name);
  if (view === undefined) {
    if (name === CONFIG_NAME && memory.isDefaultWanted) await createDefault(context, signal);
    memory.isDefaultWanted &&= name !== CONFIG_NAME;
    return 'done';
  }
  if (name === CONFIG_NAME) memory.isDefaultWanted = false;
  if (view.isDeleting) {
    const finalizer = CONFIG_FINALIZER;
    await removeFinalizer(context, { resource: DAEMON_CONFIGS, head: view, finalizer, signal });
    return 'done';
  }
  const refusal = refuseConfig(view.object);
  if (refusal !== undefined) {
    await report(context, view, { type: 'Accepted', status: 'False', ...refusal }, signal);
    return 'done';
  }
  const stored = context.world.daemonSet(name);
  if (stored === undefined) return { afterMs: AGAIN_MS };
  try {
    const isDone = await applyDaemonSet(context, memory, { view, stored, signal });
    if (!isDone) return { afterMs: AGAIN_MS };
  } catch (error) {
    if (isKubeError(error, 'conflict') || signal.aborted) throw error;
    const message = messageWithCauses(error);
    const refused = { type: 'Accepted', status: 'False', reason: 'WriteFailed', message } as const;
    await report(context, view, refused, signal);
    throw error;
  }
  const message = 'the DaemonSet is as this Config says';
  const finding = { type: 'Accepted', status: 'True', reason: 'Applied', message } as const;
  await report(context, view, finding, signal);
  return 'done';
}

async function createDefault(context: ControllerContext, signal: AbortSignal): Promise<void> {
  try {
    await context.client.create(DAEMON_CONFIGS, toDefaultConfig(context.defaults), { signal });
    context.log.info('default config created', { config: CONFIG_NAME });
  } catch (error) {
    if (!isKubeError(error, 'already-exists')) throw error;
  }
}

/** False while another DaemonSet of that name is on its way out. */
async function applyDaemonSet(
  context: ControllerContext,
  memory: ConfigMemory,
  o: { view: ConfigView; stored: DaemonSetView | null; signal: AbortSignal },
): Promise<boolean> {
  const { view, stored, signal } = o;
  const { namespace } = context;
  const desired = renderDaemonSet(view.object, { namespace });
  const key = { name: view.name, namespace };
  if (stored?.isDeleting === true) return false;
  if (stored !== null && stored.rendered === undefined) {
    await giveWay(context, { stored, key, signal });
    return false;
  }
  if (isApplied(desired, stored, memory)) return true;
  const applied = await context.client.patch(
    DAEMON_SETS,
    key,
    {
      type: 'apply',
      body: desired.object,
      fieldManager: FIELD_MANAGER_CONTROLLER,
      force: true,
    },
    { signal },
  );
  memory.appliedGeneration = toDaemonSetView(applied).generation;
  context.log.info('daemon set applied', { daemonSet: view.name });
  return true;
}

function isApplied(
  desired: { readonly rendered: string },
  stored: DaemonSetView | null,
  memory: ConfigMemory,
): boolean {
  return (
    stored !== null &&
    stored.rendered === desired.rendered &&
    stored.generation === memory.appliedGeneration
  );
}

/**
 * Deletes a DaemonSet of the original and leaves its pods running: ours adopts them by their labels
 * and replaces them one after another. Changing it in place would keep what the original once set,
 * such as `privileged`, for ever: server-side apply leaves to others what was theirs.
 */
async function giveWay(
  context: ControllerContext,
  o: {
    stored: DaemonSetView;
    key: { name: string; namespace: string };
    signal: AbortSignal;
  },
): Promise<void> {
  const { uid } = o.stored;
  const { key, signal } = o;
  await context.client.delete(DAEMON_SETS, key, { uid, propagation: 'Orphan', signal });
  context.log.info('daemon set of the original gives way to ours', { daemonSet: key.name });
}

async function report(
  context: ControllerContext,
  view: ConfigView,
  finding: Finding,
  signal: AbortSignal,
): Promise<void> {
  const { status, metadata } = view.object;
  const previous = status?.conditions ?? [];
  const daemonSet = context.world.daemonSet(view.name);
  const counts = daemonSet ? { desired: daemonSet.desired, ready: daemonSet.ready } : {};
  const conditions = mergeConditions(previous, [finding], {
    nowText: new Date(context.clock.now()).toISOString(),
    generation: metadata.generation ?? 0,
    own: [finding.type],
  });
  const next = { ...counts, conditions };
  if (isDeepStrictEqual({ ...status, ...next }, { ...status, conditions: previous })) return;
  const body = { metadata: { resourceVersion: view.resourceVersion }, status: next };
  const patch = { type: 'merge', subresource: 'status', body } as const;
  await context.client.patch(DAEMON_CONFIGS, { name: view.name }, patch, { signal });
}
