// Test equipment: one daemon of this process on an in-memory host and the embedded API server, with
// a network, indices, and a client for its socket.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Core, loadCore } from '../../core-wasm/index.ts';
import { type FaultPoints, noFaults } from '../../src/daemon/attach/fault-points.ts';
import { Daemon } from '../../src/daemon/daemon.ts';
import { discoverInterfaces } from '../../src/daemon/hostnet/discover-interfaces.ts';
import type { HostNet } from '../../src/daemon/hostnet/host-net.ts';
import { toDiscovery } from '../../src/daemon/inventory/nic-inventory.ts';
import type { DaemonOptions } from '../../src/daemon/parts.ts';
import { parseSettings } from '../../src/daemon/settings.ts';
import type { CniReply, CniRequest } from '../../src/shared/model/daemon-api.ts';
import type { Problem } from '../../src/shared/model/problem.ts';
import { type Clock, systemClock } from '../../src/shared/platform/clock.ts';
import { staticTarget } from '../../src/shared/platform/kube/api-target.ts';
import { createKubeClient, type KubeClient } from '../../src/shared/platform/kube/client.ts';
import { createLogger, type Logger } from '../../src/shared/platform/log.ts';
import type { ApiServer } from '../apiserver/server.ts';
import { FakeHostNet } from '../hostnet/fake-host-net.ts';
import { hostObject, NODE, networkObject, startCluster } from './cluster.ts';

/** A host with `nics` NICs of one rail each, as the demo's hosts have. */
export function createFakeHost(nics = 4): FakeHostNet {
  const host = new FakeHostNet();
  for (let i = 1; i <= nics; i += 1) {
    host.addLink({ name: `eth${i}`, kind: 'veth', addresses: [`10.0.${i}.10/24`] });
  }
  return host;
}

/** What a test may replace. */
export interface HarnessOptions {
  readonly objects?: readonly unknown[];
  readonly hostNet?: HostNet;
  readonly client?: KubeClient;
  readonly clock?: Clock;
  readonly directory?: string;
  readonly faults?: FaultPoints;
  readonly env?: Record<string, string>;
  readonly bootId?: string;
  /** False: the daemon is started, but not waited for. */
  readonly isReady?: boolean;
  readonly api?: ApiServer;
  readonly log?: Logger;
  readonly openLog?: DaemonOptions['openLog'];
}

/** A daemon and its world. */
export interface Harness extends AsyncDisposable {
  readonly daemon: Daemon;
  readonly api: ApiServer;
  readonly client: KubeClient;
  readonly directory: string;
  readonly socket: string;
  readonly url: string;
}

/** For a start while the API server is away; any other waits for it as long as it takes. */
export const AWAY = { MULTI_NIC_SYNC_WAIT_MS: '100' };

let core: Promise<Core> | undefined;
/** One core for all tests of a file: daemons that are stopped have given their pools back. */
export const sharedCore = (): Promise<Core> => {
  core ??= loadCore();
  return core;
};

/** Starts a daemon; by default with network `net` on 4 NICs and host index 0. */
export async function startHarness(o: HarnessOptions = {}): Promise<Harness> {
  const directory = o.directory ?? mkdtempSync(join(tmpdir(), 'mnd-'));
  const objects = o.objects ?? [networkObject(), hostObject({ name: NODE, hostIndex: 0 })];
  const api = o.api ?? (await startCluster(o.client === undefined ? objects : []));
  const client = o.client ?? createKubeClient(staticTarget({ server: api.url }));
  const hostNet = o.hostNet ?? createFakeHost();
  const socket = join(directory, 'run', 'daemon.sock');
  const settings = parseSettings(
    {
      K8S_NODENAME: NODE,
      DAEMON_PORT: '0',
      MULTI_NIC_HTTP_HOST: '127.0.0.1',
      MULTI_NIC_SOCKET: socket,
      MULTI_NIC_STATE: join(directory, 'state'),
      MULTI_NIC_SPOOL: join(directory, 'spool'),
      MULTI_NIC_INCLUDE_VIRTUAL_NICS: 'true',
      MULTI_NIC_PUBLISH_INTERVAL_MS: '20',
      MULTI_NIC_SYNC_WAIT_MS: '20000',
      ...o.env,
    },
    NODE,
  );
  const daemon = await Daemon.start({
    settings,
    client,
    hostNet,
    core: await sharedCore(),
    clock: o.clock ?? systemClock,
    log: o.log ?? quietLog(),
    faults: o.faults ?? noFaults,
    bootId: o.bootId ?? 'boot-1',
    ...(o.openLog === undefined ? {} : { openLog: o.openLog }),
    discover: () =>
      toDiscovery(discoverInterfaces({ hostNet, sysRoot: '/nonexistent', includeVirtual: true })),
  });
  if (o.isReady !== false) await daemon.ready;
  return {
    daemon,
    api,
    client,
    directory,
    socket,
    url: `http://${daemon.addresses[1]}`,
    [Symbol.asyncDispose]: async () => {
      await daemon.stop();
      if (o.api === undefined) await api.close();
      if (o.directory === undefined) rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Silent unless TEST_LOG is set. */
export function quietLog(): Logger {
  const write = process.env.TEST_LOG === undefined ? () => undefined : console.error;
  return createLogger({ component: 'test', level: 'debug', write });
}

/** A request with everything a runtime sends; `container` names the netns and the pod too. */
export function cniRequest(
  command: CniRequest['command'],
  o: {
    container?: string;
    ifName?: string;
    netns?: string;
    network?: string;
    args?: string;
    config?: Record<string, unknown>;
  } = {},
): CniRequest {
  const container = o.container ?? 'c1';
  const podUid = `uid-${container}`;
  return {
    requestId: `r-${container}`,
    command,
    containerId: container,
    netns: o.netns ?? `/run/netns/${container}`,
    ifName: o.ifName ?? 'net1',
    args:
      o.args ??
      `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${container};K8S_POD_UID=${podUid}`,
    path: '/opt/cni/bin',
    config: {
      cniVersion: '0.3.0',
      name: o.network ?? 'net',
      type: 'multi-nic',
      plugin: { type: 'macvlan', mode: 'bridge' },
      ipam: { type: 'multi-nic-ipam' },
      multiNICIPAM: true,
      ...o.config,
    },
  };
}

/** The daemon's answer: a reply, or a problem. */
export interface Answer {
  readonly status: number;
  readonly reply: CniReply;
  readonly problem: Problem;
}

/** Sends a request as the executable does. */
export async function send(socket: string, request: unknown): Promise<Answer> {
  const response = await fetch('http://daemon/v1/cni', {
    unix: socket,
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(request),
  });
  const body: unknown = await response.json();
  // Checked by what each test expects of it.
  return { status: response.status, reply: body as CniReply, problem: body as Problem };
}

/** The addresses of a reply without their lengths, in order. */
export function addressesIn(answer: Answer): string[] {
  return (answer.reply.result?.ips ?? []).map(({ address }) => address.replace(/\/.*/, ''));
}
