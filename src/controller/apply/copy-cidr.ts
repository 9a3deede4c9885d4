// Keeps the CIDR object of a network as a copy of its division, in the original's shape.
import { formatCidr, parseCidr } from '../../shared/model/ip/cidr.ts';
import { CIDR_FINALIZER } from '../../shared/model/names.ts';
import type { CidrConfig, CidrHost } from '../../shared/model/objects/cidr-object.ts';
import { planHostPools } from '../../shared/model/plan/host-pools.ts';
import type { NetworkDefinition } from '../../shared/model/plan/network-definition.ts';
import { CIDRS } from '../../shared/platform/kube/resource.ts';
import { isSameCidr, planCidrObject } from '../plan/cidr-object.ts';
import { isEvidence } from '../plan/index-findings.ts';
import type { IndexPlan } from '../plan/indices.ts';
import { formatLedger, type LedgerNet } from '../plan/ledger.ts';
import type { NetworkFinding } from '../plan/network-status.ts';
import type { Problem } from '../plan/problem.ts';
import { publishedIn } from '../watch/index-observation.ts';
import { type CidrView, type NetworkView, toCidrView } from '../watch/views.ts';
import type { ControllerContext } from './context.ts';
import { deleteWithFinalizer, removeFinalizer } from './finalizers.ts';
import type { NetworkMemory } from './network-memory.ts';

/**
 * A large copy is written at most this often: while hosts join in numbers nobody needs each
 * version.
 */
const QUIET_MS = 5_000;
const LARGE_BYTES = 32_768;

export interface CidrOutcome {
  readonly finding: NetworkFinding;
  readonly afterMs: number | undefined;
}

export interface CidrTarget {
  readonly network: NetworkView;
  readonly definition: NetworkDefinition;
  readonly plan: IndexPlan;
  readonly problems: readonly Problem[];
  readonly memory: NetworkMemory;
}

const written: CidrOutcome = {
  finding: {
    type: 'CidrWritten',
    status: 'True',
    reason: 'Written',
    message: 'the CIDR object is a copy of the division',
  },
  afterMs: undefined,
};

export async function copyCidr(
  context: ControllerContext,
  target: CidrTarget,
  signal: AbortSignal,
): Promise<CidrOutcome> {
  const view = context.world.cidr(target.network.name);
  if (view?.isDeleting === true) {
    // Deleted by hand: it goes, and comes back with the next change (W-40).
    await removeFinalizer(context, {
      resource: CIDRS,
      head: view,
      finalizer: CIDR_FINALIZER,
      signal,
    });
    return written;
  }
  if (view !== undefined && isContested(target)) {
    const message = 'the CIDR object is left as it is: it is part of a contradiction';
    return { finding: refusal('HeldForConflicts', message), afterMs: undefined };
  }
  const { memory } = target;
  const input = fingerprint(context, target, view);
  if (memory.cidrRightFor === input) return written;
  const waitMs = quietMs(context, memory);
  if (view !== undefined && waitMs > 0) return { ...written, afterMs: waitMs };
  const plan = planCopy(context, target, view);
  if (plan.kind === 'too-large') {
    if (view !== undefined) {
      await deleteWithFinalizer(context, {
        resource: CIDRS,
        head: view,
        finalizer: CIDR_FINALIZER,
        signal,
      });
    }
    const message = `a CIDR object would have ${plan.bytes} bytes or more, too many to be stored`;
    return { finding: refusal('TooLarge', message), afterMs: undefined };
  }
  if (view !== undefined && isSameCidr(view.object.spec, plan.spec)) {
    memory.cidrRightFor = input;
    return written;
  }
  signal.throwIfAborted();
  const { name } = target.network;
  const stored =
    view === undefined
      ? await context.client.create(CIDRS, { metadata: { name }, spec: plan.spec }, { signal })
      : await context.client.replace(CIDRS, { ...view.object, spec: plan.spec }, { signal });
  context.world.putCidr(toCidrView(stored), view?.resourceVersion);
  memory.cidrWritten = { atMs: context.clock.monotonic(), bytes: plan.bytes };
  return written;
}

/** All that the copy is made of. Making and comparing a large one takes a tenth of a second. */
function fingerprint(
  { world }: ControllerContext,
  { network, plan }: CidrTarget,
  view: CidrView | undefined,
): string {
  const version = view?.resourceVersion ?? 'none';
  const ledger = formatLedger(plan.ledger);
  return `${world.hostsVersion} ${network.generation} ${version} ${plan.masterNets} ${ledger}`;
}

