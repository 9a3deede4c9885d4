// Pods of the demo: attached and detached through the compiled executable, and probed from inside.
import { buildPod, hostName, hostsOnRail, type LabSize, type Pod } from './lab.ts';
import { explainRefusals, readNeighbourTable } from './neighbours.ts';
import { probeRail, RetryBudget, type Took } from './probe.ts';
import { callPlugin } from './runtime.ts';
import { CNI_PROGRAM, socketOf, spoolOf } from './stack.ts';

export const IF_NAME = 'net1';
/** For all that was lost at first, however much it is. */
const RETRY_MS_MAX = 10_000;

export interface Attached {
  pod: Pod;
  /** The result as printed, for CHECK and for people. */
  output: string;
  /** Interface name and address without prefix, in NIC order. */
  addresses: { interfaceName: string; address: string }[];
  addMs: number;
  delMs: number;
}

export interface Reachability {
  /** Pod name -> address -> milliseconds, or null where it could not be reached. */
  times: Map<string, Record<string, Took>>;
  /** What to do about neighbours that the kernel had no room for, if there were any. */
  refusals: string | undefined;
}

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

/** Lets each pod ask every other over every NIC, rail after rail. */
export async function reachability(attached: Attached[], size: LabSize): Promise<Reachability> {
  const retries = new RetryBudget(RETRY_MS_MAX);
  const times: Reachability['times'] = new Map(attached.map(({ pod }) => [pod.name, {}]));
  const before = await readNeighbourTable();
  for (let rail = 0; rail < size.nics; rail += 1) {
    const ends = attached.flatMap(({ pod, addresses }) => {
      const own = addresses[rail];
      return own === undefined ? [] : [{ pod: pod.name, netns: pod.netns, ...own }];
    });
    const ofRail = await probeRail(ends, { hosts: hostsOnRail(size, rail), retries });
    for (const [name, row] of ofRail) Object.assign(times.get(name) ?? {}, row);
  }
  return { times, refusals: explainRefusals(before, await readNeighbourTable()) };
}
