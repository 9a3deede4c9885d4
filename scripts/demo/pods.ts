// Pods of the demo: attached and detached through the compiled executable, and probed from inside.
import { join } from 'node:path';
import { buildPod, hostName, type LabSize, type Pod, run } from './lab.ts';
import { callPlugin } from './runtime.ts';
import { CNI_PROGRAM, socketOf, spoolOf } from './stack.ts';

export const IF_NAME = 'net1';
const PROBE = join(import.meta.dir, 'probe.ts');

export interface Attached {
  pod: Pod;
  /** The result as printed, for CHECK and for people. */
  output: string;
  /** Interface name and address without prefix, in NIC order. */
  addresses: { interfaceName: string; address: string }[];
  addMs: number;
  delMs: number;
}

/** Pod name -> address -> milliseconds, or null where it could not be reached. */
export type Reachability = Map<string, Record<string, number | null>>;

interface PrintedResult {
  interfaces: { name: string; mac?: string }[];
  ips: { interface: number; address: string }[];
}

export async function attachPods(size: LabSize, config: string): Promise<Attached[]> {
  const attached: Attached[] = [];
  for (let host = 0; host < size.hosts; host += 1) {
    for (let ordinal = 0; ordinal < size.podsPerHost; ordinal += 1) {
      attached.push(await attach(await buildPod(hostName(host), ordinal), config));
    }
  }
  return attached;
}

function call(command: 'ADD' | 'DEL', pod: Pod, config: string) {
  return callPlugin({
    program: CNI_PROGRAM,
    command,
    pod,
    ifName: IF_NAME,
    config,
    socket: socketOf(pod.host),
    spool: spoolOf(pod.host),
  });
}

async function attach(pod: Pod, config: string): Promise<Attached> {
  const { output, tookMs } = await call('ADD', pod, config);
  const result = JSON.parse(output) as PrintedResult;
  const addresses = result.ips.map(({ interface: index, address }) => ({
    interfaceName: result.interfaces[index]?.name ?? '?',
    address: address.split('/')[0] ?? address,
  }));
  return { pod, output, addresses, addMs: tookMs, delMs: 0 };
}

export async function detachPods(attached: Attached[], config: string): Promise<void> {
  for (const item of attached) item.delMs = (await call('DEL', item.pod, config)).tookMs;
}

/** Starts an answering process in each pod and lets each pod connect to every address of every other. */
export async function reachability(attached: Attached[]): Promise<Reachability> {
  const servers = await Promise.all(attached.map(({ pod }) => startServer(pod)));
  const matrix: Reachability = new Map();
  try {
    for (const { pod } of attached) {
      const others = attached.filter((other) => other.pod !== pod);
      const targets = others.flatMap((other) => other.addresses.map((a) => a.address));
      const output = await run(inPod(pod, ['check', ...targets]));
      matrix.set(pod.name, JSON.parse(output));
    }
  } finally {
    for (const server of servers) server.kill();
    await Promise.all(servers.map((server) => server.exited));
  }
  return matrix;
}

const inPod = (pod: Pod, args: string[]): string[] => [
  'nsenter',
  `--net=${pod.netns}`,
  process.execPath,
  PROBE,
  ...args,
];

async function startServer(pod: Pod) {
  const server = Bun.spawn(inPod(pod, ['serve']), { stdio: ['ignore', 'pipe', 'inherit'] });
  const reader = server.stdout.getReader();
  await reader.read();
  reader.releaseLock();
  return server;
}
