// What further NICs add to the start of a pod on a real cluster: real kubelet, containerd and API
// server, the test's meta-plugin in the place of Multus. The peers are, in the same run and in
// turn, a pod without further NICs; one with a network that makes none, which is what the
// meta-plugin costs by itself; one whose plugin is an empty program, compiled as ours is, that only
// says it made eight, which is the least that an executable of this kind can cost; and one that gets
// as many from the reference plugins, one after the other.
//
// A pod counts as ready when a watch of the API server says so. That is not rounded to the kubelet's
// seconds: this kubelet looks at a pod as soon as it has worked on it, and Ready follows the start
// of the container, by the runtime's log, within some 15 ms.
import { cpus } from 'node:os';
import { join } from 'node:path';
import { compileFile } from '../scripts/build.ts';
import { whyNoCluster } from '../test/cluster/cluster.ts';
import { waitForConsistency } from '../test/cluster/consistency.ts';
import { ownCluster } from '../test/cluster/interrupt.ts';
import { sandboxTimes, timePods } from '../test/cluster/latency.ts';
import { machineRoot, writeFile } from '../test/cluster/machine.ts';
import { deletePods, type PodRequest } from '../test/cluster/pods.ts';
import {
  createNetwork,
  installProduct,
  kubectl,
  loadProduct,
  networkObject,
  nodeNames,
  waitForPools,
} from '../test/cluster/product.ts';
import { railNic } from '../test/cluster/settings.ts';
import { takeTurn } from '../test/cluster/turn.ts';
import { type BenchRow, NotMeasurable, summarise, type Times, timeRow } from './row.ts';

const RAILS = 8;
const SINGLE_PODS = 50;
const GROUP_PODS = 20;
const GROUP_ROUNDS = 6;
/** What 8 NICs may add to the median of a pod's start, in milliseconds. */
const ADDED_MS_MAX = 100;

/** A plugin that says it made an interface. */
const IDLE_PLUGIN = `#!/bin/sh
[ "$CNI_COMMAND" = ADD ] || exit 0
echo '{"cniVersion":"1.0.0","interfaces":[{"name":"net1","sandbox":"'"$CNI_NETNS"'"}]}'
`;

/** Milliseconds by name of variant. */
type TimesByVariant = Map<string, number[]>;

interface Variant {
  readonly name: string;
  readonly title: string;
  /** Value of the networks annotation. */
  readonly networks: string | undefined;
}

const VARIANTS: readonly Variant[] = [
  { name: 'none', title: 'no further NIC', networks: undefined },
  // What the meta-plugin, its requests and the annotation cost, whoever makes the NICs.
  { name: 'idle', title: 'a network that makes no NIC', networks: 'bench-idle' },
  // What the start of a runtime and the longer annotation cost, without any work.
  { name: 'said', title: 'an empty program that says 8 NICs', networks: 'bench-said' },
  { name: 'one', title: '1 NIC', networks: 'bench-one' },
  { name: 'eight', title: '8 NICs', networks: 'bench-eight' },
  { name: 'peer', title: '8 NICs by macvlan + host-local', networks: peerNames().join(',') },
];

/**
 * Measures on a cluster of its own, which is gone afterwards. Throws with the reason where none can
 * run.
 */
export async function runClusterBench(): Promise<BenchRow[]> {
  const reason = whyNoCluster();
  if (reason !== undefined) throw new NotMeasurable(`no cluster on this machine: it ${reason}`);
  using _turn = await takeTurn();
  await using _cluster = await ownCluster({ nodes: 2, rails: RAILS });
  await prepare();
  const single = await measureSingle();
  const groups = await measureGroups();
  const sandboxes = new Map(
    VARIANTS.map(({ name }) => [name, sandboxTimes(`single-${name}-`)] as const),
  );
  return [
    ...rows('one pod at a time', single),
    ...rows('one sandbox at a time', sandboxes),
    ...rows(`${GROUP_PODS} pods at once`, groups.pods, groups.medians),
    ...rows(`${GROUP_PODS} pods at once, each one's share`, groups.shares),
  ];
}

async function prepare(): Promise<void> {
  await loadProduct();
  await installProduct({ timeoutMs: 120_000, publishIntervalMs: 1_000 });
  await createNetwork(networkObject({ name: 'bench-one', nics: 1, subnet: '10.64.0.0/12' }));
  await createNetwork(networkObject({ name: 'bench-eight', nics: RAILS, subnet: '10.80.0.0/12' }));
  await waitForPools('bench-one', { nics: 1 });
  await waitForPools('bench-eight', { nics: RAILS });
  for (const node of nodeNames()) writeFile(node, 'opt/cni/bin/test-idle', IDLE_PLUGIN, 0o755);
  await define('bench-idle', { type: 'test-idle' });
  await installSaid();
  await define('bench-said', { type: 'test-said' });
  for (const [rail, name] of peerNames().entries()) {
    const subnet = `172.${16 + rail}.0.0/16`;
    const ipam = { type: 'host-local', subnet };
    await define(name, { type: 'macvlan', master: railNic(rail), ipam });
  }
}

/** A plugin that is a program compiled as ours is and does nothing but answer. */
async function installSaid(): Promise<void> {
  for (const node of nodeNames()) {
    const output = join(machineRoot(node), 'opt/cni/bin/test-said');
    await compileFile({ entry: 'bench/peers/said-nics.ts', output, shortLived: true });
  }
}

