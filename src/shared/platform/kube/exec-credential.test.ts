// Credential plugins of a kubeconfig: when they run, what they are told, and what they may answer.
import { afterAll, describe, expect, test } from 'bun:test';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { base64, headersOf, startKubeconfigLab } from '../../../../test/kube/kubeconfig-lab.ts';
import { rejectionOf } from '../../../../test/kube/under-test.ts';
import { createKubeClient } from './client.ts';
import { isKubeError } from './errors.ts';
import { NODES } from './resource.ts';
import { loadApiTarget } from './target.ts';

const lab = await startKubeconfigLab();
const { server, mutual, folder, authority, clientPair, kubeconfig, trusted, listWith } = lab;
afterAll(async () => await lab[Symbol.asyncDispose]());

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

  /** A target whose credentials come from this plugin, and whose clock the test moves. */
  const clockedTarget = async (path: string) => {
    let elapsedMs = 0;
    const target = await loadApiTarget({
      kubeconfigPath: kubeconfig(trusted(server.url), execUser(path)),
      env: process.env,
      now: () => elapsedMs,
    });
    const pass = (ms: number): void => {
      elapsedMs += ms;
    };
    return { target, pass };
  };

  test('a token is used until it expires', async () => {
    const expirationTimestamp = new Date(Date.now() + 3_600_000).toISOString();
    const path = plugin({ token: 'good', expirationTimestamp });
    const { target, pass } = await clockedTarget(path);
    const client = createKubeClient(target);
    for (let round = 0; round < 3; round += 1) {
      await client.list(NODES);
      pass(600_000); // what is kept in memory is read again; the plugin's answer still holds
    }
    expect(await runsOf(path)).toBe(1);
  });

  test('an expired token is replaced', async () => {
    const expirationTimestamp = new Date(Date.now() + 5_000).toISOString(); // within the margin
    const path = plugin({ token: 'good', expirationTimestamp });
    const { target, pass } = await clockedTarget(path);
    await target.credentials?.();
    pass(31_000);
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
