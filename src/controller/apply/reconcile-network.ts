// One run for one network: judge its definition, bring indices, CIDR object and NADs to what is
// planned, and say in the status what came of it. Reads the whole state each time.
import { API_VERSION, CONFIG_NAME, NETWORK_FINALIZER } from '../../shared/model/names.ts';
import { divisionOf } from '../../shared/model/plan/division.ts';
import type { NetworkDefinition } from '../../shared/model/plan/network-definition.ts';
import { whyUnserved } from '../../shared/model/plan/served.ts';
import { MULTI_NIC_NETWORKS } from '../../shared/platform/kube/resource.ts';
import { messageWithCauses } from '../../shared/platform/log.ts';
import type { Outcome } from '../../shared/platform/work-queue.ts';
import { type Acceptance, planAcceptance, toServedFinding } from '../plan/acceptance.ts';
import { toNadSettings } from '../plan/daemon-config.ts';
import { toIndexFinding } from '../plan/index-findings.ts';
import type { Ledger } from '../plan/ledger.ts';
import { formatNadConfig } from '../plan/nad-config.ts';
import type { NadTemplate } from '../plan/nads.ts';
import type { NetworkConditionType, NetworkFinding } from '../plan/network-status.ts';
import { type PluginOutcome, planPlugin } from '../plan/plugin-table.ts';
import {
  addressWarnings,
  definitionOf,
  overlapOf,
  toIndexNetwork,
} from '../watch/network-observation.ts';
import { type NetworkView, toNetworkView } from '../watch/views.ts';
import { type Allocation, allocateIndices } from './allocate-indices.ts';
import { applyNads } from './apply-nads.ts';
import type { ControllerContext } from './context.ts';
import { copyCidr } from './copy-cidr.ts';
import { addFinalizer, removeFinalizer } from './finalizers.ts';
import { NetworkMemory } from './network-memory.ts';
import { explainIndices, summarizeHosts, writeNetworkStatus } from './network-status-writer.ts';
import { isOutdated } from './outdated.ts';
import { hasRemains, terminateNetwork } from './terminate-network.ts';

/** Collects what the steps of a run found, and the first thing that failed. */
class Run {
  /** As this run read it, with what it wrote itself. */
  network: NetworkView;
  readonly findings: NetworkFinding[] = [];
  failure: { readonly error: unknown } | undefined;
  #afterMs = Number.POSITIVE_INFINITY;

  constructor(network: NetworkView) {
    this.network = network;
  }

  note(o: { finding: NetworkFinding; afterMs?: number | undefined }): void {
    this.findings.push(o.finding);
    this.again(o.afterMs);
  }

  again(afterMs: number | undefined): void {
    if (afterMs !== undefined) this.#afterMs = Math.min(this.#afterMs, afterMs);
  }

  /**
   * Steps do not depend on each other's success, and the status names the one that failed. That
   * something changed is no failure: the whole run is repeated on what is there now.
   */
  async step<T>(type: NetworkConditionType, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      if (isOutdated(error)) throw error;
      this.failure ??= { error };
      const message = messageWithCauses(error);
      this.findings.push({ type, status: 'False', reason: 'WriteFailed', message });
      return undefined;
    }
  }

  outcome(): Outcome {
    return Number.isFinite(this.#afterMs) ? { afterMs: this.#afterMs } : 'done';
  }
}

