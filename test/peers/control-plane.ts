// Test equipment: a real etcd and kube-apiserver on loopback, for the suites in test/real.
// Everything they need is made in a temporary folder and removed again; no other program on the
// machine is touched.
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ApiTarget } from '../../src/shared/platform/kube/api-target.ts';
import { staticTarget } from '../../src/shared/platform/kube/api-target.ts';

export interface ControlPlaneBinaries {
  readonly etcd: string;
  readonly apiserver: string;
  /** Undefined: nobody collects garbage or empties namespaces. */
  readonly controllerManager: string | undefined;
  readonly kubectl: string | undefined;
}

export interface ControlPlaneOptions {
  readonly binaries: ControlPlaneBinaries;
  readonly authorization?: 'AlwaysAllow' | 'RBAC';
  /** Further bearer tokens. The admin's token is made by this module. */
  readonly users?: Readonly<Record<string, { name: string; groups?: readonly string[] }>>;
  /** Run the garbage collector and namespace controllers too. */
  readonly hasControllerManager?: boolean;
  readonly apiserverFlags?: readonly string[];
}

export interface ControlPlane extends AsyncDisposable {
  readonly url: string;
  /** Administrator, member of system:masters. */
  readonly target: ApiTarget;
  readonly kubeconfigPath: string;
  /** PEM bundle that verifies the server. */
  readonly ca: string;
  targetOf(token: string): ApiTarget;
  /** Takes the API server away and brings it back on the same port; etcd keeps running. */
  stopApiServer(): Promise<void>;
  startApiServer(): Promise<void>;
  /** Makes etcd forget everything but the present revision. */
  compact(): Promise<void>;
  close(): Promise<void>;
}

const READY_TIMEOUT_MS = 90_000;
const BUILD_TIMEOUT_MS = 30 * 60_000;
const ADMIN_TOKEN = 'admin-of-the-test-control-plane';

/** Finds or builds the programs; a text says why that is not possible here. */
export async function findControlPlane(): Promise<ControlPlaneBinaries | string> {
  const assets = process.env.KUBEBUILDER_ASSETS;
  if (assets !== undefined && assets !== '') return await fromAssets(assets);
  if (Bun.which('go') === null) return 'neither KUBEBUILDER_ASSETS is set nor Go installed';
  const built = await build('etcd', 'kube-apiserver');
  if (typeof built === 'string') return built;
  const [etcd = '', apiserver = ''] = built;
  const optional = async (name: string): Promise<string | undefined> => {
    const paths = await build(name);
    return typeof paths === 'string' ? undefined : paths[0];
  };
  return {
    etcd,
    apiserver,
    controllerManager: await optional('kube-controller-manager'),
    kubectl: await optional('kubectl'),
  };
}

async function fromAssets(folder: string): Promise<ControlPlaneBinaries | string> {
  const has = async (name: string): Promise<string | undefined> =>
    (await Bun.file(join(folder, name)).exists()) ? join(folder, name) : undefined;
  const etcd = await has('etcd');
  const apiserver = await has('kube-apiserver');
  if (etcd === undefined || apiserver === undefined) {
    return `KUBEBUILDER_ASSETS (${folder}) has no etcd and kube-apiserver`;
  }
  const controllerManager = await has('kube-controller-manager');
  return { etcd, apiserver, controllerManager, kubectl: await has('kubectl') };
}

/** Paths of the programs, or why they could not be built. */
async function build(...names: string[]): Promise<string[] | string> {
  const child = Bun.spawn([join(import.meta.dir, 'build.sh'), ...names], {
    stdout: 'pipe',
    stderr: 'pipe',
    timeout: BUILD_TIMEOUT_MS,
  });
  const [output, errors] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  if ((await child.exited) === 0) return output.trim().split('\n');
  return `test/peers/build.sh ${names.join(' ')}: ${errors.trim().split('\n').at(-1) ?? 'failed'}`;
}

