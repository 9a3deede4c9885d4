// Test equipment: the controller against the embedded API server, in this process. Hosts are Nodes
// with HostInterfaces that the test writes, as daemons would.
import { type Core, loadCore } from '../../core-wasm/index.ts';
import {
  type ControllerOptions,
  declareMetrics,
  type RunningController,
  runController,
} from '../../src/controller/controller.ts';
import { Metrics } from '../../src/controller/metrics.ts';
import { DAEMON_APP, DAEMON_APP_LABEL, OPERATOR_NAMESPACE } from '../../src/shared/model/names.ts';
import type { CidrObject } from '../../src/shared/model/objects/cidr-object.ts';
import type { HostInterface } from '../../src/shared/model/objects/host-interface.ts';
import type { MultiNicNetwork } from '../../src/shared/model/objects/multi-nic-network.ts';
import { createKubeClient, type KubeClient } from '../../src/shared/platform/kube/client.ts';
import * as kinds from '../../src/shared/platform/kube/resource.ts';
import { createLogger } from '../../src/shared/platform/log.ts';
import { type ApiServer, startApiServer } from '../apiserver/server.ts';
import { NAD_CRD, ourCrds } from '../helpers/crds.ts';
import { eventually } from '../helpers/eventually.ts';

export const NAMESPACE = OPERATOR_NAMESPACE;
/** As the program's: what is not published within it is given up, however slow the machine is. */
const LEASE_MS = 15_000;

let core: Core | undefined;

/** A controller that leads, until it is stopped. */
export interface TestController {
  readonly running: RunningController;
  /** Ends it at once, as a process would end: nothing that it remembers survives. */
  stop(): Promise<void>;
}

/** Where controllers of a test run against: the embedded server, or a real one. */
export interface TestCluster {
  readonly client: KubeClient;
  /** A further client, as another process has. */
  newClient(userAgent?: string): KubeClient;
}

export class Lab implements AsyncDisposable {
  readonly cluster: TestCluster;
  readonly log: string[] = [];
  readonly #controllers = new Set<TestController>();

  constructor(cluster: TestCluster) {
    this.cluster = cluster;
  }

  get client(): KubeClient {
    return this.cluster.client;
  }

  async startController(o: Partial<ControllerOptions> = {}): Promise<TestController> {
    core ??= await loadCore();
    const metrics = new Metrics();
    declareMetrics(metrics);
    const stopper = new AbortController();
    const started = Promise.withResolvers<RunningController>();
    const work = runController(
      {
        client: this.cluster.newClient('controller'),
        core,
        namespace: NAMESPACE,
        leaseDurationMs: LEASE_MS,
        defaults: {
          daemonImage: 'example/daemon:test',
          cniBinPath: '/opt/cni/bin',
          architecture: 'amd64',
        },
        log: createLogger({
          component: 'controller',
          level: 'debug',
          write: (line) => this.log.push(line),
        }),
        metrics,
        hostBatchMs: 5,
        statusBatchMs: 5,
        settleMs: 50,
        silenceMs: 50,
        graceMs: 20,
        onStart: started.resolve,
        ...o,
      },
      stopper.signal,
    );
    work.catch(started.reject);
    const controller: TestController = {
      running: await started.promise,
      stop: async () => {
        this.#controllers.delete(controller);
        stopper.abort(new Error('stopped by the test'));
        await work;
      },
    };
    this.#controllers.add(controller);
    return controller;
  }

  async addNamespace(name: string): Promise<void> {
    await this.client.create(kinds.NAMESPACES, {
      metadata: { name },
      status: { phase: 'Active' },
    });
  }

  /**
   * A Node, its daemon's pod and the HostInterface that the daemon would publish. `nets`:
   * `10.1.0.0/16` per NIC.
   */
  async addHost(name: string, ...nets: string[]): Promise<void> {
    await this.client.create(kinds.NODES, { metadata: { name } });
    await this.addDaemonPod(name);
    await this.addHostInterface(name, ...nets);
  }

  /** The pod of a daemon that is ready. */
  async addDaemonPod(node: string): Promise<void> {
    const metadata = {
      name: `${DAEMON_APP}-${node}`,
      namespace: NAMESPACE,
      labels: { [DAEMON_APP_LABEL]: DAEMON_APP },
    };
    const containers = [{ name: DAEMON_APP, image: 'example/daemon:test' }];
    await this.client.create(kinds.PODS, { metadata, spec: { nodeName: node, containers } });
    await this.setDaemonReady(node, true);
  }

  async setDaemonReady(node: string, isReady: boolean): Promise<void> {
    const key = { name: `${DAEMON_APP}-${node}`, namespace: NAMESPACE };
    const body = {
      status: { conditions: [{ type: 'Ready', status: isReady ? 'True' : 'False' }] },
    };
    await this.client.patch(kinds.PODS, key, { type: 'merge', subresource: 'status', body });
  }

  async addHostInterface(name: string, ...nets: string[]): Promise<void> {
    await this.client.create(kinds.HOST_INTERFACES, toHostInterface(name, nets));
  }

  /** A host with a NIC in `net`, network `net` over it, and a controller that serves it. */
  async serve(net: string, spec: Record<string, unknown> = toSpec()): Promise<TestController> {
    await this.addHost('node-0', net);
    await this.addNetwork('net', spec);
    const controller = await this.startController();
    await this.untilCondition('net', 'Ready', 'True');
    return controller;
  }