async function define(name: string, plugin: object): Promise<void> {
  const definition = {
    apiVersion: 'k8s.cni.cncf.io/v1',
    kind: 'NetworkAttachmentDefinition',
    metadata: { name, namespace: 'default' },
    spec: { config: JSON.stringify({ cniVersion: '1.0.0', name, ...plugin }) },
  };
  await kubectl(['apply', '-f', '-'], JSON.stringify(definition));
}

/** One pod after the other. */
async function measureSingle(): Promise<TimesByVariant> {
  const times = emptyTimes();
  for (const { variant, round } of inTurn(SINGLE_PODS)) {
    const pod = podOf(`single-${variant.name}-${round}`, variant, round);
    times.get(variant.name)?.push(...(await timePods([pod], 60_000)));
    await removePods(pod.name);
  }
  return times;
}

/** What groups took. */
interface GroupTimes {
  readonly pods: TimesByVariant;
  /** What each pod of a group took of the time until the last one was ready. */
  readonly shares: TimesByVariant;
  /** The median of each group. */
  readonly medians: TimesByVariant;
}

/** Many at once. */
async function measureGroups(): Promise<GroupTimes> {
  const [all, shares, medians] = [emptyTimes(), emptyTimes(), emptyTimes()];
  for (const { variant, round } of inTurn(GROUP_ROUNDS)) {
    const group = `group-${variant.name}-${round}`;
    const pods = Array.from({ length: GROUP_PODS }, (_, index) => ({
      ...podOf(`${group}-${index}`, variant, index),
      group,
    }));
    const times = await timePods(pods, 120_000);
    all.get(variant.name)?.push(...times);
    shares.get(variant.name)?.push(Math.max(...times) / GROUP_PODS);
    medians.get(variant.name)?.push(summarise(times).median);
    await removePods(group);
  }
  return { pods: all, shares, medians };
}

/** The next ones begin when nothing is left to do for these. */
async function removePods(group: string): Promise<void> {
  await deletePods(group, { timeoutMs: 120_000 });
  await waitForConsistency({ attachments: 0 });
}

/**
 * The variants in turn, so that a slow minute hits all of them, and each round beginning with
 * another one, so that none always runs in the wake of the same.
 */
function inTurn(rounds: number): { variant: Variant; round: number }[] {
  return Array.from({ length: rounds }, (_, round) => {
    const first = round % VARIANTS.length;
    return [...VARIANTS.slice(first), ...VARIANTS.slice(0, first)].map((variant) => {
      return { variant, round };
    });
  }).flat();
}

function emptyTimes(): TimesByVariant {
  return new Map(VARIANTS.map(({ name }) => [name, []]));
}

function podOf(name: string, variant: Variant, index: number): PodRequest {
  const nodes = nodeNames();
  const node = nodes[index % nodes.length] ?? '';
  return { name, node, ...(variant.networks === undefined ? {} : { networks: variant.networks }) };
}

/**
 * The variants against the pod without NICs; ours with 8 also against a network that makes none,
 * and against the reference plugins with 8.
 */
function rows(what: string, times: TimesByVariant, medians?: TimesByVariant): BenchRow[] {
  const of = (name: string): Times => summarise(times.get(name) ?? []);
  const plain = of('none');
  // What is wanted is said of pods: a share of a group's time is a part of it by definition.
  const hasTarget = !what.includes('sandbox') && !what.includes('share');
  const described = VARIANTS.map(({ name, title }) => {
    const own = of(name);
    const added = (own.median - plain.median).toFixed(0);
    const p90 = percentile90(times.get(name) ?? []).toFixed(0);
    const spread = medians === undefined ? '' : describeSpread(medians, name);
    const base = what.includes('at once') ? `; the cluster has ${cpus().length} processors` : '';
    return timeRow(`${what}, ${title}`, 'ms', own, {
      note: `p90 ${p90} ms${name === 'none' ? base : `, adds ${added} ms to the median${spread}`}`,
      ...(name === 'none' ? {} : { peer: 'no further NIC', peerTimes: plain }),
      ...(name === 'eight' && hasTarget
        ? { target: `${(plain.median + ADDED_MS_MAX).toFixed(0)} ms` }
        : {}),
    });
  });
  const eight = `${what}, 8 NICs, beside`;
  const said = of('said');
  const overSaid = (of('eight').median - said.median).toFixed(0);
  const idle = of('idle');
  const ownShare = (of('eight').median - idle.median).toFixed(0);
  return [
    ...described,
    timeRow(`${eight} a network that makes none`, 'ms', of('eight'), {
      peer: 'a network that makes no NIC',
      peerTimes: idle,
      note: `adds ${ownShare} ms to the median`,
    }),
    timeRow(`${eight} an empty program`, 'ms', of('eight'), {
      peer: 'an empty program that says 8 NICs',
      peerTimes: said,
      note: `adds ${overSaid} ms to the median`,
    }),
    timeRow(`${eight} the reference plugins`, 'ms', of('eight'), {
      peer: 'macvlan + host-local, 8 times',
      peerTimes: of('peer'),
    }),
  ];
}

/** By how much the group's median was above that of the plain group of its round, least first. */
function describeSpread(medians: TimesByVariant, name: string): string {
  const plain = medians.get('none') ?? [];
  const added = (medians.get(name) ?? []).map((own, round) => own - (plain[round] ?? Number.NaN));
  const sorted = added.sort((a, b) => a - b).map((ms) => ms.toFixed(0));
  return `, by rounds ${sorted.join(', ')}`;
}

function percentile90(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.ceil(sorted.length * 0.9) - 1] ?? Number.NaN;
}

function peerNames(): string[] {
  return Array.from({ length: RAILS }, (_, rail) => `bench-peer-${rail}`);
}