/**
 * Returns when the API server is ready. Throws with the end of the logs if it does not get so far.
 */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const plane = new LocalControlPlane(options);
  try {
    await plane.begin();
  } catch (error) {
    await plane.close();
    throw error;
  }
  return plane;
}

interface Program {
  readonly name: string;
  readonly child: Bun.Subprocess;
  readonly logPath: string;
}

class LocalControlPlane implements ControlPlane {
  readonly #options: ControlPlaneOptions;
  readonly #folder = mkdtempSync(join(tmpdir(), 'multi-nic-control-plane-'));
  readonly #etcdPort = freePort();
  readonly #peerPort = freePort();
  readonly #port = freePort();
  readonly #programs = new Map<string, Program>();
  #ca = '';

  constructor(options: ControlPlaneOptions) {
    this.#options = options;
  }

  get url(): string {
    return `https://127.0.0.1:${this.#port}`;
  }

  get ca(): string {
    return this.#ca;
  }

  get target(): ApiTarget {
    return this.targetOf(ADMIN_TOKEN);
  }

  get kubeconfigPath(): string {
    return join(this.#folder, 'kubeconfig');
  }

  targetOf(token: string): ApiTarget {
    return staticTarget({ server: this.url, token, tls: { ca: this.#ca } });
  }

  async begin(): Promise<void> {
    this.#writeFiles();
    const etcd = `http://127.0.0.1:${this.#etcdPort}`;
    const peer = `http://127.0.0.1:${this.#peerPort}`;
    this.#start('etcd', this.#options.binaries.etcd, [
      `--data-dir=${join(this.#folder, 'etcd')}`,
      `--listen-client-urls=${etcd}`,
      `--advertise-client-urls=${etcd}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=default=${peer}`,
      '--unsafe-no-fsync',
      '--log-level=warn',
    ]);
    await this.startApiServer();
    const manager = this.#options.binaries.controllerManager;
    if (this.#options.hasControllerManager === true && manager !== undefined) {
      this.#start('kube-controller-manager', manager, [
        `--kubeconfig=${this.kubeconfigPath}`,
        '--controllers=garbage-collector-controller,namespace-controller',
        '--leader-elect=false',
        '--secure-port=0',
      ]);
    }
  }

  async startApiServer(): Promise<void> {
    const key = join(this.#folder, 'service-account.key');
    this.#start('kube-apiserver', this.#options.binaries.apiserver, [
      `--etcd-servers=http://127.0.0.1:${this.#etcdPort}`,
      '--bind-address=127.0.0.1',
      `--secure-port=${this.#port}`,
      `--cert-dir=${this.#folder}`,
      `--token-auth-file=${join(this.#folder, 'tokens.csv')}`,
      `--authorization-mode=${this.#options.authorization ?? 'AlwaysAllow'}`,
      '--service-account-issuer=https://kubernetes.default.svc',
      `--service-account-key-file=${key}`,
      `--service-account-signing-key-file=${key}`,
      '--service-cluster-ip-range=10.0.0.0/24',
      // There is no controller that would make the service accounts that this plugin asks for.
      '--disable-admission-plugins=ServiceAccount',
      '--endpoint-reconciler-type=none',
      '--shutdown-delay-duration=0s',
      ...(this.#options.apiserverFlags ?? []),
    ]);
    await this.#untilReady();
    this.#writeKubeconfig();
  }

  async stopApiServer(): Promise<void> {
    await this.#stop('kube-apiserver');
  }

  async compact(): Promise<void> {
    const ask = async (path: string, body: unknown): Promise<unknown> => {
      const url = `http://127.0.0.1:${this.#etcdPort}/v3/kv/${path}`;
      const response = await fetch(url, { method: 'POST', body: JSON.stringify(body) });
      if (!response.ok) throw new Error(`etcd ${path}: ${await response.text()}`);
      return await response.json();
    };
    const range = await ask('range', { key: btoa('/registry'), limit: 1 });
    const text = /"revision":"(\d+)"/.exec(JSON.stringify(range))?.[1] ?? '0';
    await ask('compaction', { revision: text, physical: true });
  }