export async function reconcileNetwork(
  context: ControllerContext,
  name: string,
  signal: AbortSignal,
): Promise<Outcome> {
  const view = context.world.networks.get(name);
  if (view === undefined) return await cleanUpAbsent(context, name, signal);
  if (view.isDeleting) return await terminate(context, view, signal);
  forgetEnd(context, name); // of a namesake
  const run = new Run(view);
  const { acceptance, served, definition, plugin } = judge(context, view);
  run.note(acceptance);
  if (served !== undefined) run.note({ finding: served });
  const isServed = acceptance.mode !== 'hold' && definition !== undefined;
  // Before the first effect: what is made from here on is also taken away (W-44, style 6).
  if (isServed) run.network = await withFinalizer(context, view, signal);
  let allocation: Allocation | undefined;
  if (isServed && definition.managedIpam) {
    const mode = acceptance.mode === 'adopt' ? 'adopt' : 'full';
    allocation = await serveIndices(context, { definition, mode, run }, signal);
  }
  if (isServed && plugin?.ok === true) {
    await run.step('NadsReady', async () => {
      const template = toTemplate(context, { network: view, definition, plugin, allocation });
      const { namespaces } = definition;
      run.note(await applyNads(context, { networkName: name, template, namespaces }, signal));
    });
  }
  const target = { network: run.network, definition, allocation, findings: run.findings };
  run.again(await writeNetworkStatus(context, target, signal));
  if (run.failure !== undefined) throw run.failure.error;
  return run.outcome();
}

interface Judgement {
  readonly acceptance: Acceptance;
  /** That it is not served although it is accepted. */
  readonly served: NetworkFinding | undefined;
  readonly definition: NetworkDefinition | undefined;
  readonly plugin: PluginOutcome | undefined;
}

function judge(context: ControllerContext, view: NetworkView): Judgement {
  const { world } = context;
  const result = definitionOf(view);
  const base = {
    warnings: [],
    plugin: undefined,
    unserved: [],
    given: undefined,
    division: undefined,
  };
  const none = { ...base, ledgerIssue: undefined, overlap: undefined, isInUse: false };
  if (!result.ok) {
    const acceptance = planAcceptance({ ...none, issues: result.issues });
    return { acceptance, served: undefined, definition: undefined, plugin: undefined };
  }
  const definition = result.network;
  const plugin = planPlugin(definition, result.refusals);
  const isManaged = definition.managedIpam;
  const unserved = plugin.ok ? whyUnserved(definition, plugin.config) : [];
  const reading = isManaged ? world.ledger(view.name)?.reading : undefined;
  const given = world.given(view.name);
  const acceptance = planAcceptance({
    issues: [],
    ledgerIssue: reading?.ok === false ? reading.issue : undefined,
    warnings: [...result.warnings, ...addressWarnings(world, definition)],
    plugin,
    unserved: isManaged ? unserved : [],
    given,
    division: isManaged ? divisionOf(definition) : undefined,
    overlap: isManaged ? overlapOf(world, view.name) : undefined,
    isInUse: given !== undefined,
  });
  const served = isManaged ? undefined : toServedFinding(unserved);
  return { acceptance, served, definition, plugin };
}

async function withFinalizer(
  context: ControllerContext,
  view: NetworkView,
  signal: AbortSignal,
): Promise<NetworkView> {
  if (view.finalizers.includes(NETWORK_FINALIZER)) return view;
  const stored = await addFinalizer(context, {
    resource: MULTI_NIC_NETWORKS,
    head: view,
    finalizer: NETWORK_FINALIZER,
    signal,
  });
  const network = toNetworkView(stored);
  context.world.networks.put(view.name, network, view.resourceVersion);
  return network;
}

function memoryOf(context: ControllerContext, view: NetworkView): NetworkMemory {
  const known = context.memories.get(view.name);
  if (known?.uid === view.uid) return known;
  const fresh = new NetworkMemory(view.uid);
  context.memories.set(view.name, fresh);
  return fresh;
}

