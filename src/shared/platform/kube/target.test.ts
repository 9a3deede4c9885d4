// Finding the API server and proving who we are: kubeconfigs of every sort, certificates on real
// TLS connections, credential plugins, and tokens that are replaced while we run.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ApiServer, startApiServer } from '../../../../test/apiserver/server.ts';
import { createAuthority } from '../../../../test/cluster/certificates.ts';
import { rejectionOf } from '../../../../test/kube/under-test.ts';
import { systemClock } from '../clock.ts';
import type { ApiTarget } from './api-target.ts';
import { createKubeClient } from './client.ts';
import { isKubeError } from './errors.ts';
import { NODES } from './resource.ts';
import { loadApiTarget } from './target.ts';

const folder = mkdtempSync(join(tmpdir(), 'multi-nic-target-'));
const authority = createAuthority('authority of the test');
const stranger = createAuthority('another authority');
const serverPair = authority.issue({
  commonName: 'server',
  usage: 'server',
  ipAddresses: ['127.0.0.1'],
  dnsNames: ['api.test'],
});
const clientPair = authority.issue({ commonName: 'client', usage: 'client' });

let server: ApiServer;
let mutual: ApiServer;
beforeAll(async () => {
  const tls = { cert: serverPair.certificate, key: serverPair.key };
  const users = { good: { username: 'someone' }, newer: { username: 'someone' } };
  server = await startApiServer({ tls, users, isTokenRequired: true });
  mutual = await startApiServer({ tls: { ...tls, clientCa: authority.certificate } });
});
afterAll(async () => {
  await server.close();
  await mutual.close();
  rmSync(folder, { recursive: true });
});

const base64 = (text: string): string => Buffer.from(text).toString('base64');

/** Writes a kubeconfig and returns its path. */
function kubeconfig(
  cluster: Record<string, unknown>,
  user: Record<string, unknown>,
  name = `config-${crypto.randomUUID()}`,
): string {
  const path = join(folder, name);
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'c', cluster }],
    users: [{ name: 'u', user }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'x',
  };
  writeFileSync(path, JSON.stringify(config));
  return path;
}

const trusted = (url: string): Record<string, unknown> => ({
  server: url,
  'certificate-authority-data': base64(authority.certificate),
});

async function listWith(path: string): Promise<number> {
  const target = await loadApiTarget({ kubeconfigPath: path, env: {} });
  const client = createKubeClient(target, {
    clock: { ...systemClock, sleep: async () => undefined },
  });
  return (await client.list(NODES, { timeoutMs: 2_000 })).items.length;
}

async function headersOf(target: ApiTarget): Promise<Readonly<Record<string, string>>> {
  return (await target.credentials?.())?.headers ?? {};
}

/** A proxy that refuses everything, named in the environment of this process. */
class EnvironmentProxy implements AsyncDisposable {
  connections = 0;
  readonly #before = { ...process.env };
  readonly #server = Bun.listen({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      data: (socket) => {
        this.connections += 1;
        socket.end('HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n');
      },
    },
  });

  constructor() {
    const url = `http://127.0.0.1:${this.#server.port}`;
    Object.assign(process.env, { HTTP_PROXY: url, HTTPS_PROXY: url, NO_PROXY: '' });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const name of ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY']) {
      const before = this.#before[name];
      if (before === undefined) delete process.env[name];
      else process.env[name] = before;
    }
    this.#server.stop(true);
  }
}

