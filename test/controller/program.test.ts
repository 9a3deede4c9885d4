// The controller as a process: what it answers, and how it ends.
import { describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as kinds from '../../src/shared/platform/kube/resource.ts';
import { eventually } from '../helpers/eventually.ts';
import { NAMESPACE, startLab, toSpec } from './harness.ts';

const root = join(import.meta.dir, '../..');

function start(env: Record<string, string>): Bun.Subprocess<'ignore', 'ignore', 'pipe'> {
  return Bun.spawn([process.execPath, 'src/controller/main.ts'], {
    cwd: root,
    env: { PATH: '/usr/bin:/bin', ...env },
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: 'pipe',
  });
}

/** Reads log lines until one has that message, and returns it. */
async function untilLogged(stream: ReadableStream<Uint8Array>, msg: string): Promise<unknown> {
  const decoder = new TextDecoder();
  let text = '';
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    text += decoder.decode(value, { stream: true });
    const line = text.split('\n').find((one) => one.includes(`"msg":"${msg}"`));
    if (line !== undefined) {
      reader.releaseLock();
      return JSON.parse(line);
    }
    if (done) throw new Error(`ended without ${msg}: ${text}`);
  }
}

describe('the controller as a process', () => {
  test.each([
    [['--version'], 0, /^multi-nic-controller \S+\n$/],
    [['--verbose'], 2, /^$/],
  ])('%p prints and exits', async (args, code, printed) => {
    const command = [process.execPath, 'src/controller/main.ts', ...args];
    const env = { PATH: '/usr/bin:/bin', KUBECONFIG_FILE: '/nonexistent' };
    const child = Bun.spawn(command, { cwd: root, env, stdout: 'pipe', stderr: 'pipe' });
    const [text, said] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    expect([await child.exited, /"msg"/.test(said)]).toEqual([code, false]);
    expect(text).toMatch(printed);
  });

  test('leads, is ready, serves metrics, and gives the lease back at SIGTERM', async () => {
    await using embedded = await startLab();
    const { lab, server } = embedded;
    const folder = mkdtempSync(join(tmpdir(), 'multi-nic-controller-'));
    const kubeconfig = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'test', cluster: { server: server.url } }],
      users: [{ name: 'test', user: {} }],
      contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
      'current-context': 'test',
    };
    const file = join(folder, 'kubeconfig');
    writeFileSync(file, JSON.stringify(kubeconfig));
    const child = start({ KUBECONFIG_FILE: file, HEALTH_PORT: '0', POD_NAME: 'controller-0' });
    try {
      const started = Object(await untilLogged(child.stderr, 'started'));
      const url = `http://127.0.0.1:${started.healthPort}`;
      await lab.addHost('node-0', '10.1.0.0/16');
      await lab.addNetwork('net', toSpec());
      await lab.untilCondition('net', 'Ready', 'True');
      expect(await (await fetch(`${url}/readyz`)).text()).toBe('ok\n');
      // It counts what it knows: its own write of the status only once that was answered.
      const metrics = await eventually('the network is counted as ready', async () => {
        const text = await (await fetch(`${url}/metrics`)).text();
        const isReady = text.includes('network="net",type="Ready",status="True",reason="Ready"} 1');
        const hasRun = /multi_nic_reconcile_total\{kind="network",result="done"\} [1-9]/.test(text);
        return isReady && hasRun ? text : undefined;
      });
      expect(metrics).toContain('multi_nic_leader 1');
      const lease = { name: 'multi-nic-controller', namespace: NAMESPACE };
      const holder = async (): Promise<string | undefined> =>
        (await lab.client.get(kinds.LEASES, lease))?.spec?.holderIdentity;
      expect(await holder()).toStartWith('controller-0_');
      child.kill('SIGTERM');
      expect(await child.exited).toBe(0);
      expect(await holder()).toBe('');
    } finally {
      child.kill('SIGKILL');
      rmSync(folder, { recursive: true });
    }
  });

  test('is not ready while the API server does not answer', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'multi-nic-controller-'));
    const file = join(folder, 'kubeconfig');
    const cluster = { server: 'http://127.0.0.1:9' };
    writeFileSync(
      file,
      JSON.stringify({
        clusters: [{ name: 'test', cluster }],
        users: [{ name: 'test', user: {} }],
        contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
        'current-context': 'test',
      }),
    );
    const child = start({ KUBECONFIG_FILE: file, HEALTH_PORT: '0' });
    try {
      const started = Object(await untilLogged(child.stderr, 'started'));
      const ask = (path: string) => fetch(`http://127.0.0.1:${started.healthPort}${path}`);
      expect((await ask('/healthz')).status).toBe(200);
      const response = await eventually('an answer', () => ask('/readyz'));
      expect([response.status, await response.text()]).toEqual([
        503,
        'the API server has not answered yet\n',
      ]);
      child.kill('SIGTERM');
      expect(await child.exited).toBe(0);
    } finally {
      child.kill('SIGKILL');
      rmSync(folder, { recursive: true });
    }
  });

  test.each([
    ['HEALTH_PORT', 'x80'],
    ['HEALTH_PORT', '70000'],
  ])('ends with the reason when %s is %s', async (name, value) => {
    const child = start({ [name]: value });
    expect(await child.exited).toBe(1);
    expect(await new Response(child.stderr).text()).toContain(`${name} is \\"${value}\\"`);
  });

  test('ends with the reason when there is no API server to talk to', async () => {
    const child = start({});
    expect(await child.exited).toBe(1);
    expect(await new Response(child.stderr).text()).toContain('KUBERNETES_SERVICE_HOST');
  });
});
