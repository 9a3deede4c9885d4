// Whole-process ADD and DEL of N NICs, from exec to printed result, beside what a user has today: N sequential calls of
// the reference plugins macvlan + host-local on the same links, in the same run, turn about.
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { compileFile } from '../scripts/build.ts';
import * as lab from '../scripts/demo/lab.ts';
import { callPlugin } from '../scripts/demo/runtime.ts';
import * as stack from '../scripts/demo/stack.ts';
import { type BenchRow, type RowOptions, summarise, timeRow } from './row.ts';

const root = join(import.meta.dir, '..');
const COUNTS = [1, 2, 4, 8, 16];
const ROUNDS = 15;
const WARM_UP = 2;
/** Calls after which the daemon's code is compiled: what a daemon is that has run for a while. */
const DAEMON_WARM_UP = 150;
const RATIO_TARGETS: Record<string, number> = { 'ADD 1': 0.7, 'ADD 16': 0.15, 'DEL 16': 0.1 };
/** Measured elsewhere on such a machine (the original, milliseconds): cited, never compared in one run. */
const ORIGINAL_MS: Record<string, number> = {
  'ADD 1': 382,
  'ADD 4': 933,
  'ADD 8': 1701,
  'ADD 16': 3201,
  'DEL 1': 407,
  'DEL 4': 1054,
  'DEL 8': 1894,
  'DEL 16': 3580,
};

interface Times {
  add: number[];
  del: number[];
}

/** What the calls of one benchmark have in common. */
interface Setting {
  /** The NAD's configuration. */
  config: string;
  /** Folder of the reference plugins, or undefined without Go to build them. */
  folder: string | undefined;
  /** Folder in which host-local keeps its addresses. */
  data: string;
  /** A program that does nothing, of the same runtime. */
  empty: string;
}

/** Folder of the reference plugins, built from their Go module; undefined where there is no Go. */
async function referenceFolder(): Promise<string | undefined> {
  if (Bun.which('go') === null) return undefined;
  const output = await lab.run([join(root, 'test/peers/build.sh'), 'macvlan', 'host-local']);
  const [macvlan] = output.trim().split('\n');
  if (macvlan === undefined || !existsSync(macvlan))
    throw new Error('the reference plugins are missing');
  return join(macvlan, '..');
}

/** One reference call: the plugin as a runtime starts it, inside the host's namespace. */
async function reference(
  command: 'ADD' | 'DEL',
  o: { folder: string; pod: lab.Pod; nic: number; data: string },
): Promise<void> {
  const master = lab.nicName(o.nic);
  const config = {
    cniVersion: '1.0.0',
    name: `reference-${master}`,
    type: 'macvlan',
    master,
    mode: 'bridge',
    ipam: { type: 'host-local', dataDir: o.data, subnet: `10.${100 + o.nic}.0.0/16` },
  };
  const env = {
    CNI_COMMAND: command,
    CNI_CONTAINERID: o.pod.containerId,
    CNI_NETNS: o.pod.netns,
    CNI_IFNAME: `ref${o.nic}`,
    CNI_PATH: o.folder,
  };
  const child = Bun.spawn(
    ['nsenter', `--net=${lab.hostNetns(o.pod.host)}`, join(o.folder, 'macvlan')],
    {
      stdin: new TextEncoder().encode(JSON.stringify(config)),
      stdout: 'pipe',
      stderr: 'pipe',
      env,
    },
  );
  const output = await new Response(child.stdout).text();
  if ((await child.exited) !== 0) throw new Error(`reference ${command} failed: ${output}`);
}

async function timed(work: () => Promise<void>): Promise<number> {
  const begin = performance.now();
  await work();
  return performance.now() - begin;
}

/** The network for the bench: 16 NICs, macvlan bridge, enough addresses. */
const network = {
  apiVersion: 'multinic.fms.io/v1' as const,
  kind: 'MultiNicNetwork' as const,
  metadata: { name: 'bench' },
  spec: {
    subnet: '10.64.0.0/10',
    ipam: JSON.stringify({
      type: 'multi-nic-ipam',
      hostBlock: 4,
      interfaceBlock: 4,
      vlanMode: 'l2',
    }),
    multiNICIPAM: true,
    plugin: { cniVersion: '1.0.0', type: 'macvlan', args: { mode: 'bridge' } },
  },
};

/** Milliseconds of our executable's call for a pod, as a runtime makes it. */
async function callOurs(
  command: 'ADD' | 'DEL',
  o: { pod: lab.Pod; config: string; program?: string },
): Promise<number> {
  const { pod, config, program = stack.CNI_PROGRAM } = o;
  const [socket, spool] = [stack.socketOf(pod.host), stack.spoolOf(pod.host)];
  const call = { program, command, pod, ifName: 'net1', config, socket, spool };
  return (await callPlugin(call)).tookMs;
}

