// Where the API server is and how to prove who we are: in-cluster service account or kubeconfig.
// The kubeconfig half loads @kubernetes/client-node only when it is used, because importing it
// costs 100 ms and 40 MB.
import { dirname, resolve } from 'node:path';
import type { KubeConfig } from '@kubernetes/client-node';
import type { ApiCredentials, ApiTarget, ApiTls } from './api-target.ts';
import { createExecCredentials } from './exec-credential.ts';
import { isRecord } from './resource.ts';

export interface LoadTargetOptions {
  /** A kubeconfig file; without it, or when empty, the in-cluster service account is used. */
  readonly kubeconfigPath?: string | undefined;
  /** Environment of the process: KUBERNETES_SERVICE_HOST and _PORT are read. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Folder of the mounted service account, for tests. */
  readonly serviceAccountPath?: string;
  /** Monotonic ms, for tests. */
  readonly now?: () => number;
}

/**
 * Bound tokens are replaced at 80 % of their life; the API machinery's own rule is to read again
 * every minute.
 */
const CREDENTIALS_AGE_MS_MAX = 30_000;
const SERVICE_ACCOUNT_PATH = '/var/run/secrets/kubernetes.io/serviceaccount';

/** Throws an Error that names the file and the reason when there is no usable configuration. */
export async function loadApiTarget(o: LoadTargetOptions): Promise<ApiTarget> {
  const now = o.now ?? (() => performance.now());
  if (o.kubeconfigPath !== undefined && o.kubeconfigPath !== '') {
    return await loadKubeconfig(o.kubeconfigPath, o.env, now);
  }
  return loadInCluster(o, now);
}

function loadInCluster(o: LoadTargetOptions, now: () => number): ApiTarget {
  const host = o.env.KUBERNETES_SERVICE_HOST ?? '';
  const port = o.env.KUBERNETES_SERVICE_PORT ?? '443';
  if (host === '') {
    throw new Error('no kubeconfig is given and KUBERNETES_SERVICE_HOST is not set');
  }
  const folder = o.serviceAccountPath ?? SERVICE_ACCOUNT_PATH;
  const server = `https://${host.includes(':') ? `[${host}]` : host}:${port}`;
  return {
    server,
    ...directly(server),
    credentials: cached(now, async () => {
      const [ca, token] = await Promise.all([
        readText(`${folder}/ca.crt`),
        readText(`${folder}/token`),
      ]);
      return { headers: { authorization: `Bearer ${token.trim()}` }, tls: { ca } };
    }),
  };
}

async function loadKubeconfig(
  path: string,
  env: LoadTargetOptions['env'],
  now: () => number,
): Promise<ApiTarget> {
  const { KubeConfig: Config } = await import('@kubernetes/client-node');
  const load = (): KubeConfig => loadFile(new Config(), path);
  const config = load();
  const cluster = config.getCurrentCluster();
  if (cluster === null) throw new Error(`kubeconfig ${path} has no current cluster`);
  if (cluster.skipTLSVerify) {
    throw new Error(
      `kubeconfig ${path} sets insecure-skip-tls-verify: put certificate-authority-data there`,
    );
  }
  const proxyUrl = cluster.proxyUrl;
  if (proxyUrl !== undefined && !/^https?:\/\//.test(proxyUrl)) {
    throw new Error(`kubeconfig ${path} has a proxy-url that is neither http nor https`);
  }
  const server = cluster.server.replace(/\/+$/, '');
  if (server.startsWith('http://')) {
    refuseCredentialsInClear(config, path);
    return { server, ...directly(server) };
  }
  const exec = createExecCredentials({ env, now: Date.now });
  return {
    server,
    ...(proxyUrl === undefined ? directly(server) : { proxy: proxyUrl }),
    credentials: cached(now, async (isRefused) => {
      if (isRefused) exec.forget();
      const current = load(); // certificates, tokens and their files may have been replaced
      const user = current.getCurrentUser();
      if (user?.exec !== undefined && user.exec !== null) {
        const cluster = await clusterInfo(current, path);
        const base = await fromConfig(withoutExec(current));
        return merge(base, await exec.get(user.exec, { path, cluster }));
      }
      return merge(await fromConfig(current), await fromTokenFile(path, user?.name));
    }),
  };
}

/** As other clients do: a proxy of the environment is not for servers on this machine. */
function directly(server: string): Pick<ApiTarget, 'proxy'> {
  const { hostname } = new URL(server);
  const isHere = /^(localhost|.*\.localhost|127\..*|\[::1\])$/.test(hostname);
  return isHere ? { proxy: false } : {};
}

/**
 * A server without TLS (`kubectl proxy`, the embedded one) is fine as long as nothing secret would
 * be sent to it.
 */
function refuseCredentialsInClear(config: KubeConfig, path: string): void {
  const { name: _name, ...credentials } = config.getCurrentUser() ?? { name: '' };
  const secret = Object.entries(credentials).find(([, value]) => value !== undefined);
  if (secret === undefined) return;
  throw new Error(
    `kubeconfig ${path} has an http server and a user with ${secret[0]}: use https for it`,
  );
}

