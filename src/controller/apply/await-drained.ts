// Keeps a network that is being deleted until it is proven that no pod holds an address of it.
import type { MultiNicNetwork } from '../../shared/model/objects/multi-nic-network.ts';
import { IP_POOLS } from '../../shared/platform/kube/resource.ts';
import { planDrain } from '../plan/drain.ts';
import { listNames } from '../plan/problem.ts';
import type { ControllerContext } from './context.ts';
import { isKindServed } from './kind-served.ts';
import { type EndingNetwork, type Termination, waiting } from './termination.ts';

const AGAIN_MS = 15_000;

/** What is taken away once the proof was given: a status that says so needs no second one. */
const AFTERWARDS: ReadonlySet<string> = new Set([
  'Withdrawing',
  'RemovingPools',
  'RemovingCidr',
  'RemovingLedger',
]);

/** Undefined when no pod holds one. `object`: as it is stored; undefined when it is gone. */
export async function awaitDrained(
  context: ControllerContext,
  network: EndingNetwork,
  signal: AbortSignal,
): Promise<Termination | undefined> {
  const held = awaitPods(context, network.name);
  if (held !== undefined) return held;
  const left = isProven(network.object) ? undefined : await awaitProof(context, network, signal);
  if (left !== undefined) return left;
  context.silences.end(network.name);
  return awaitPods(context, network.name); // its pools may have come while the proof was sought
}

/** Undefined when no pool that is known names a holder. */
export function awaitPods(
  { world }: ControllerContext,
  networkName: string,
): Termination | undefined {
  // Pools of hosts that are gone hold nothing: those pods went with their host.
  const held = world.pools
    .ofNetwork(networkName)
    .filter((pool) => !world.gone().has(pool.hostName) && pool.allocationCount > 0);
  if (held.length === 0) return undefined;
  const holders = [...new Set(held.flatMap((pool) => pool.holders))].sort();
  const message = `pods still hold addresses: ${listNames(holders)}`;
  return waiting('PodsHoldAddresses', message, AGAIN_MS);
}

/** The beginning of its end made a new generation, so no status from before says this. */
function isProven(object: MultiNicNetwork | undefined): boolean {
  const drained = object?.status?.conditions?.find(({ type }) => type === 'Drained');
  return (
    drained !== undefined &&
    drained.observedGeneration === object?.metadata.generation &&
    AFTERWARDS.has(drained.reason)
  );
}

/** So many hosts hold an index, by what is not lost with the records of hosts. */
function recordedHosts({ world }: ControllerContext, network: EndingNetwork): number {
  const { computeResults = [] } = network.object?.status ?? {};
  const reading = world.ledger(network.name)?.reading;
  const nets = network.object === undefined && reading?.ok === true ? reading.ledger.nets : [];
  return Math.max(
    0,
    ...computeResults.map(({ numOfHosts }) => numOfHosts),
    ...nets.map(({ hosts }) => [...hosts].length),
  );
}

async function awaitProof(
  context: ControllerContext,
  network: EndingNetwork,
  signal: AbortSignal,
): Promise<Termination | undefined> {
  const { world, silences, silenceMs } = context;
  const { name: networkName } = network;
  const recordedCount = recordedHosts(context, network);
  const holders = world
    .sortedHosts()
    .filter((host) => host.published.has(networkName))
    // Nothing runs on what is simulated, and no daemon on what is only described.
    .filter((host) => !host.isTest && !(host.isUnmanaged && !world.hasNode(host.name)));
  if (holders.length === 0 && recordedCount === 0) return undefined;
  if (!(await isKindServed(context, IP_POOLS, signal))) {
    silences.end(networkName);
    const message = 'the definition of IPPools is missing, so pods may hold addresses: apply it';
    return waiting('PoolsUnreadable', message, AGAIN_MS);
  }
  const drain = planDrain({
    holders: holders.map(({ name }) => name),
    recordedCount,
    nodeCount: world.nodeCount,
    published: new Set(world.pools.ofNetwork(networkName).map(({ hostName }) => hostName)),
    ready: world.daemonNodes(),
  });
  if (drain.kind === 'proven') return undefined;
  if (drain.kind === 'silent') {
    silences.end(networkName);
    return waiting('PoolsMissing', drain.message, AGAIN_MS);
  }
  const leftMs = silenceMs - silences.forMs(networkName);
  return leftMs > 0 ? waiting('PoolsMissing', drain.message, leftMs) : undefined;
}