describe('kubeconfig', () => {
  test('inline authority and token', async () => {
    expect(await listWith(kubeconfig(trusted(server.url), { token: 'good' }))).toBe(0);
  });

  test('authority and client certificate as files beside the kubeconfig', async () => {
    writeFileSync(join(folder, 'ca.pem'), authority.certificate);
    writeFileSync(join(folder, 'client.pem'), clientPair.certificate);
    writeFileSync(join(folder, 'client.key'), clientPair.key);
    const cluster = { server: mutual.url, 'certificate-authority': 'ca.pem' };
    const user = { 'client-certificate': 'client.pem', 'client-key': 'client.key' };
    expect(await listWith(kubeconfig(cluster, user))).toBe(0);
  });

  test('inline client certificate', async () => {
    const user = {
      'client-certificate-data': base64(clientPair.certificate),
      'client-key-data': base64(clientPair.key),
    };
    expect(await listWith(kubeconfig(trusted(mutual.url), user))).toBe(0);
  });

  test('without the client certificate the server does not let us in', async () => {
    const error = await rejectionOf(listWith(kubeconfig(trusted(mutual.url), {})));
    expect(isKubeError(error)).toBe(true);
  });

  test('a client certificate of a stranger is not let in', async () => {
    const pair = stranger.issue({ commonName: 'client', usage: 'client' });
    const user = {
      'client-certificate-data': base64(pair.certificate),
      'client-key-data': base64(pair.key),
    };
    expect(isKubeError(await rejectionOf(listWith(kubeconfig(trusted(mutual.url), user))))).toBe(
      true,
    );
  });

  test('a server of another authority is not trusted', async () => {
    const cluster = {
      server: server.url,
      'certificate-authority-data': base64(stranger.certificate),
    };
    const error = await rejectionOf(listWith(kubeconfig(cluster, { token: 'good' })));
    expect(error).toMatchObject({ kind: 'unavailable', status: 0 });
  });

  test('a server without any authority in the kubeconfig is not trusted', async () => {
    const path = kubeconfig({ server: server.url }, { token: 'good' });
    expect(await rejectionOf(listWith(path))).toMatchObject({ kind: 'unavailable', status: 0 });
  });

  test('a server under another name is trusted only as tls-server-name says', async () => {
    const url = server.url.replace('127.0.0.1', '127.0.0.2');
    await using other = await startApiServer({
      hostname: '127.0.0.2',
      tls: { cert: serverPair.certificate, key: serverPair.key },
    });
    expect(url).not.toBe(server.url);
    const wrong = kubeconfig(trusted(other.url), {});
    expect(isKubeError(await rejectionOf(listWith(wrong)), 'unavailable')).toBe(true);
    const named = kubeconfig({ ...trusted(other.url), 'tls-server-name': 'api.test' }, {});
    expect(await listWith(named)).toBe(0);
  });

  test('insecure-skip-tls-verify is refused', async () => {
    const cluster = { server: server.url, 'insecure-skip-tls-verify': true };
    const error = await rejectionOf(listWith(kubeconfig(cluster, { token: 'good' })));
    expect(String(error)).toContain('insecure-skip-tls-verify');
  });

  test('a server on this machine is not asked through a proxy of the environment', async () => {
    await using plain = await startApiServer();
    await using proxied = new EnvironmentProxy();
    expect(await listWith(kubeconfig({ server: plain.url }, {}))).toBe(0);
    expect(await listWith(kubeconfig(trusted(server.url), { token: 'good' }))).toBe(0);
    expect(proxied.connections).toBe(0);
  });

  test('any other server is asked through a proxy of the environment', async () => {
    await using proxied = new EnvironmentProxy();
    const cluster = trusted('https://api.example.invalid:6443');
    expect(await rejectionOf(listWith(kubeconfig(cluster, { token: 'good' })))).toBeDefined();
    expect(proxied.connections).toBeGreaterThan(0);
  });

  test('a SOCKS proxy is refused', async () => {
    const cluster = { ...trusted(server.url), 'proxy-url': 'socks5://localhost:1' };
    const error = await rejectionOf(listWith(kubeconfig(cluster, {})));
    expect(String(error)).toContain('proxy-url');
  });

  test('basic credentials become a header', async () => {
    const path = kubeconfig(trusted(server.url), { username: 'u', password: 'p' });
    const target = await loadApiTarget({ kubeconfigPath: path, env: {} });
    const headers = await headersOf(target);
    expect(headers.authorization).toBe(`Basic ${btoa('u:p')}`);
  });

  test('a token file is read, and read again when it was replaced', async () => {
    const tokenPath = join(folder, 'token');
    writeFileSync(tokenPath, 'good\n');
    const path = kubeconfig(trusted(server.url), { tokenFile: tokenPath });
    const target = await loadApiTarget({ kubeconfigPath: path, env: {} });
    const client = createKubeClient(target);
    await client.list(NODES);
    server.users.delete('good');
    writeFileSync(tokenPath, 'newer');
    await client.list(NODES);
    server.users.set('good', { username: 'someone' });
  });

  test.each([
    ['no file', '/nowhere/config', undefined],
    ['no YAML', undefined, '{'],
    ['no current context', undefined, '{"clusters":[],"users":[],"contexts":[]}'],
  ])('%s is an error that names the file', async (_title, path, text) => {
    const file = path ?? join(folder, 'broken');
    if (text !== undefined) writeFileSync(file, text);
    const error = await rejectionOf(loadApiTarget({ kubeconfigPath: file, env: {} }));
    expect(String(error)).toContain(file);
  });
});

