// Test equipment: one host on the real kernel with the daemon as a real process, killed and started
// again at will. The host is a network namespace with its own API server; NICs are veths whose other
// ends are a bridge per rail in a second namespace, where further hosts can be plugged in.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { NetnsWorld, type TestNetns } from '../helpers/netns.ts';
import { hostObject, networkObject } from './cluster.ts';
import { type Answer, send } from './harness.ts';

const ROOT = join(import.meta.dir, '../..');
const START_MS_MAX = 120_000;

/** What a test may say about its node. */
export interface RealNodeOptions {
  readonly nics?: number;
  /** Replaces the default network and host. */
  readonly objects?: readonly unknown[];
  readonly env?: Readonly<Record<string, string>>;
  /** Command of the daemon; the source by default. */
  readonly program?: readonly string[];
}

/** A daemon process. */
export interface DaemonProcess {
  readonly child: Bun.Subprocess<'ignore', 'ignore', 'pipe'>;
  /** Everything it logged so far. */
  log(): string;
}

/** A simulated node; disposing kills its processes and removes its namespaces. */
export class RealNode implements AsyncDisposable {
  readonly world = new NetnsWorld();
  readonly host: TestNetns;
  readonly wire: TestNetns;
  readonly socket: string;
  readonly stateDirectory: string;
  readonly #options: RealNodeOptions;
  readonly #daemons = new Set<DaemonProcess['child']>();
  #api: Bun.Subprocess<'pipe', 'pipe', 'pipe'> | undefined;
  #kubeconfig = '';
  #apiUrl = '';

  private constructor(o: RealNodeOptions) {
    this.#options = o;
    this.host = this.world.addNetns('host');
    this.wire = this.world.addNetns('wire');
    this.socket = join(this.world.folder, 'run', 'daemon.sock');
    this.stateDirectory = join(this.world.folder, 'state');
    for (let i = 1; i <= (o.nics ?? 3); i += 1) this.#addNic(i);
  }

  /** A node with NICs `eth1`... on rails 10.0.1.0/24..., and an API server that knows it. */
  static async create(o: RealNodeOptions = {}): Promise<RealNode> {
    const node = new RealNode(o);
    try {
      await node.#startApi();
      return node;
    } catch (error) {
      await node[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Starts the daemon; resolves when it is ready, or has ended. */
  async start(env: Readonly<Record<string, string>> = {}): Promise<DaemonProcess> {
    const program = this.#options.program ?? [process.execPath, 'src/daemon/main.ts'];
    const child = Bun.spawn(['nsenter', `--net=${this.host.path}`, ...program], {
      cwd: ROOT,
      env: { ...process.env, ...this.#environment(), ...this.#options.env, ...env },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#daemons.add(child);
    let text = '';
    const isReady = Promise.withResolvers<void>();
    const read = async (): Promise<void> => {
      const decoder = new TextDecoder();
      for await (const chunk of child.stderr) {
        text += decoder.decode(chunk, { stream: true });
        if (text.includes('"msg":"ready"')) isReady.resolve();
      }
    };
    const whole = read();
    whole.catch((error: unknown) => isReady.reject(error));
    const timer = setTimeout(() => child.kill('SIGKILL'), START_MS_MAX);
    // One that has ended is not done before its last words are read.
    await Promise.race([isReady.promise, Promise.all([child.exited, whole])]);
    clearTimeout(timer);
    if (process.env.TEST_LOG !== undefined) child.exited.finally(() => console.error(text));
    return { child, log: () => text };
  }

  /** A namespace as a runtime makes one. */
  addPod(name: string): TestNetns {
    return this.world.addNetns(`pod-${name}`);
  }

  /** One request over the socket. Rejects if the daemon dies meanwhile. */
  send(request: unknown): Promise<Answer> {
    return send(this.socket, request);
  }

  /** A view of the daemon. */
  async view(path: string): Promise<unknown> {
    return await (await fetch(`http://daemon${path}`, { unix: this.socket })).json();
  }

  /** The body of a GET on the API server, which lives in the host's namespace. */
  getFromApi(path: string): string {
    const code = `console.log(await (await fetch('${this.#apiUrl}${path}')).text())`;
    return this.world.exec(this.host, [process.execPath, '-e', code]).output;
  }

  /** Names of the links in a namespace but loopback. */
  linksIn(netns: TestNetns): string[] {
    const links: { ifname: string }[] = JSON.parse(this.world.ip(netns, ['-json', 'link']));
    return links.map(({ ifname }) => ifname).filter((name) => name !== 'lo');
  }

  /** Kills the daemons that still run. */
  async killDaemons(): Promise<void> {
    for (const child of this.#daemons) {
      child.kill('SIGKILL');
      await child.exited;
    }
    this.#daemons.clear();
  }

  /** Kills what is left and removes everything. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.killDaemons();
    this.#api?.kill('SIGKILL');
    await this.#api?.exited;
    this.world[Symbol.dispose]();
  }

  #addNic(i: number): void {
    const { world, host, wire } = this;
    world.addVeth({ netns: host, name: `eth${i}` }, { netns: wire, name: `n1eth${i}` });
    world.ip(host, ['address', 'add', `10.0.${i}.10/24`, 'dev', `eth${i}`]);
    world.addBridge(wire, `rail${i}`, [`n1eth${i}`]);
  }

  async #startApi(): Promise<void> {
    const nics = this.#options.nics ?? 3;
    const objects = this.#options.objects ?? [
      networkObject({ nics }),
      hostObject({ name: 'n1', hostIndex: 0, nics }),
    ];
    const { child, url } = await startApiProcess({
      folder: this.world.folder,
      objects,
      inside: ['nsenter', `--net=${this.host.path}`],
    });
    this.#api = child;
    this.#apiUrl = url;
    this.#kubeconfig = join(this.world.folder, 'kubeconfig');
    writeFileSync(this.#kubeconfig, JSON.stringify(kubeconfig(url)));
  }

  #environment(): Record<string, string> {
    const { folder } = this.world;
    if (!existsSync(this.stateDirectory)) mkdirSync(this.stateDirectory);
    return {
      K8S_NODENAME: 'n1',
      KUBECONFIG_FILE: this.#kubeconfig,
      DAEMON_PORT: '0',
      MULTI_NIC_SOCKET: this.socket,
      MULTI_NIC_STATE: this.stateDirectory,
      MULTI_NIC_SPOOL: join(folder, 'spool'),
      MULTI_NIC_INCLUDE_VIRTUAL_NICS: 'true',
      LOG_LEVEL: 'debug',
    };
  }
}

/** The embedded API server as a process. `inside`: a command that runs others elsewhere. */
export async function startApiProcess(o: {
  folder: string;
  objects: readonly unknown[];
  inside?: readonly string[];
}): Promise<{ child: Bun.Subprocess<'pipe', 'pipe', 'pipe'>; url: string }> {
  const path = join(o.folder, 'objects.json');
  writeFileSync(path, JSON.stringify(o.objects));
  const script = join(import.meta.dir, 'api-process.ts');
  const child = Bun.spawn([...(o.inside ?? []), process.execPath, script, path], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const { value } = await child.stdout.getReader().read();
  const url = new TextDecoder().decode(value).trim();
  if (url === '') throw new Error(`no API server: ${await new Response(child.stderr).text()}`);
  return { child, url };
}

function kubeconfig(server: string): object {
  return {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'c', cluster: { server } }],
    users: [{ name: 'u', user: {} }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'x',
  };
}
