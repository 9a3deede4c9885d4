// Test equipment: calls `dispatch` as a runtime calls the executable, and collects what it prints.
import { loadCore } from '../../core-wasm/index.ts';
import { createDaemonClient } from '../../src/cni/daemon-client.ts';
import type { DaemonClient } from '../../src/cni/daemon-port.ts';
import { type Dispatch, dispatch } from '../../src/cni/dispatch.ts';
import { openLibc } from '../../src/cni/libc.ts';
import { createSpool, type Spool } from '../../src/cni/spool.ts';
import type { Timeouts } from '../../src/cni/timeouts.ts';
import { createLogger } from '../../src/shared/platform/log.ts';
import { fetchExchange } from './fetch-exchange.ts';

/** What a call printed and how it ended. */
export interface Called {
  readonly exitCode: number;
  readonly stdout: string;
  /** Lines for people, the log's among them. */
  readonly stderr: string[];
  /** Standard output as JSON, or undefined if nothing was printed. */
  readonly document: Record<string, unknown> | undefined;
}

/** What differs from a good ADD of a two-NIC network. `daemon` is a socket path or a client. */
export interface CallOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly stdin?: string | Uint8Array;
  readonly daemon?: string | DaemonClient;
  readonly spool?: string | Spool;
  readonly timeoutsMs?: Partial<Timeouts>;
  readonly over?: Partial<Dispatch>;
}

/** Far more than a stub needs and far less than a test may take. */
const TIMEOUTS: Timeouts = {
  ADD: 5000,
  UNDO: 5000,
  DEL: 5000,
  CHECK: 5000,
  STATUS: 5000,
  GC: 5000,
};

const libc = openLibc();

/** The environment of a call that is in order. */
export const GOOD_ENV = {
  CNI_COMMAND: 'ADD',
  CNI_CONTAINERID: 'sandbox-1',
  CNI_NETNS: '/var/run/netns/cni-1',
  CNI_IFNAME: 'net1',
  CNI_ARGS: 'IgnoreUnknown=true;K8S_POD_NAMESPACE=default;K8S_POD_NAME=pod-a;K8S_POD_UID=u-1',
  CNI_PATH: '/opt/cni/bin',
} as const;

/** The configuration that the controller writes for a network with pools. */
export const GOOD_CONFIG = {
  cniVersion: '1.1.0',
  name: 'multi-nic-sample',
  type: 'multi-nic',
  ipam: { type: 'multi-nic-ipam', hostBlock: 8, interfaceBlock: 2, vlanMode: 'l3' },
  dns: {},
  plugin: { cniVersion: '1.1.0', type: 'ipvlan', mode: 'l3' },
  subnet: '192.168.0.0/16',
  masterNets: ['10.0.1.0/24', '10.0.2.0/24'],
  multiNICIPAM: true,
  daemonIP: '',
  daemonPort: 11000,
};

/** The good configuration with some keys replaced, as text. */
export function configText(over: Record<string, unknown> = {}): string {
  return JSON.stringify({ ...GOOD_CONFIG, ...over });
}

/** Runs one call. Fails if it printed more than one document to standard output. */
export async function call(o: CallOptions = {}): Promise<Called> {
  const printed: string[] = [];
  const stderr: string[] = [];
  const { daemon = '/nonexistent/daemon.sock', spool = '/nonexistent/run/spool' } = o;
  const exitCode = await dispatch({
    program: 'multi-nic',
    version: '2.0.0-test',
    env: { ...GOOD_ENV, ...o.env },
    stdin: () => toBytes(o.stdin ?? configText()),
    stdout: (text) => void printed.push(text),
    stderr: (text) => void stderr.push(text),
    daemon: typeof daemon === 'string' ? testClient(daemon) : daemon,
    spool: typeof spool === 'string' ? createSpool(libc, spool) : spool,
    timeoutsMs: { ...TIMEOUTS, ...o.timeoutsMs },
    loadCore,
    isOwnNetns: () => false,
    log: createLogger({ component: 'multi-nic', write: (line) => void stderr.push(line) }),
    newRequestId: () => crypto.randomUUID(),
    ...o.over,
  });
  if (printed.length > 1) throw new Error(`printed ${printed.length} times: ${printed.join('|')}`);
  const stdout = printed.join('');
  return { exitCode, stdout, stderr, document: stdout === '' ? undefined : JSON.parse(stdout) };
}

/** The executable's client, over an exchange that lets a daemon in this thread answer. */
export function testClient(socketPath: string): DaemonClient {
  return createDaemonClient({ socketPath, exchange: fetchExchange });
}

/** Text as bytes; bytes as they are. */
export function toBytes(input: string | Uint8Array): Uint8Array {
  return typeof input === 'string' ? new TextEncoder().encode(input) : input;
}

/** A spool that refuses everything, as a full disk does. */
export const brokenSpool: Spool = {
  record: () => Promise.reject(new Error('no space left')),
};
