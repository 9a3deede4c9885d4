// The daemon alone, as a process: ADD and DEL over its socket on the real kernel beside a bare
// rtnetlink program, durable allocations from many clients, restart with a full journal, memory.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type {
  HostNet,
  NetnsHandle,
  PodLink,
  PodLinkRequest,
} from '../src/daemon/hostnet/host-net.ts';
import type { Attachment } from '../src/daemon/journal/attachment.ts';
import { Journal } from '../src/daemon/journal/journal.ts';
import { staticTarget } from '../src/shared/platform/kube/api-target.ts';
import { createKubeClient } from '../src/shared/platform/kube/client.ts';
import { hostObject, NODE, networkObject } from '../test/daemon/cluster.ts';
import { cniRequest, createFakeHost, startHarness } from '../test/daemon/harness.ts';
import { type DaemonProcess, RealNode, startApiProcess } from '../test/daemon/real-node.ts';
import { BARE_RTNETLINK, compileBareRtnetlink, type Peer } from './peers/bare-rtnetlink.ts';
import { type BenchRow, printRows, type RowOptions, summarise, timeRow } from './row.ts';

const ROOT = join(import.meta.dir, '..');
const NIC_COUNTS = [1, 2, 4, 8, 16];
/** Rounds of the daemon before it is the peer's turn, so that both see the same machine. */
const BLOCK_ROUNDS = 10;
const BLOCKS = 4;
const ROUNDS = BLOCK_ROUNDS * BLOCKS;
const WARM_ROUNDS = 5;
/** Before the first row: what a daemon is that has run for a while, its code compiled. */
const FIRST_WARM_ROUNDS = 150;
const CLIENTS = 64;
const ALLOCATIONS = 6_400;
const PEER_ALLOCATIONS = 640;
/** Durable allocations of the program that this one succeeds. */
const ORIGINAL_PER_SECOND = 2.5;
const PEER_BUILD_MS_MAX = 300_000;
const ROWS_RESTART = 10_000;
const ROWS_MEMORY = 1_000;
const RESTARTS = 7;
const MIB = 1 << 20;

/** The compiled program if it is built, else the source. */
function program(): string[] {
  const compiled = join(ROOT, 'build/multi-nicd');
  return existsSync(compiled) ? [compiled] : [process.execPath, 'src/daemon/main.ts'];
}

/** Runs all of it; needs namespaces of its own. */
export async function runDaemonBench(): Promise<BenchRow[]> {
  const allocations = await measureAllocations();
  return [
    ...(await measureAttach()),
    allocations,
    ...(await measureRestart()),
    await measureMemory(),
  ];
}

const nicsMax = Math.max(...NIC_COUNTS);

/** One pool of 16,382 addresses per NIC. */
function objects(nics = nicsMax): unknown[] {
  const ipam = { interfaceBlock: 4, hostBlock: 2 };
  const spec = { subnet: '172.16.0.0/12' };
  return [networkObject({ nics, ipam, spec }), hostObject({ name: NODE, hostIndex: 0, nics })];
}

async function measureAttach(): Promise<BenchRow[]> {
  await using node = await RealNode.create({
    nics: nicsMax,
    objects: objects(),
    program: program(),
    env: { MULTI_NIC_QUARANTINE_SECONDS: '0', LOG_LEVEL: 'info' },
  });
  const daemon = await node.start();
  const pod = node.addPod('bench');
  const peer = compileBareRtnetlink(node.world.folder);
  const rows: BenchRow[] = [];
  for (const nics of NIC_COUNTS) {
    const config = { args: { cni: { nics } } };
    const call = async (command: 'ADD' | 'DEL'): Promise<number> => {
      const request = cniRequest(command, { container: 'bench', netns: pod.path, config });
      const start = performance.now();
      const answer = await node.send(request);
      const taken = performance.now() - start;
      if (answer.status !== 200) throw new Error(answer.problem.detail);
      return taken;
    };
    const times = { add: [] as number[], del: [] as number[] };
    const bare = { made: [] as number[], removed: [] as number[] };
    const logged = daemon.log().length;
    await repeat(rows.length === 0 ? FIRST_WARM_ROUNDS : WARM_ROUNDS, call);
    for (let round = 0; round < ROUNDS; round += 1) {
      times.add.push(await call('ADD'));
      times.del.push(await call('DEL'));
      if ((round + 1) % BLOCK_ROUNDS > 0) continue;
      const { made, removed } = runPeer(node, { peer, pod: pod.path, nics });
      bare.made.push(...made);
      bare.removed.push(...removed);
    }
    const of = nics === 1 ? '1 NIC' : `${nics} NICs`;
    rows.push(
      timeRow(`ADD of ${of}, daemon side`, 'ms', summarise(durations(daemon, logged)), {
        ...besidePeer(peer, bare.made),
        ...twiceThePeer(peer, bare.made),
      }),
      timeRow(`ADD of ${of} over the socket`, 'ms', summarise(times.add)),
      timeRow(
        `DEL of ${of} over the socket`,
        'ms',
        summarise(times.del),
        besidePeer(peer, bare.removed),
      ),
    );
  }
  return rows;
}