async function serveIndices(
  context: ControllerContext,
  o: { definition: NetworkDefinition; mode: 'full' | 'adopt'; run: Run },
  signal: AbortSignal,
): Promise<Allocation | undefined> {
  const { definition, mode, run } = o;
  const { network } = run;
  const memory = memoryOf(context, network);
  const division = toIndexNetwork(definition);
  const explain = async (ledger: Ledger): Promise<void> => {
    run.network = await explainIndices(context, { network: run.network, ledger }, signal);
  };
  const allocation = await run.step('IndicesAllocated', async () => {
    const target = { network, division, mode, memory, explain };
    const done = await allocateIndices(context, target, signal);
    const summary = summarizeHosts(context, network, done.plan.masterNets);
    const finding = toIndexFinding({ ...summary, ...done, hasMore: done.plan.hasMore });
    run.note({ finding, afterMs: done.afterMs });
    return done;
  });
  if (allocation !== undefined) {
    const { plan, problems } = allocation;
    await run.step('CidrWritten', async () => {
      run.note(await copyCidr(context, { network, definition, plan, problems, memory }, signal));
    });
  }
  return allocation;
}

function toTemplate(
  context: ControllerContext,
  o: {
    network: NetworkView;
    definition: NetworkDefinition;
    plugin: Extract<PluginOutcome, { ok: true }>;
    allocation: Allocation | undefined;
  },
): NadTemplate {
  const { network, definition, plugin } = o;
  const { spec } = network.object;
  const { cniType, daemonPort } = toNadSettings(context.world.config(CONFIG_NAME)?.object);
  const listed = spec.masterNets ?? [];
  const found = o.allocation?.plan.masterNets ?? context.world.hostNetAddresses();
  const config = formatNadConfig({
    name: network.name,
    cniType,
    ipam: definition.ipam,
    plugin: plugin.config,
    subnet: spec.subnet ?? '',
    masterNets: listed.length > 0 ? listed : found,
    multiNicIpam: definition.multiNicIpam,
    daemonPort,
  });
  const owner = {
    apiVersion: API_VERSION,
    kind: 'MultiNicNetwork',
    name: network.name,
    uid: network.uid,
    controller: true,
    blockOwnerDeletion: true,
  };
  return { name: network.name, config, annotations: plugin.annotations, owner };
}

/** Our finalizer is the only reason why the object still exists as far as we are concerned. */
async function terminate(
  context: ControllerContext,
  view: NetworkView,
  signal: AbortSignal,
): Promise<Outcome> {
  if (!view.finalizers.includes(NETWORK_FINALIZER)) return 'done';
  const { finding, afterMs } = await terminateNetwork(context, view, signal);
  if (finding !== undefined) {
    const result = definitionOf(view);
    const definition = result.ok ? result.network : undefined;
    const message = `the network is being deleted: ${finding.message}`;
    const deleting = { type: 'Accepted', status: 'False', reason: 'Deleting', message } as const;
    const findings = [deleting, finding];
    const target = { network: view, definition, allocation: undefined, findings };
    await writeNetworkStatus(context, target, signal);
    return { afterMs };
  }
  await removeFinalizer(context, {
    resource: MULTI_NIC_NETWORKS,
    head: view,
    finalizer: NETWORK_FINALIZER,
    signal,
  });
  forget(context, view.name);
  context.log.info('network removed', { network: view.name });
  return 'done';
}

function forget(context: ControllerContext, name: string): void {
  context.memories.delete(name);
  context.daemonless.end(name);
  forgetEnd(context, name);
}

function forgetEnd({ silences, withdrawals }: ControllerContext, name: string): void {
  silences.end(name);
  withdrawals.end(name);
}

/** What a network left behind that vanished without our finalizer. */
async function cleanUpAbsent(
  context: ControllerContext,
  name: string,
  signal: AbortSignal,
): Promise<Outcome> {
  if (!hasRemains(context, name)) {
    forget(context, name);
    return 'done';
  }
  const stored = await context.client.get(MULTI_NIC_NETWORKS, { name }, { signal });
  if (stored !== undefined) return { afterMs: 1_000 }; // the watch will bring it
  const { finding, afterMs } = await terminateNetwork(context, { name, object: undefined }, signal);
  if (finding === undefined) {
    forget(context, name);
    return 'done';
  }
  context.log.info('remains of a network that is gone', { network: name, reason: finding.message });
  return { afterMs };
}
