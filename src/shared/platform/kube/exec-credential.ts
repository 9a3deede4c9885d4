// Runs the credential plugin of a kubeconfig (client.authentication.k8s.io ExecCredential) with a
// deadline and a cap on its output, and keeps its answer until shortly before it expires.
import { dirname, resolve } from 'node:path';
import type { ApiCredentials } from './api-target.ts';
import { isRecord } from './resource.ts';

export interface ExecCredentials {
  /**
   * `config` is the `exec` member of a user of the kubeconfig at `path`; `cluster` is what a plugin
   * is told where it asks for it.
   */
  get(config: unknown, o: { path: string; cluster: unknown }): Promise<ApiCredentials>;
  forget(): void;
}

const EXEC_TIMEOUT_MS = 30_000;
const OUTPUT_BYTES_MAX = 1 << 20;
/** A credential is not used when less life than this is left. */
const EXPIRY_MARGIN_MS = 30_000;

interface ExecConfig {
  readonly apiVersion: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Undefined where the plugin does not ask for it. */
  readonly cluster: unknown;
}

export function createExecCredentials(o: {
  env: Readonly<Record<string, string | undefined>>;
  /** Wall clock: expiry is a wall clock time. */
  now: () => number;
}): ExecCredentials {
  let held: { id: string; value: ApiCredentials; expiresAtMs: number } | undefined;
  return {
    async get(config, { path, cluster }) {
      const exec = parseExecConfig(config, path, cluster);
      const id = JSON.stringify(exec);
      if (held?.id === id && held.expiresAtMs - EXPIRY_MARGIN_MS > o.now()) return held.value;
      const { value, expiresAtMs } = await run(exec, o.env);
      held = { id, value, expiresAtMs };
      return value;
    },
    forget() {
      held = undefined;
    },
  };
}

function parseExecConfig(config: unknown, path: string, cluster: unknown): ExecConfig {
  if (!isRecord(config) || typeof config.command !== 'string') {
    throw new Error(`the exec section of ${path} names no command`);
  }
  if (config.interactiveMode === 'Always') {
    throw new Error(`the exec section of ${path} has interactiveMode Always, and nobody is here`);
  }
  const { command } = config;
  const args = Array.isArray(config.args) ? config.args.map(String) : [];
  const env = Array.isArray(config.env) ? config.env.filter(isRecord) : [];
  return {
    apiVersion: String(config.apiVersion ?? 'client.authentication.k8s.io/v1'),
    // Without a slash it is looked for in PATH.
    command: command.includes('/') ? resolve(dirname(path), command) : command,
    args,
    env: Object.fromEntries(env.map(({ name, value }) => [String(name), String(value ?? '')])),
    cluster: config.provideClusterInfo === true ? cluster : undefined,
  };
}

async function run(
  exec: ExecConfig,
  env: Readonly<Record<string, string | undefined>>,
): Promise<{ value: ApiCredentials; expiresAtMs: number }> {
  const info = {
    apiVersion: exec.apiVersion,
    kind: 'ExecCredential',
    spec: { interactive: false, cluster: exec.cluster },
  };
  const child = Bun.spawn([exec.command, ...exec.args], {
    env: { ...env, ...exec.env, KUBERNETES_EXEC_INFO: JSON.stringify(info) },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'inherit',
    timeout: EXEC_TIMEOUT_MS,
    killSignal: 'SIGKILL',
    maxBuffer: OUTPUT_BYTES_MAX,
  });
  const [output, code] = await Promise.all([child.stdout.text(), child.exited]);
  if (code !== 0) {
    const end = child.signalCode === null ? `exit code ${code}` : `signal ${child.signalCode}`;
    throw new Error(`credential plugin ${exec.command} ended with ${end}`);
  }
  return parseCredential(output, exec.command);
}

function parseCredential(
  output: string,
  command: string,
): { value: ApiCredentials; expiresAtMs: number } {
  const credential: unknown = parseJson(output, command);
  const status = isRecord(credential) ? credential.status : undefined;
  if (!isRecord(status)) throw new Error(`credential plugin ${command} printed no status`);
  const token = status.token;
  const cert = status.clientCertificateData;
  const key = status.clientKeyData;
  const expiry = status.expirationTimestamp;
  const expiresAtMs = typeof expiry === 'string' ? Date.parse(expiry) : Number.POSITIVE_INFINITY;
  const pair = typeof cert === 'string' && typeof key === 'string' ? { cert, key } : {};
  if (typeof token !== 'string' && !('cert' in pair)) {
    throw new Error(`credential plugin ${command} printed neither token nor certificate`);
  }
  return {
    value: {
      headers: typeof token === 'string' ? { authorization: `Bearer ${token}` } : {},
      tls: pair,
    },
    expiresAtMs: Number.isNaN(expiresAtMs) ? 0 : expiresAtMs,
  };
}

function parseJson(text: string, command: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`credential plugin ${command} printed no JSON`, { cause: error });
  }
}