function refusal(reason: string, message: string): NetworkFinding {
  return { type: 'CidrWritten', status: 'False', reason, message };
}

function quietMs({ clock }: ControllerContext, { cidrWritten }: NetworkMemory): number {
  if (cidrWritten === undefined || cidrWritten.bytes < LARGE_BYTES) return 0;
  return Math.max(cidrWritten.atMs + QUIET_MS - clock.monotonic(), 0);
}

/** With hostBlock 0 the original gave one block to many hosts; its copy says which (state 04). */
function isContested({ definition, problems }: CidrTarget): boolean {
  const isShared =
    definition.hostBits === 0 && problems.some(({ kind }) => kind === 'host-block-zero');
  return isShared || problems.some(isEvidence);
}

function planCopy(context: ControllerContext, target: CidrTarget, view: CidrView | undefined) {
  const { network, definition, plan } = target;
  const { nets } = plan.ledger;
  const interfaceIndices = new Map(nets.map((net) => [net.netAddress, net.interfaceIndex]));
  const hosts = context.world
    .sortedHosts()
    .map((host) => ({ host, hostIndices: publishedIn(host, network) }));
  const poolCount = hosts.reduce((count, { hostIndices }) => count + hostIndices.size, 0);
  const published = new Set(
    hosts.flatMap(({ hostIndices }) => [...hostIndices].map(([net, index]) => `${net} ${index}`)),
  );
  return planCidrObject({
    config: toConfig(target),
    nets: nets.map((net) => ({
      netAddress: net.netAddress,
      interfaceIndex: net.interfaceIndex,
      vlanCidrs: vlanCidrs(context, definition, net),
    })),
    poolCount,
    // Without `reserved`: records say which block is whose, not what is left out inside of one.
    pools: hosts.values().flatMap(({ host, hostIndices }) =>
      planHostPools(context.core, definition, interfaceIndices, {
        hostName: host.name,
        interfaces: host.interfaces,
        hostIndices,
      }),
    ),
    previous: view?.object.spec,
    isStillHeld: (netAddress, host) =>
      isStillHeld(context, target, { netAddress, host, published }),
  });
}

/**
 * Records are kept for NICs that are away, for hosts whose HostInterface is (W-05, W-23), and for
 * hosts that came back just now and have not been given their index again. What another host
 * published is never kept.
 */
function isStillHeld(
  { world }: ControllerContext,
  { network, plan }: CidrTarget,
  o: { netAddress: string; host: CidrHost; published: ReadonlySet<string> },
): boolean {
  const { netAddress } = o;
  const { hostName, hostIndex } = o.host;
  const host = world.hosts.get(hostName);
  const own = host && publishedIn(host, network).get(netAddress);
  if (own !== undefined) return own === hostIndex;
  if (o.published.has(`${netAddress} ${hostIndex}`)) return false;
  const net = plan.ledger.nets.find((one) => one.netAddress === netAddress);
  return !world.gone().has(hostName) && net?.hosts.has(hostIndex) === true;
}

function vlanCidrs(
  context: ControllerContext,
  definition: NetworkDefinition,
  { netAddress, interfaceIndex }: LedgerNet,
): string[] {
  if (definition.hostSubnetMode) return parseCidr(netAddress) === undefined ? [] : [netAddress];
  return definition.subnets.flatMap((subnet) => {
    const division = context.core.subnetAt(subnet, interfaceIndex, definition.interfaceBits);
    return division.ok ? [formatCidr(division.cidr)] : [];
  });
}

/** As the user wrote it where the original kept the user's spelling. */
function toConfig({ network, definition, plan }: CidrTarget): CidrConfig {
  const { spec } = network.object;
  const { hostBlock, interfaceBlock, excludeCIDRs, vlanMode } = definition.ipam;
  const excludes = Array.isArray(excludeCIDRs) ? excludeCIDRs.map(String) : [];
  return {
    name: network.name,
    type: spec.plugin.type,
    subnet: spec.subnet ?? '',
    masterNets: [...(spec.masterNets?.length ? spec.masterNets : plan.masterNets)],
    hostBlock: typeof hostBlock === 'number' ? hostBlock : 0,
    interfaceBlock: typeof interfaceBlock === 'number' ? interfaceBlock : 0,
    ...(excludes.length === 0 ? {} : { excludeCIDRs: excludes }),
    ...(typeof vlanMode === 'string' && vlanMode !== '' ? { vlanMode } : {}),
  };
}