function besidePeer(peer: Peer, times: readonly number[]): RowOptions {
  if ('missing' in peer) return { peer: BARE_RTNETLINK, peerMissing: peer.missing };
  return { peer: BARE_RTNETLINK, peerTimes: summarise(times) };
}

/** What the daemon's side of an ADD may take; without the peer nobody can say. */
function twiceThePeer(peer: Peer, times: readonly number[]): RowOptions {
  if ('missing' in peer) return { note: 'wanted: at most 2 x the peer; not judged' };
  return { target: `${(2 * summarise(times).median).toFixed(2)} ms` };
}

/** One ADD and DEL after the other, for what they leave in the daemon. */
async function repeat(rounds: number, call: (verb: 'ADD' | 'DEL') => Promise<unknown>) {
  for (let round = 0; round < rounds; round += 1) {
    await call('ADD');
    await call('DEL');
  }
}

/** What the daemon says itself that the last ADDs took, from the request to the reply. */
function durations(daemon: DaemonProcess, from: number): number[] {
  const lines = daemon.log().slice(from).split('\n');
  const served = lines.filter((line) => line.includes('"command":"ADD"'));
  return served.slice(-ROUNDS).map((line) => {
    const parsed: { durationMs: number } = JSON.parse(line);
    return parsed.durationMs;
  });
}

/**
 * Times of the same kernel work without anything around it: as many links with one address each,
 * no routes, as the ADDs here have none. The journal, its disk and the decisions are the daemon's.
 */
function runPeer(
  node: RealNode,
  o: { peer: Peer; pod: string; nics: number },
): { made: number[]; removed: number[] } {
  if ('missing' in o.peer) return { made: [], removed: [] };
  const links: { ifindex: number; ifname: string }[] = JSON.parse(
    node.world.ip(node.host, ['-json', 'link']),
  );
  const indices = links
    .filter(({ ifname }) => ifname.startsWith('eth'))
    .slice(0, o.nics)
    .map(({ ifindex }) => String(ifindex));
  const args = [o.peer.program, o.pod, String(BLOCK_ROUNDS), '77', '0', ...indices];
  const { exitCode, output } = node.world.exec(node.host, args);
  if (exitCode !== 0) throw new Error(`${BARE_RTNETLINK}: ${output}`);
  const times = output
    .trim()
    .split('\n')
    .map((line) => line.split(' ').map((text) => Number(text) / 1e6));
  return { made: times.map(([made = 0]) => made), removed: times.map(([, gone = 0]) => gone) };
}