describe('credential plugins', () => {
  /** A program that prints an ExecCredential and counts its runs in a file beside it. */
  function plugin(status: unknown, o: { exit?: number; text?: string } = {}): string {
    const path = join(folder, `plugin-${crypto.randomUUID()}`);
    const text = o.text ?? JSON.stringify({ kind: 'ExecCredential', status });
    writeFileSync(
      path,
      `#!/bin/sh\nprintf x >>"$0.runs"\ncat <<'END'\n${text}\nEND\nexit ${o.exit ?? 0}\n`,
    );
    chmodSync(path, 0o755);
    return path;
  }
  const runsOf = async (path: string): Promise<number> =>
    (await Bun.file(`${path}.runs`).text()).length;
  const execUser = (command: string, extra: Record<string, unknown> = {}) => ({
    exec: { apiVersion: 'client.authentication.k8s.io/v1', command, ...extra },
  });

  test('a token is used until it expires', async () => {
    const expirationTimestamp = new Date(Date.now() + 3_600_000).toISOString();
    const path = plugin({ token: 'good', expirationTimestamp });
    let elapsedMs = 0;
    const target = await loadApiTarget({
      kubeconfigPath: kubeconfig(trusted(server.url), execUser(path)),
      env: process.env,
      now: () => elapsedMs,
    });
    const client = createKubeClient(target);
    for (let round = 0; round < 3; round += 1) {
      await client.list(NODES);
      elapsedMs += 600_000; // what is kept in memory is read again; the plugin's answer still holds
    }
    expect(await runsOf(path)).toBe(1);
  });

  test('an expired token is replaced', async () => {
    const expirationTimestamp = new Date(Date.now() + 5_000).toISOString(); // within the margin
    const path = plugin({ token: 'good', expirationTimestamp });
    let elapsedMs = 0;
    const target = await loadApiTarget({
      kubeconfigPath: kubeconfig(trusted(server.url), execUser(path)),
      env: process.env,
      now: () => elapsedMs,
    });
    await target.credentials?.();
    elapsedMs += 31_000;
    await target.credentials?.();
    expect(await runsOf(path)).toBe(2);
  });

  test('a refused token makes the plugin run again', async () => {
    const path = plugin({ token: 'refused' });
    const target = await loadApiTarget({
      kubeconfigPath: kubeconfig(trusted(server.url), execUser(path)),
      env: process.env,
    });
    const error = await rejectionOf(createKubeClient(target).list(NODES));
    expect(isKubeError(error, 'unauthorized')).toBe(true);
    expect(await runsOf(path)).toBe(2);
  });

  test('a client certificate of a plugin is sent', async () => {
    const { certificate, key } = clientPair;
    const path = plugin({ clientCertificateData: certificate, clientKeyData: key });
    expect(await listWith(kubeconfig(trusted(mutual.url), execUser(path)))).toBe(0);
  });

  test('the plugin gets its arguments, environment and the exec info', async () => {
    const path = join(folder, 'plugin-env');
    const text = '{"status":{"token":"\'"$1-$FROM_CONFIG-$INHERITED"\'"}}';
    writeFileSync(path, `#!/bin/sh\ntest -n "$KUBERNETES_EXEC_INFO" || exit 9\necho '${text}'\n`);
    chmodSync(path, 0o755);
    const extra = { args: ['a'], env: [{ name: 'FROM_CONFIG', value: 'b' }] };
    const target = await loadApiTarget({
      kubeconfigPath: kubeconfig(trusted(server.url), execUser(path, extra)),
      env: { ...process.env, INHERITED: 'c' },
    });
    const headers = await headersOf(target);
    expect(headers.authorization).toBe('Bearer a-b-c');
  });

  test('a command with a slash is found from the folder of the kubeconfig', async () => {
    const command = plugin({ token: 'good' }).replace(folder, '.');
    expect(await listWith(kubeconfig(trusted(server.url), execUser(command)))).toBe(0);
  });

  test('the plugin is told of the cluster where it asks for that', async () => {
    const path = join(folder, 'plugin-cluster');
    const text = `{"status":{"token":"'"$(printf %s "$KUBERNETES_EXEC_INFO" | base64 -w0)"'"}}`;
    writeFileSync(path, `#!/bin/sh\necho '${text}'\n`);
    chmodSync(path, 0o755);
    const config = { audience: 'mine' };
    const extension = { name: 'client.authentication.k8s.io/exec', extension: config };
    const cluster = {
      ...trusted(server.url),
      'tls-server-name': 'api.test',
      extensions: [extension],
    };
    const infoOf = async (extra: Record<string, unknown>): Promise<unknown> => {
      const kubeconfigPath = kubeconfig(cluster, execUser(path, extra));
      const headers = await headersOf(await loadApiTarget({ kubeconfigPath, env: process.env }));
      return JSON.parse(atob(headers.authorization?.replace('Bearer ', '') ?? ''));
    };
    const { spec } = Object(await infoOf({ provideClusterInfo: true }));
    expect(spec).toEqual({
      interactive: false,
      cluster: {
        server: server.url,
        'tls-server-name': 'api.test',
        'certificate-authority-data': base64(authority.certificate),
        config,
      },
    });
    expect(Object(await infoOf({})).spec).toEqual({ interactive: false });
  });

  test('a plugin that must ask somebody is refused with the reason', async () => {
    const user = execUser(plugin({ token: 'good' }), { interactiveMode: 'Always' });
    const error = await rejectionOf(listWith(kubeconfig(trusted(server.url), user)));
    expect(String(error)).toContain('interactiveMode');
  });

  test('requests that are refused at once share one run', async () => {
    const path = plugin({ token: 'refused' });
    const target = await loadApiTarget({
      kubeconfigPath: kubeconfig(trusted(server.url), execUser(path)),
      env: process.env,
    });
    const client = createKubeClient(target);
    await Promise.all(Array.from({ length: 8 }, () => rejectionOf(client.list(NODES))));
    expect(await runsOf(path)).toBe(2);
  });

  test.each([
    ['fails', { exit: 3 }, 'exit code 3'],
    ['prints no JSON', { text: 'hello' }, 'no JSON'],
    ['prints no status', { text: '{}' }, 'no status'],
    ['prints an empty status', { text: '{"status":{}}' }, 'neither token nor certificate'],
  ])('a plugin that %s is an error of the request', async (_title, o, words) => {
    const path = plugin({ token: 'good' }, o);
    const error = await rejectionOf(listWith(kubeconfig(trusted(server.url), execUser(path))));
    expect(String(error)).toContain(words);
  });

  test('a plugin that does not exist is an error of the request', async () => {
    const path = kubeconfig(trusted(server.url), execUser('/nowhere/plugin'));
    expect(isKubeError(await rejectionOf(listWith(path)), 'unauthorized')).toBe(true);
  });
});