/** The configuration for this many NICs. */
function configOf(count: number, config: string): string {
  return JSON.stringify({ ...JSON.parse(config), args: { cni: { nics: count } } });
}

/** Calls the daemon until it is warm; the row of its very first ADD. */
async function warmUp(config: string): Promise<BenchRow> {
  const pod = await lab.buildPod(lab.hostName(0), 0);
  const times: number[] = [];
  for (let round = 0; round < DAEMON_WARM_UP; round += 1) {
    times.push(await callOurs('ADD', { pod, config: configOf(1, config) }));
    await callOurs('DEL', { pod, config: configOf(1, config) });
  }
  await lab.run(['ip', 'netns', 'del', pod.name]);
  return timeRow(
    'first ADD 1 of a daemon that has just started',
    'ms',
    summarise(times.slice(0, 1)),
  );
}

async function measure(count: number, { config, folder, data, empty }: Setting) {
  const ours: Times = { add: [], del: [] };
  const theirs: Times = { add: [], del: [] };
  const floor: number[] = [];
  const wanted = configOf(count, config);
  const nics = Array.from({ length: count }, (_, nic) => nic);
  for (let round = 0; round < ROUNDS + WARM_UP; round += 1) {
    const pod = await lab.buildPod(lab.hostName(0), round % 26);
    const refer = (command: 'ADD' | 'DEL') =>
      timed(async () => {
        if (folder === undefined) return;
        for (const nic of nics) await reference(command, { folder, pod, nic, data });
      });
    const samples = {
      theirAdd: await refer('ADD'),
      ourAdd: await callOurs('ADD', { pod, config: wanted }),
      floor: await callOurs('ADD', { pod, config: wanted, program: empty }),
      theirDel: await refer('DEL'),
      ourDel: await callOurs('DEL', { pod, config: wanted }),
    };
    await lab.run(['ip', 'netns', 'del', pod.name]);
    if (round < WARM_UP) continue;
    if (folder !== undefined) {
      theirs.add.push(samples.theirAdd);
      theirs.del.push(samples.theirDel);
    }
    ours.add.push(samples.ourAdd);
    ours.del.push(samples.ourDel);
    floor.push(samples.floor);
  }
  const rows = [
    toRow(`ADD ${count}`, ours.add, theirs.add),
    toRow(`DEL ${count}`, ours.del, theirs.del),
  ];
  if (count > 1) return rows;
  return [
    ...rows,
    timeRow('an empty program in the place of ADD 1', 'ms', summarise(floor), {
      ...besideReference(1, theirs.add),
      note: 'what the runtime needs to start and end: the floor',
    }),
  ];
}

/** The peer of a row: as many calls of the reference plugins, or their name and why there are none. */
function besideReference(count: number, times: readonly number[]): RowOptions {
  const peer = `${count} x macvlan + host-local`;
  if (times.length === 0) return { peer, peerMissing: 'they need Go to be built' };
  const peerTimes = summarise(times);
  return { peer: `${peer} (${peerTimes.median.toFixed(1)} ms)`, peerTimes };
}

/** One row: the share of the peer's time and what it has to keep; the original's time as a note. */
function toRow(name: string, ours: number[], theirs: number[]): BenchRow {
  const count = Number(name.split(' ')[1]);
  const row = timeRow(
    `whole process ${name}`,
    'ms',
    summarise(ours),
    besideReference(count, theirs),
  );
  const target = RATIO_TARGETS[name];
  if (target !== undefined && theirs.length > 0) row.target = target;
  const original = ORIGINAL_MS[name];
  if (original !== undefined) row.note = `the original, measured elsewhere: ${original} ms`;
  if (target !== undefined && theirs.length === 0) row.note += `; wanted <= ${target}: not judged`;
  return row;
}

/** Runs inside namespaces of its own (bench/main.ts sees to that). */
export async function runAttachBench(): Promise<BenchRow[]> {
  const folder = await referenceFolder();
  const data = join(root, 'build', `bench-${process.pid}`);
  mkdirSync(data, { recursive: true });
  try {
    const size: lab.LabSize = { hosts: 1, nics: 16, podsPerHost: 1 };
    await lab.privateMounts();
    await lab.buildHosts(size);
    const running = await stack.startApi(size);
    await stack.startController();
    await stack.startDaemons(size, data);
    const config = await stack.createNetwork(running, network, size);
    const empty = join(data, 'empty');
    await compileFile({ entry: 'bench/peers/empty.ts', output: empty, shortLived: true });
    const setting = { config, folder, data, empty };
    const rows = [await warmUp(config)];
    for (const count of COUNTS) rows.push(...(await measure(count, setting)));
    return rows;
  } finally {
    rmSync(data, { recursive: true, force: true });
  }
}
