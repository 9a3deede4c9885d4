// Finding the API server and proving who we are: kubeconfigs of every sort, certificates on real
// TLS connections, and tokens that are replaced while we run.
import { afterAll, describe, expect, test } from 'bun:test';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startApiServer } from '../../../../test/apiserver/server.ts';
import { base64, headersOf, startKubeconfigLab } from '../../../../test/kube/kubeconfig-lab.ts';
import { rejectionOf } from '../../../../test/kube/under-test.ts';
import { createKubeClient } from './client.ts';
import { isKubeError } from './errors.ts';
import { NODES } from './resource.ts';
import { loadApiTarget } from './target.ts';

const lab = await startKubeconfigLab();
const { server, mutual, folder, authority, stranger, serverTls, clientPair } = lab;
const { kubeconfig, trusted, listWith } = lab;
afterAll(async () => await lab[Symbol.asyncDispose]());

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
      tls: serverTls,
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