function loadFile(config: KubeConfig, path: string): KubeConfig {
  try {
    config.loadFromFile(path, { onInvalidEntry: 'filter' });
  } catch (error) {
    throw new Error(`load kubeconfig ${path}`, { cause: error });
  }
  return config;
}

function withoutExec(config: KubeConfig): KubeConfig {
  config.users = config.users.map(({ exec: _exec, ...user }) => user);
  return config;
}

/**
 * Lets client-node resolve files, inline data, basic and bearer credentials, auth providers and
 * impersonation.
 */
async function fromConfig(config: KubeConfig): Promise<ApiCredentials> {
  const resolved: Parameters<KubeConfig['applyToHTTPSOptions']>[0] & { servername?: string } = {};
  await config.applyToHTTPSOptions(resolved);
  const headers = Object.fromEntries(
    Object.entries(resolved.headers ?? {}).map(([name, value]) => [
      name.toLowerCase(),
      String(value).trim(),
    ]),
  );
  const basic = resolved.auth ?? undefined;
  const authorization =
    basic === undefined || basic === null ? {} : { authorization: `Basic ${btoa(basic)}` };
  return {
    headers: { ...authorization, ...headers },
    tls: toTls({
      ca: resolved.ca,
      cert: resolved.cert,
      key: resolved.key,
      serverName: resolved.servername,
    }),
  };
}

/**
 * `tokenFile` is the one member of a user that client-node does not know; it goes before `token`.
 */
async function fromTokenFile(path: string, userName: string | undefined): Promise<ApiCredentials> {
  const { tokenFile } = await readEntry(path, { list: 'users', member: 'user', name: userName });
  if (typeof tokenFile !== 'string' || tokenFile === '') return { headers: {}, tls: {} };
  const token = await readText(resolve(dirname(path), tokenFile));
  return { headers: { authorization: `Bearer ${token.trim()}` }, tls: {} };
}

/** What credential plugins are told of the cluster: `Cluster` of client.authentication.k8s.io. */
async function clusterInfo(config: KubeConfig, path: string): Promise<unknown> {
  const cluster = config.getCurrentCluster();
  if (cluster === null) return undefined;
  const { server, caFile, caData, tlsServerName, proxyUrl, name } = cluster;
  const entry = await readEntry(path, { list: 'clusters', member: 'cluster', name });
  const extensions = Array.isArray(entry.extensions) ? entry.extensions.filter(isRecord) : [];
  const own = extensions.find((one) => one.name === 'client.authentication.k8s.io/exec');
  return {
    server,
    'tls-server-name': tlsServerName,
    'certificate-authority-data': caFile ? btoa(await readText(caFile)) : caData,
    'proxy-url': proxyUrl,
    config: own?.extension,
  };
}

/** A named entry of the file itself, for the members that client-node does not know. */
async function readEntry(
  path: string,
  o: { list: 'users' | 'clusters'; member: string; name: string | undefined },
): Promise<Record<string, unknown>> {
  const config: unknown = Bun.YAML.parse(await readText(path));
  const list = isRecord(config) ? config[o.list] : undefined;
  const entries: unknown[] = Array.isArray(list) ? list : [];
  const content = entries.filter(isRecord).find(({ name }) => name === o.name)?.[o.member];
  return isRecord(content) ? content : {};
}

function toTls(o: Record<keyof ApiTls, unknown>): ApiTls {
  const present = Object.entries(o).filter(([, value]) => value !== undefined && value !== null);
  return Object.fromEntries(
    present.map(([name, value]) => [name, typeof value === 'string' ? value : String(value)]),
  );
}

function merge(base: ApiCredentials, extra: ApiCredentials): ApiCredentials {
  return { headers: { ...base.headers, ...extra.headers }, tls: { ...base.tls, ...extra.tls } };
}

interface Held {
  readonly value: Promise<ApiCredentials>;
  readonly sinceMs: number;
  /** Once there. */
  loaded?: ApiCredentials;
}

/** Keeps the result for a while; calls that meet share one load; a failed load is not kept. */
function cached(
  now: () => number,
  load: (isRefused: boolean) => Promise<ApiCredentials>,
): NonNullable<ApiTarget['credentials']> {
  let held: Held | undefined;
  return (o) => {
    // Of many requests that were refused with the same ones, the first has them loaded again.
    const isRefused = o?.refused !== undefined && held?.loaded === o.refused;
    if (held !== undefined && !isRefused && now() - held.sinceMs < CREDENTIALS_AGE_MS_MAX) {
      return held.value;
    }
    const entry: Held = { value: load(isRefused), sinceMs: now() };
    held = entry;
    entry.value.then(
      (value) => {
        entry.loaded = value;
      },
      () => {
        if (held === entry) held = undefined;
      },
    );
    return entry.value;
  };
}

async function readText(path: string): Promise<string> {
  try {
    return await Bun.file(path).text();
  } catch (error) {
    throw new Error(`read ${path}`, { cause: error });
  }
}
