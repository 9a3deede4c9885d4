// Kernel work of attaching and detaching: our HostNet against a C program that sends the least
// that gives the same links (peers/bare-rtnetlink.c). Both run in turns in one simulated host.
// Also: host routes in bulk, and what watching costs while nothing happens.
import type { HostNet, HostRoute, PodLinkRequest } from '../src/daemon/hostnet/host-net.ts';
import { openHostNet } from '../src/daemon/hostnet/open-host-net.ts';
import { NetnsWorld, type TestNetns } from '../test/helpers/netns.ts';
import { BARE_RTNETLINK, compileBareRtnetlink, type Peer } from './peers/bare-rtnetlink.ts';
import { type BenchRow, summarise, timeRow } from './row.ts';

const LINK_COUNTS = [1, 2, 4, 8, 16];
const GROUP = 0x4d00_0001;
/** Rounds of one program before it is the other's turn. */
const BLOCK_ROUNDS = 15;
const BLOCKS = 4;
const ROUTES = 10_000;
const WATCH_MS = 3_000;

/** Milliseconds of making and of removing, one entry per round. */
interface Rounds {
  readonly made: number[];
  readonly removed: number[];
}

/** Everything a round needs. */
interface Stage {
  readonly world: NetnsWorld;
  readonly host: TestNetns;
  readonly pod: TestNetns;
  readonly hostNet: HostNet;
  readonly masters: readonly number[];
  readonly peer: Peer;
}

/** Runs all of it; needs namespaces of its own, and a C compiler for the peer. */
export async function runHostnetBench(): Promise<BenchRow[]> {
  using world = new NetnsWorld();
  const host = world.addNetns('host');
  const pod = world.addNetns('pod');
  const wire = world.addNetns('wire');
  for (let n = 0; n < Math.max(...LINK_COUNTS); n += 1) {
    world.addVeth({ netns: host, name: `rail${n}` }, { netns: wire, name: `rail${n}` });
  }
  world.ip(host, ['address', 'add', '10.0.0.1/24', 'dev', 'rail0']);
  using hostNet = openHostNet({ netnsPath: host.path });
  const masters = hostNet.links().flatMap((link) => (link.loopback ? [] : [link.index]));
  const stage = { world, host, pod, hostNet, masters, peer: compileBareRtnetlink(world.folder) };
  const linkRows = LINK_COUNTS.flatMap((count) => compareLinks(stage, count));
  return [...linkRows, ...measureRoutes(stage), await measureWatch(stage)];
}

function compareLinks(stage: Stage, count: number): BenchRow[] {
  const ours: Rounds = { made: [], removed: [] };
  const theirs: Rounds = { made: [], removed: [] };
  runOurs(stage, count, { made: [], removed: [] });
  for (let block = 0; block < BLOCKS; block += 1) {
    runOurs(stage, count, ours);
    runPeer(stage, count, theirs);
  }
  const title = count === 1 ? '1 link' : `${count} links`;
  const row = (what: string, key: keyof Rounds): BenchRow =>
    timeRow(`${what} ${title}`, 'ms', summarise(ours[key]), {
      peer: BARE_RTNETLINK,
      ...('missing' in stage.peer
        ? { peerMissing: stage.peer.missing }
        : { peerTimes: summarise(theirs[key]) }),
    });
  return [row('enter the pod, create and configure', 'made'), row('delete', 'removed')];
}

function runOurs({ hostNet, pod, masters }: Stage, count: number, rounds: Rounds): void {
  const requests = masters.slice(0, count).map(
    (parentIndex, n): PodLinkRequest => ({
      name: `net1-${n}`,
      parentIndex,
      link: { kind: 'macvlan', mode: 'bridge' },
      mtu: 0,
      group: GROUP,
      addresses: [{ family: 4, address: `192.168.${n}.5`, prefix: 24 }],
      routes: [{ destination: `172.16.${n}.0/24`, via: `192.168.${n}.1` }],
    }),
  );
  for (let round = 0; round < BLOCK_ROUNDS; round += 1) {
    const start = Bun.nanoseconds();
    const handle = hostNet.openNetns(pod.path);
    handle.createLinks(requests);
    const made = Bun.nanoseconds();
    handle.deleteLinks({ group: GROUP, names: [] });
    handle[Symbol.dispose]();
    rounds.made.push((made - start) / 1e6);
    rounds.removed.push((Bun.nanoseconds() - made) / 1e6);
  }
}

function runPeer({ world, host, pod, masters, peer }: Stage, count: number, rounds: Rounds): void {
  if ('missing' in peer) return;
  const indices = masters.slice(0, count).map(String);
  const args = [peer.program, pod.path, String(BLOCK_ROUNDS), String(GROUP), '1', ...indices];
  const { exitCode, output } = world.exec(host, args);
  if (exitCode !== 0) throw new Error(`${BARE_RTNETLINK}: ${output}`);
  for (const line of output.trim().split('\n')) {
    const [made = 0, removed = 0] = line.split(' ').map(Number);
    rounds.made.push(made / 1e6);
    rounds.removed.push(removed / 1e6);
  }
}

/** Adding, listing and removing many host routes; per call, not per route. */
function measureRoutes({ hostNet, masters }: Stage): BenchRow[] {
  const interfaceIndex = masters[0] ?? 0;
  const routes = Array.from(
    { length: ROUTES },
    (_, n): HostRoute => ({
      destination: `172.${16 + (n >> 14)}.${(n >> 6) & 255}.${(n & 63) * 4}/30`,
      via: `10.0.0.${2 + (n % 200)}`,
      interfaceIndex,
      table: 254,
      protocol: 77,
    }),
  );
  const times = { add: [] as number[], list: [] as number[], remove: [] as number[] };
  const timed = (list: number[], work: () => unknown): void => {
    const start = Bun.nanoseconds();
    work();
    list.push((Bun.nanoseconds() - start) / 1e6);
  };
  for (let round = 0; round < 5; round += 1) {
    timed(times.add, () => hostNet.changeRoutes({ add: routes, remove: [] }));
    timed(times.list, () => hostNet.routes({ protocol: 77 }));
    timed(times.remove, () => hostNet.changeRoutes({ add: [], remove: routes }));
  }
  return [
    timeRow(`add ${ROUTES} host routes`, 'ms', summarise(times.add)),
    timeRow(`list ${ROUTES} host routes`, 'ms', summarise(times.list)),
    timeRow(`remove ${ROUTES} host routes`, 'ms', summarise(times.remove)),
  ];
}

/** Processor time of watching a host on which nothing happens, beyond that of doing nothing. */
async function measureWatch({ hostNet }: Stage): Promise<BenchRow> {
  const idle = await cpuShare();
  const abort = new AbortController();
  const watching = hostNet.watch(() => undefined, abort.signal);
  const watched = await cpuShare();
  abort.abort();
  await watching;
  const share = Math.max(0, watched - idle);
  return {
    name: 'watch a host on which nothing happens',
    unit: '% CPU',
    median: share,
    p99: share,
  };
}

/** Processor time of this process over a while of waiting, in percent of one processor. */
async function cpuShare(): Promise<number> {
  const before = process.cpuUsage();
  await Bun.sleep(WATCH_MS);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / (WATCH_MS * 10);
}