describe('in-cluster', () => {
  const account = join(folder, 'account');
  mkdirSync(account);
  writeFileSync(join(account, 'ca.crt'), authority.certificate);

  test('the service account is used, and its token read again after a while', async () => {
    writeFileSync(join(account, 'token'), 'good\n');
    const { hostname, port } = new URL(server.url);
    let elapsedMs = 0;
    const target = await loadApiTarget({
      env: { KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port },
      serviceAccountPath: account,
      now: () => elapsedMs,
    });
    expect(target.server).toBe(server.url);
    await createKubeClient(target).list(NODES);
    writeFileSync(join(account, 'token'), 'newer\n');
    elapsedMs += 60_000;
    const headers = await headersOf(target);
    expect(headers.authorization).toBe('Bearer newer');
  });

  test('an IPv6 address of the API server is put into brackets', async () => {
    const env = { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' };
    expect((await loadApiTarget({ env })).server).toBe('https://[fd00::1]:443');
  });

  test('outside of a cluster it says what is missing', async () => {
    const error = await rejectionOf(loadApiTarget({ env: {} }));
    expect(String(error)).toContain('KUBERNETES_SERVICE_HOST');
  });

  test('a missing token file is an error that names it', async () => {
    const env = { KUBERNETES_SERVICE_HOST: '127.0.0.1' };
    const target = await loadApiTarget({ env, serviceAccountPath: '/nowhere' });
    const error = await rejectionOf(createKubeClient(target).list(NODES));
    expect(String(error)).toContain('/nowhere/');
  });
});
