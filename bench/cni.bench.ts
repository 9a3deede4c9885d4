// What the executable itself costs: whole processes, from exec to the printed answer, against a
// daemon that answers at once, beside `cat`, which is about the least that any process costs.
// Calls take turns, so that a machine that changes its speed changes it for all of them.
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { attachedReply, startStubDaemon } from '../test/cni/stub-daemon.ts';
import { type BenchRow, NotMeasurable, printRows, summarise, timeRow } from './row.ts';

const ROUNDS = 100;
const WARMUPS = 10;
const NICS = 4;
const PROGRAM = join(import.meta.dir, '../build/multi-nic');
const STUB = '--stub';
const STUB_MS_MAX = 120_000;

interface Command {
  readonly name: string;
  readonly program: string;
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: string;
  readonly note?: string;
}

/** Measures the executable in build/. Throws if it is not built. */
export async function runCniBench(): Promise<BenchRow[]> {
  if (!existsSync(PROGRAM))
    throw new NotMeasurable(`${PROGRAM} is missing: run \`make build\` first`);
  const folder = mkdtempSync(join(tmpdir(), 'mnc-bench-'));
  const stub = Bun.spawn([process.execPath, import.meta.path, STUB], {
    stdin: 'pipe',
    stdout: 'pipe',
    timeout: STUB_MS_MAX,
  });
  try {
    const socket = await firstLine(stub.stdout);
    return measureAll(commands({ socket, folder }));
  } finally {
    await stub.stdin.end(); // tells it to remove what it made and to end
    await stub.exited;
    rmSync(folder, { recursive: true, force: true });
  }
}

function commands({ socket, folder }: { socket: string; folder: string }): Command[] {
  const stdin = JSON.stringify({
    cniVersion: '0.3.0',
    name: 'multi-nic-sample',
    type: 'multi-nic',
    ipam: { hostBlock: 8, interfaceBlock: 2, type: 'multi-nic-ipam', vlanMode: 'l3' },
    dns: {},
    plugin: { cniVersion: '0.3.0', mode: 'l3', type: 'ipvlan' },
    subnet: '192.168.0.0/16',
    masterNets: ['10.0.1.0/24', '10.0.2.0/24', '10.0.3.0/24', '10.0.4.0/24'],
    multiNICIPAM: true,
    daemonIP: '',
    daemonPort: 11000,
  });
  const env = {
    CNI_CONTAINERID: 'bench',
    CNI_NETNS: '/var/run/netns/bench',
    CNI_IFNAME: 'net1',
    CNI_PATH: '/opt/cni/bin',
    CNI_ARGS: 'IgnoreUnknown=true;K8S_POD_NAMESPACE=default;K8S_POD_NAME=bench',
    MULTI_NIC_SOCKET: socket,
    MULTI_NIC_SPOOL: join(folder, 'run/spool'),
  };
  const ours = (verb: string, over: Record<string, string> = {}): Omit<Command, 'name'> => ({
    program: PROGRAM,
    env: { ...env, CNI_COMMAND: verb, ...over },
    stdin,
  });
  return [
    { name: 'cat', program: Bun.which('cat') ?? '/bin/cat', env: {}, stdin },
    { name: 'executable: VERSION', ...ours('VERSION') },
    {
      name: `executable: ADD ${NICS}, daemon answers at once`,
      ...ours('ADD'),
      note: 'the floor under every ADD',
    },
    { name: 'executable: DEL, daemon answers at once', ...ours('DEL') },
    {
      name: 'executable: DEL, daemon away',
      ...ours('DEL', { MULTI_NIC_SOCKET: join(folder, 'no.sock') }),
      note: 'written to the spool and synced',
    },
  ];
}

function measureAll(all: readonly Command[]): BenchRow[] {
  const times = new Map<string, number[]>(all.map(({ name }) => [name, []]));
  for (let round = -WARMUPS; round < ROUNDS; round++) {
    for (const command of all) {
      const taken = run(command);
      if (round >= 0) times.get(command.name)?.push(taken);
    }
  }
  const summaries = new Map([...times].map(([name, list]) => [name, summarise(list)]));
  const peerTimes = summaries.get('cat');
  return all.slice(1).flatMap(({ name, note }) => {
    const own = summaries.get(name);
    if (own === undefined || peerTimes === undefined) return [];
    const peer = `cat (${peerTimes.median.toFixed(2)} ms)`;
    return timeRow(name, 'ms', own, { peer, peerTimes, ...(note === undefined ? {} : { note }) });
  });
}

/** Milliseconds of one process. A call that fails would measure something else: it throws. */
function run({ name, program, env, stdin }: Command): number {
  const input = new TextEncoder().encode(stdin);
  const begin = Bun.nanoseconds();
  const { exitCode, stdout } = Bun.spawnSync([program], {
    env,
    cwd: '/',
    stdin: input,
    stdout: 'pipe',
    stderr: 'ignore',
    timeout: 30_000,
  });
  const taken = Bun.nanoseconds() - begin;
  if (exitCode !== 0) throw new Error(`${name} failed: ${stdout}`);
  return taken / 1e6;
}

async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  for await (const chunk of stream) return new TextDecoder().decode(chunk).trim();
  throw new Error('the stub did not start');
}

/** The daemon's part, in a process of its own so that it has a CPU of its own. */
async function serveStub(): Promise<void> {
  await using daemon = startStubDaemon((request) =>
    Response.json(request.command === 'ADD' ? attachedReply(request, NICS) : {}),
  );
  console.log(daemon.socketPath);
  await Bun.stdin.text(); // ends with the bench
}

if (import.meta.main) {
  if (process.argv[2] === STUB) await serveStub();
  else printRows(await runCniBench());
}