  /** As a cluster does: the daemon's pod goes with its Node. */
  async removeNode(name: string): Promise<void> {
    await this.client.delete(kinds.NODES, { name });
    const pod = { name: `${DAEMON_APP}-${name}`, namespace: NAMESPACE };
    await this.client.delete(kinds.PODS, pod, { gracePeriodSeconds: 0 });
  }

  async addNetwork(name: string, spec: Record<string, unknown>): Promise<MultiNicNetwork> {
    return await this.client.create(kinds.MULTI_NIC_NETWORKS, { metadata: { name }, spec });
  }

  async network(name: string): Promise<MultiNicNetwork> {
    const network = await this.client.get(kinds.MULTI_NIC_NETWORKS, { name });
    if (network === undefined) throw new Error(`no network ${name}`);
    return network;
  }

  async host(name: string): Promise<HostInterface> {
    const host = await this.client.get(kinds.HOST_INTERFACES, { name });
    if (host === undefined) throw new Error(`no host ${name}`);
    return host;
  }

  async cidr(name: string): Promise<CidrObject | undefined> {
    return await this.client.get(kinds.CIDRS, { name });
  }

  /** Host index per net address of a host in a network. */
  async indices(host: string, network: string): Promise<Record<string, number>> {
    const { status } = await this.host(host);
    const own = status?.networks?.find((one) => one.name === network);
    return Object.fromEntries(
      (own?.indices ?? []).map(({ netAddress, hostIndex }) => [netAddress, hostIndex]),
    );
  }

  /** Waits until the condition of a network has that status, and perhaps that reason. */
  async untilCondition(
    network: string,
    type: string,
    status: 'True' | 'False' | 'Unknown',
    reason?: string,
  ): Promise<{ message: string }> {
    const seen = await eventually(`${network} ${type}=${status} ${reason ?? ''}`, async () => {
      const conditions = (await this.network(network)).status?.conditions ?? [];
      const condition = conditions.find((one) => one.type === type);
      const isMet =
        condition?.status === status && (reason === undefined || condition.reason === reason);
      return isMet ? condition : undefined;
    });
    return seen;
  }

  /** Waits until the host has indices in so many net addresses. */
  async untilIndices(
    host: string,
    network: string,
    count: number,
  ): Promise<Record<string, number>> {
    return await eventually(`${host} has ${count} indices in ${network}`, async () => {
      const indices = await this.indices(host, network);
      return Object.keys(indices).length === count ? indices : undefined;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const controller of [...this.#controllers]) await controller.stop();
  }
}

/** A lab on an embedded API server of its own. */
export interface EmbeddedLab extends AsyncDisposable {
  readonly lab: Lab;
  readonly server: ApiServer;
}

export async function startLab(
  o: { hasNadKind?: boolean; namespaces?: readonly string[]; now?: () => number } = {},
): Promise<EmbeddedLab> {
  const crds = o.hasNadKind === false ? ourCrds() : [...ourCrds(), NAD_CRD];
  const server = await startApiServer({ crds, ...(o.now === undefined ? {} : { now: o.now }) });
  const newClient = (userAgent = 'test'): KubeClient =>
    createKubeClient({ server: server.url }, { userAgent });
  const lab = new Lab({ client: newClient(), newClient });
  await lab.addNamespace(NAMESPACE);
  for (const name of o.namespaces ?? []) await lab.addNamespace(name);
  return {
    lab,
    server,
    async [Symbol.asyncDispose]() {
      await lab[Symbol.asyncDispose]();
      await server.close();
    },
  };
}

export function toHostInterface(name: string, nets: readonly string[]): Record<string, unknown> {
  const number = Number(/\d+$/.exec(name)?.[0] ?? '0');
  return {
    metadata: { name },
    spec: {
      hostName: name,
      interfaces: nets.map((netAddress, index) => ({
        interfaceName: `eth${index + 1}`,
        netAddress,
        hostIP: netAddress.replace(/\.0\/\d+$/, `.${10 + number}`),
        pciAddress: `0000:${index.toString(16).padStart(2, '0')}:00.0`,
      })),
    },
  };
}

/** The spec of an ipvlan network with our own IPAM. */
export function toSpec(
  o: {
    subnet?: string;
    hostBlock?: number;
    interfaceBlock?: number;
    vlanMode?: string;
    excludeCIDRs?: string[];
    masterNets?: string[];
    namespaces?: string[];
    args?: Record<string, string>;
    type?: string;
  } = {},
): Record<string, unknown> {
  const { hostBlock = 6, interfaceBlock = 2, vlanMode = 'l3', excludeCIDRs } = o;
  return {
    subnet: o.subnet ?? '192.168.0.0/16',
    ipam: JSON.stringify({
      type: 'multi-nic-ipam',
      hostBlock,
      interfaceBlock,
      vlanMode,
      ...(excludeCIDRs === undefined ? {} : { excludeCIDRs }),
    }),
    multiNICIPAM: true,
    plugin: { cniVersion: '0.3.0', type: o.type ?? 'ipvlan', args: o.args ?? { mode: 'l3' } },
    ...(o.masterNets === undefined ? {} : { masterNets: o.masterNets }),
    ...(o.namespaces === undefined ? {} : { namespaces: o.namespaces }),
  };
}
