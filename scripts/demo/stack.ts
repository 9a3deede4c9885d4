// The product on the demo's hosts: API server, controller, one daemon per host. Programs are the compiled ones.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DAEMON_APP, DAEMON_APP_LABEL, OPERATOR_NAMESPACE } from '../../src/shared/model/names.ts';
import type { MultiNicNetwork } from '../../src/shared/model/objects/multi-nic-network.ts';
import { createKubeClient, type KubeClient } from '../../src/shared/platform/kube/client.ts';
import * as kinds from '../../src/shared/platform/kube/resource.ts';
import { startApiServer } from '../../test/apiserver/server.ts';
import { NAD_CRD, ourCrds } from '../../test/helpers/crds.ts';
import { hostName, hostNetns, type LabSize, MANAGEMENT_ADDRESS } from './lab.ts';

const root = join(import.meta.dir, '../..');
const build = join(root, 'build');
export const STATE_FOLDER = '/run/multi-nic';
export const CNI_PROGRAM = join(build, 'multi-nic');
/** How long to wait for a step; an emulated machine needs more than the default. */
let waitMs = 30_000;

export function setWaitMs(value: number): void {
  waitMs = value;
}

export const socketOf = (host: string): string => `${STATE_FOLDER}/${host}/daemon.sock`;
export const spoolOf = (host: string): string => `${STATE_FOLDER}/${host}/spool`;
export const logOf = (program: string): string => `${STATE_FOLDER}/${program}.log`;

export interface Stack {
  client: KubeClient;
  apiUrl: string;
}

/** Polls until `check` gives a value; an error after the time limit says what was waited for. */
export async function waitFor<T>(what: string, check: () => Promise<T | undefined>): Promise<T> {
  const end = performance.now() + waitMs;
  let last: unknown;
  while (performance.now() < end) {
    try {
      const value = await check();
      if (value !== undefined) return value;
    } catch (error) {
      last = error;
    }
    await Bun.sleep(50);
  }
  throw new Error(`${what}: not so after ${waitMs / 1000} s`, { cause: last });
}

/** GET over a host's unix socket. */
export async function askDaemon<T>(host: string, path: string): Promise<T> {
  const response = await fetch(`http://daemon${path}`, { unix: socketOf(host) });
  if (!response.ok) throw new Error(`${host}: ${path} answered ${response.status}`);
  return (await response.json()) as T;
}

function start(program: string, command: string[], env: Record<string, string>): void {
  const log = Bun.file(logOf(program));
  const child = Bun.spawn(command, { env, stdio: ['ignore', log, log] });
  child.unref();
}

export async function startApi(size: LabSize): Promise<Stack> {
  mkdirSync(STATE_FOLDER, { recursive: true });
  const server = await startApiServer({
    crds: [...ourCrds(), NAD_CRD],
    hostname: MANAGEMENT_ADDRESS,
    objects: [
      {
        apiVersion: 'v1',
        kind: 'Namespace',
        metadata: { name: OPERATOR_NAMESPACE },
        status: { phase: 'Active' },
      },
      ...Array.from({ length: size.hosts }, (_, index) => daemonPod(hostName(index))),
    ],
  });
  const client = createKubeClient({ server: server.url });
  for (let host = 0; host < size.hosts; host += 1) {
    const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: hostName(host) } };
    await client.create(kinds.NODES, node);
  }
  const kubeconfig = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'demo', cluster: { server: server.url } }],
    users: [{ name: 'demo', user: {} }],
    contexts: [{ name: 'demo', context: { cluster: 'demo', user: 'demo' } }],
    'current-context': 'demo',
  };
  writeFileSync(`${STATE_FOLDER}/kubeconfig`, JSON.stringify(kubeconfig));
  return { client, apiUrl: server.url };
}

/** What the controller counts a daemon by: daemons are no pods here, and no kubelet speaks for them. */
function daemonPod(host: string): Record<string, unknown> {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: `${DAEMON_APP}-${host}`,
      namespace: OPERATOR_NAMESPACE,
      labels: { [DAEMON_APP_LABEL]: DAEMON_APP },
    },
    spec: { nodeName: host, containers: [{ name: DAEMON_APP, image: 'none' }] },
    status: { conditions: [{ type: 'Ready', status: 'True' }] },
  };
}

export async function startController(): Promise<void> {
  start('controller', [join(build, 'multi-nic-controller')], {
    KUBECONFIG_FILE: `${STATE_FOLDER}/kubeconfig`,
    OPERATOR_NAMESPACE,
    POD_NAME: 'controller-demo',
    HEALTH_PORT: '8083',
  });
  await waitFor('the controller is ready', async () =>
    (await fetch('http://127.0.0.1:8083/readyz')).ok ? true : undefined,
  );
}

/** One daemon per host; its journal lies in a folder of `journals`, by default on the demo's own tmpfs. */
export async function startDaemons(size: LabSize, journals = STATE_FOLDER): Promise<void> {
  for (let index = 0; index < size.hosts; index += 1) {
    const host = hostName(index);
    mkdirSync(`${STATE_FOLDER}/${host}`, { recursive: true, mode: 0o700 });
    start(host, ['nsenter', `--net=${hostNetns(host)}`, join(build, 'multi-nicd')], {
      KUBECONFIG_FILE: `${STATE_FOLDER}/kubeconfig`,
      K8S_NODENAME: host,
      MULTI_NIC_SOCKET: socketOf(host),
      MULTI_NIC_SPOOL: spoolOf(host),
      MULTI_NIC_STATE: `${journals}/${host}/state`,
      MULTI_NIC_INCLUDE_VIRTUAL_NICS: 'true',
    });
  }
  for (let index = 0; index < size.hosts; index += 1) {
    const host = hostName(index);
    await waitFor(`the daemon of ${host} is ready`, async () => {
      const response = await fetch('http://daemon/readyz', { unix: socketOf(host) });
      return response.ok ? true : undefined;
    });
  }
}

/** Creates the network and waits until every host may attach to it on every NIC. Returns the NAD's configuration. */
export async function createNetwork(
  stack: Stack,
  network: Pick<MultiNicNetwork, 'apiVersion' | 'kind' | 'metadata' | 'spec'>,
  size: LabSize,
): Promise<string> {
  await stack.client.create(kinds.MULTI_NIC_NETWORKS, network as MultiNicNetwork);
  const name = network.metadata.name;
  await waitFor(`every daemon has its ${size.nics} pools of ${name}`, async () => {
    for (let host = 0; host < size.hosts; host += 1) {
      const pools = await askDaemon<{ pools: unknown[] }>(hostName(host), '/v1/pools');
      if (pools.pools.length < size.nics) return undefined;
    }
    return true;
  });
  return await waitFor(`the network attachment definition of ${name}`, async () => {
    const key = { name, namespace: 'default' };
    return (await stack.client.get(kinds.NET_ATTACH_DEFS, key))?.spec?.config;
  });
}

/** Waits until the IPPool objects, which daemons publish about once a second, hold an address of each pod. */
export async function publishedAllocations(stack: Stack, pods: number): Promise<void> {
  await waitFor(`the IPPools name ${pods} pods`, async () => {
    const { items } = await stack.client.list(kinds.IP_POOLS);
    const names = new Set(items.flatMap((pool) => pool.spec.allocations.map((a) => a.pod)));
    return names.size === pods ? true : undefined;
  });
}