  async close(): Promise<void> {
    for (const name of [...this.#programs.keys()].reverse()) await this.#stop(name);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #writeFiles(): void {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' });
    writeFileSync(join(this.#folder, 'service-account.key'), pem, { mode: 0o600 });
    const users = Object.entries({
      ...this.#options.users,
      [ADMIN_TOKEN]: { name: 'admin', groups: ['system:masters'] },
    });
    const rows = users.map(
      ([token, { name, groups }]) => `${token},${name},${name},"${(groups ?? []).join(',')}"\n`,
    );
    writeFileSync(join(this.#folder, 'tokens.csv'), rows.join(''), { mode: 0o600 });
  }

  #writeKubeconfig(): void {
    const cluster = { server: this.url, 'certificate-authority-data': btoa(this.#ca) };
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'test', cluster }],
      users: [{ name: 'admin', user: { token: ADMIN_TOKEN } }],
      contexts: [{ name: 'test', context: { cluster: 'test', user: 'admin' } }],
      'current-context': 'test',
    };
    writeFileSync(this.kubeconfigPath, JSON.stringify(config), { mode: 0o600 });
  }

  #start(name: string, path: string, flags: readonly string[]): void {
    const logPath = join(this.#folder, `${name}.log`);
    const child = Bun.spawn([...dieWithParent(), path, ...flags], {
      env: { PATH: '/usr/bin:/bin', HOME: this.#folder },
      stdin: 'ignore',
      stdout: Bun.file(logPath),
      stderr: Bun.file(logPath),
    });
    this.#programs.set(name, { name, child, logPath });
  }

  async #stop(name: string): Promise<void> {
    const program = this.#programs.get(name);
    if (program === undefined) return;
    this.#programs.delete(name);
    // State is thrown away or kept by etcd: nothing is gained by a graceful end, which takes
    // seconds.
    program.child.kill('SIGKILL');
    await program.child.exited;
  }

  async #untilReady(): Promise<void> {
    const endMs = performance.now() + READY_TIMEOUT_MS;
    let last = 'no answer';
    while (performance.now() < endMs) {
      const dead = [...this.#programs.values()].find(({ child }) => child.exitCode !== null);
      if (dead !== undefined) throw new Error(`${dead.name} ended: ${await endOfLog(dead)}`);
      last = await this.#probe();
      if (last === 'ok') return;
      await Bun.sleep(100);
    }
    const program = this.#programs.get('kube-apiserver');
    const log = program === undefined ? '' : await endOfLog(program);
    throw new Error(`kube-apiserver is not ready (${last}): ${log}`);
  }

  /** 'ok', or what is missing. The certificate is made by the server when it starts. */
  async #probe(): Promise<string> {
    const file = Bun.file(join(this.#folder, 'apiserver.crt'));
    if (!(await file.exists())) return 'no certificate yet';
    this.#ca = await file.text();
    try {
      const response = await fetch(`${this.url}/readyz`, {
        tls: { ca: this.#ca },
        headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
        signal: AbortSignal.timeout(2_000),
      });
      return await response.text();
    } catch (error) {
      return String(error);
    }
  }
}

async function endOfLog(program: Program): Promise<string> {
  const text = await Bun.file(program.logPath).text();
  return text.slice(-2_000);
}

/** A test run that is killed must not leave servers behind. */
function dieWithParent(): string[] {
  const setpriv = Bun.which('setpriv');
  return setpriv === null ? [] : [setpriv, '--pdeathsig', 'KILL'];
}

/** A port that was free a moment ago. */
function freePort(): number {
  const listener = Bun.listen({
    hostname: '127.0.0.1',
    port: 0,
    socket: { data: () => undefined },
  });
  const { port } = listener;
  listener.stop(true);
  return port;
}