/** ADDs of one NIC from 64 clients in another process: real journal, no kernel. */
async function measureAllocations(): Promise<BenchRow> {
  const folder = mkdtempSync(join(tmpdir(), 'mnd-bench-'));
  const ipam = { interfaceBlock: 0, hostBlock: 1 };
  const world = [
    networkObject({ nics: 1, ipam }),
    hostObject({ name: NODE, hostIndex: 0, nics: 1 }),
  ];
  const api = await startApiProcess({ folder, objects: world });
  try {
    await using h = await startHarness({
      hostNet: withoutKernel(createFakeHost(1)),
      client: createKubeClient(staticTarget({ server: api.url })),
      env: { MULTI_NIC_PUBLISH_INTERVAL_MS: '1000' },
    });
    const client = join(import.meta.dir, 'peers/daemon-clients.ts');
    const template = JSON.stringify(cniRequest('ADD', { container: 'NAME' }));
    const args = [h.socket, String(CLIENTS), String(ALLOCATIONS), template];
    const child = Bun.spawn([process.execPath, client, ...args], { stderr: 'inherit' });
    const text = await new Response(child.stdout).text();
    const { seconds, latencies } = JSON.parse(text) as { seconds: number; latencies: number[] };
    const held = h.daemon.parts.journal.held().length;
    if (held !== ALLOCATIONS) throw new Error(`${held} addresses are held`);
    const { commits, writes } = h.daemon.parts.journal.counts;
    const peerMs = await measureHostLocal(folder);
    const each = (seconds * 1000) / ALLOCATIONS;
    const { median, p99 } = summarise(latencies);
    return timeRow(
      `durable allocation, ${CLIENTS} clients at once, each`,
      'ms',
      { median: each, p99: each },
      {
        ...besideHostLocal(peerMs),
        note:
          `${Math.round(1000 / each)} per second, ${(writes / commits).toFixed(1)} writes per ` +
          `commit; a client waits ${median.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms; ` +
          `the original, measured elsewhere: ${ORIGINAL_PER_SECOND} per second`,
      },
    );
  } finally {
    api.child.kill('SIGKILL');
    await api.child.exited;
    rmSync(folder, { recursive: true, force: true });
  }
}

function besideHostLocal(ms: number | undefined): RowOptions {
  const peer = 'host-local';
  if (ms === undefined) return { peer, peerMissing: 'it needs Go to be built' };
  const target = `${(ms / 5).toPrecision(3)} ms`;
  return { peer, peerTimes: { median: ms, p99: ms }, target };
}

/** Milliseconds per allocation of the reference plugin under as many clients; undefined without it. */
async function measureHostLocal(folder: string): Promise<number | undefined> {
  const build = Bun.spawnSync([join(ROOT, 'test/peers/build.sh'), 'host-local'], {
    timeout: PEER_BUILD_MS_MAX,
  });
  const plugin = build.stdout.toString().trim();
  if (build.exitCode !== 0 || !existsSync(plugin)) return undefined;
  const ipam = { type: 'host-local', dataDir: join(folder, 'host-local'), subnet: '10.0.0.0/16' };
  const config = JSON.stringify({ cniVersion: '1.0.0', name: 'peer', type: 'macvlan', ipam });
  let next = 0;
  const client = async (): Promise<void> => {
    for (let n = next; n < PEER_ALLOCATIONS; n = next) {
      next += 1;
      const env = {
        CNI_COMMAND: 'ADD',
        CNI_CONTAINERID: `c${n}`,
        CNI_NETNS: '/none',
        CNI_IFNAME: 'net1',
        CNI_PATH: join(plugin, '..'),
      };
      const stdio = ['pipe', 'ignore', 'ignore'] as const;
      const child = Bun.spawn([plugin], { env, stdio: [...stdio] });
      child.stdin.write(config);
      await child.stdin.end();
      if ((await child.exited) !== 0) throw new Error(`host-local failed for c${n}`);
    }
  };
  const start = performance.now();
  await Promise.all(Array.from({ length: CLIENTS }, client));
  return (performance.now() - start) / PEER_ALLOCATIONS;
}

/** The host's own links as they are; pods' links are made and removed by saying so. */
function withoutKernel(host: HostNet): HostNet {
  const toLink = (request: PodLinkRequest): PodLink => ({
    name: request.name,
    index: 2,
    mac: '02:00:00:00:00:01',
    mtu: 1500,
    kind: request.link.kind,
    mode: request.link.mode,
    group: request.group,
    up: true,
    parentIndex: request.parentIndex,
    addresses: [],
  });
  const netns: NetnsHandle = {
    id: '4:1',
    enter: () => undefined,
    links: () => [],
    createLinks: (requests) => ({ created: requests.map(toLink) }),
    deleteLinks: () => ({ deleted: 0 }),
    addRoutes: () => undefined,
    routes: () => [],
    [Symbol.dispose]: () => undefined,
  };
  return {
    links: () => host.links(),
    routes: (o) => host.routes(o),
    defaultRoutes: () => host.defaultRoutes(),
    changeRoutes: (o) => host.changeRoutes(o),
    watch: (onEvent, signal) => host.watch(onEvent, signal),
    openNetns: () => netns,
    [Symbol.dispose]: () => undefined,
  };
}

/** Rows of 4 NICs as ADDs leave them, without links in any kernel. */
async function fillJournal(directory: string, rows: number): Promise<void> {
  const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  using journal = Journal.open({ directory, node: NODE, bootId, firstId: 1 });
  for (let start = 0; start < rows; start += 500) {
    const batch = Array.from({ length: Math.min(500, rows - start) }, (_, i) =>
      journal.insert(rowOf(journal.takeId(), start + i, bootId)),
    );
    await Promise.all(batch);
  }
}

function rowOf(id: number, n: number, bootId: string): Attachment {
  const nic = (i: number): Attachment['nics'][number] => {
    const index = 1 + (n % 16_000);
    const value = (172 << 24) + (16 << 16) + i * (1 << 16) + index;
    const address = [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join('.');
    return {
      name: `net1-${i}`,
      master: `eth${i + 1}`,
      netAddress: `10.0.${i + 1}.0/24`,
      kind: 'macvlan',
      mode: 'bridge',
      mtu: 0,
      mac: '02:00:00:00:00:01',
      addresses: [{ pool: `net-172.${16 + i}.0.0-18`, index, family: 4, address, prefix: 16 }],
      routes: [],
    };
  };
  return {
    id,
    network: 'net',
    containerId: `${id}`.padStart(64, 'x'),
    ifName: 'net1',
    state: 'attached',
    external: false,
    podUid: crypto.randomUUID(),
    podNamespace: 'default',
    podName: `pod-${n}`,
    netnsPath: `/run/netns/none-${n}`,
    netnsId: `4:${n}`,
    bootId,
    group: id,
    createdAtMs: 0,
    updatedAtMs: 0,
    sharedRoutes: [],
    why: { considered: [], steps: { planMs: 0.5, intentMs: 0.5, linksMs: 5 } },
    nics: [0, 1, 2, 3].map(nic),
  };
}

async function restartNode(rows: number): Promise<RealNode> {
  const node = await RealNode.create({ nics: 4, objects: objects(4), program: program() });
  await fillJournal(node.stateDirectory, rows);
  return node;
}

/** From the start of the process to "ready", and what of it is the program's own start. */
async function measureRestart(): Promise<BenchRow[]> {
  const times = async (rows: number): Promise<number[]> => {
    await using node = await restartNode(rows);
    const taken: number[] = [];
    for (let round = 0; round <= RESTARTS; round += 1) {
      const start = performance.now();
      const daemon = await node.start();
      if (round > 0) taken.push(performance.now() - start);
      daemon.child.kill('SIGKILL');
      await daemon.child.exited;
    }
    return taken;
  };
  return [
    timeRow('start to ready, empty journal', 'ms', summarise(await times(0))),
    timeRow(`start to ready, ${ROWS_RESTART} rows`, 'ms', summarise(await times(ROWS_RESTART)), {
      target: '1000 ms',
    }),
  ];
}

/** Resident memory with 1,000 attachments after some work. */
async function measureMemory(): Promise<BenchRow> {
  await using node = await restartNode(ROWS_MEMORY);
  const daemon = await node.start();
  const pod = node.addPod('bench');
  for (let round = 0; round < 100; round += 1) {
    for (const command of ['ADD', 'DEL'] as const) {
      await node.send(cniRequest(command, { container: 'bench', netns: pod.path }));
    }
  }
  const resident = residentMib(daemon);
  return {
    name: `resident memory with ${ROWS_MEMORY} attachments`,
    unit: 'MiB',
    median: resident,
    p99: resident,
    target: '120 MiB',
  };
}

function residentMib({ child }: DaemonProcess): number {
  const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
  const kib = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]);
  return Math.round(((kib * 1024) / MIB) * 10) / 10;
}

if (import.meta.main) printRows(await runDaemonBench());
