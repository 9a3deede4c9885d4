// The compiled file, called as a runtime calls it: standard output, then standard error, then the
// exit status. `make test` builds it first.
import { describe, expect, test } from 'bun:test';
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { configText, GOOD_ENV } from './call.ts';
import { executablePath, expectRow, protocolRows } from './protocol-rows.ts';
import { startAttachingDaemon, startStubDaemon } from './stub-daemon.ts';

interface Run {
  readonly stdout: string;
  readonly stderr: string[];
  readonly exitCode: number;
  readonly document: Record<string, unknown> | undefined;
}

interface RunOptions {
  readonly env: Readonly<Record<string, string>>;
  /** null: an open pipe that nobody writes to. */
  readonly stdin?: string | null;
  readonly name?: string;
  readonly args?: string[];
  readonly cwd?: string;
}

async function run(o: RunOptions): Promise<Run> {
  const child = Bun.spawn([executablePath(o.name), ...(o.args ?? [])], {
    env: o.env,
    cwd: o.cwd ?? '/',
    stdin: typeof o.stdin === 'string' ? new TextEncoder().encode(o.stdin) : 'pipe',
    stdout: 'pipe',
    stderr: 'pipe',
    timeout: 60_000,
  });
  const [stdout, stderr, exitCode] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  const document = stdout === '' || o.args !== undefined ? undefined : JSON.parse(stdout);
  return { stdout, stderr: stderr.split('\n').filter((line) => line !== ''), exitCode, document };
}

test('the executable is built', () => {
  // Everything below runs it: without a build the one honest answer is a failure that says so.
  const hint = existsSync(executablePath()) ? 'built' : 'run `make build` first';
  expect(hint).toBe('built');
});

describe('the compiled executable', () => {
  for (const row of protocolRows()) {
    test(`${row.id}: ${row.says}`, async () => {
      const elsewhere = { MULTI_NIC_SOCKET: '/nonexistent/d', MULTI_NIC_SPOOL: '/nonexistent/a/b' };
      expectRow(row, await run({ env: { ...row.env, ...elsewhere }, stdin: row.stdin }));
    });
  }

  test('ADD and DEL through the socket', async () => {
    await using daemon = startAttachingDaemon(4);
    const env = { ...GOOD_ENV, MULTI_NIC_SOCKET: daemon.socketPath };
    const added = await run({ env, stdin: configText({ cniVersion: '0.3.0' }) });
    expect(added).toMatchObject({
      stderr: [],
      exitCode: 0,
      document: { cniVersion: '0.3.0', interfaces: { length: 4 }, ips: { length: 4 } },
    });
    const removed = await run({ env: { ...env, CNI_COMMAND: 'DEL' }, stdin: configText() });
    expect(removed).toEqual({ stdout: '', stderr: [], exitCode: 0, document: undefined });
    expect(daemon.requests.map(({ command }) => command)).toEqual(['ADD', 'DEL']);
  });

  test('an answer that is wrong is refused by the embedded core and undone', async () => {
    await using good = startAttachingDaemon(2);
    await using daemon = startStubDaemon(async (request) => {
      const reply = await fetch('http://daemon/v1/cni', {
        unix: good.socketPath,
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(request),
      });
      return new Response((await reply.text()).replaceAll('192.168.0.65/', '192.168.0.100/'));
    });
    const env = { ...GOOD_ENV, MULTI_NIC_SOCKET: daemon.socketPath };
    const { document, exitCode } = await run({ env, stdin: configText() });
    expect(document?.code).toBe(106);
    expect(document?.details).toContain('not usable: network, broadcast or excluded');
    expect(exitCode).toBe(1);
    expect(daemon.requests.map(({ command }) => command)).toEqual(['ADD', 'DEL']);
  });

  test('DEL without a daemon leaves a private file and succeeds', async () => {
    await using daemon = startStubDaemon(() => Response.json({}));
    const env = {
      ...GOOD_ENV,
      CNI_COMMAND: 'DEL',
      MULTI_NIC_SOCKET: `${daemon.socketPath}.not`,
      MULTI_NIC_SPOOL: daemon.spoolPath,
    };
    const { stdout, stderr, exitCode } = await run({ env, stdin: configText() });
    expect([stdout, exitCode]).toEqual(['', 0]);
    expect(stderr).toHaveLength(1);
    expect(JSON.parse(stderr[0] ?? '')).toMatchObject({ level: 'info', component: 'multi-nic' });
    const [name = ''] = readdirSync(daemon.spoolPath);
    expect(statSync(join(daemon.spoolPath, name)).mode & 0o777).toBe(0o600);
  });

  test('one failure is one line of log', async () => {
    const env = { ...GOOD_ENV, MULTI_NIC_SOCKET: '/nonexistent/d' };
    const { stderr, stdout } = await run({ env, stdin: configText() });
    expect(stdout).not.toContain('\n');
    expect(stderr).toHaveLength(1);
    expect(JSON.parse(stderr[0] ?? '')).toMatchObject({
      msg: 'call failed',
      command: 'ADD',
      containerId: 'sandbox-1',
      ifName: 'net1',
      errorKind: 'daemon-unreachable',
    });
  });

  test('goes by the name it was started by', async () => {
    for (const name of ['multi-nic', 'multi-nic-ipam', 'aws-ipvlan']) {
      const { stderr, exitCode } = await run({ env: {}, name });
      expect(stderr[0]).toMatch(new RegExp(`^CNI ${name} plugin \\d+\\.\\d+\\.\\d+$`));
      expect(exitCode).toBe(0);
      const { stdout } = await run({ env: {}, name, args: ['--version'] });
      expect(stdout).toMatch(new RegExp(`^${name} \\d+\\.\\d+\\.\\d+\n$`));
    }
  });

  test('lets pods of the original end under its other names', async () => {
    const env = { ...GOOD_ENV, CNI_COMMAND: 'DEL', MULTI_NIC_SOCKET: '/nonexistent/d' };
    for (const name of ['multi-nic-ipam', 'aws-ipvlan']) {
      const stdin = JSON.stringify({ cniVersion: '0.3.0', name: 'n', type: name });
      const { stdout, stderr, exitCode } = await run({ env, stdin, name });
      expect([stdout, exitCode]).toEqual(['', 0]);
      expect(stderr).toHaveLength(1);
      expect(JSON.parse(stderr[0] ?? '')).toMatchObject({ level: 'info', component: name });
    }
  });

  test('takes no settings from the folder it is started in', async () => {
    const cwd = mkdtempSync(join(tmpdir(), 'mnc-'));
    writeFileSync(join(cwd, '.env'), 'CNI_COMMAND=VERSION\n');
    writeFileSync(join(cwd, 'bunfig.toml'), 'preload = ["./evil.ts"]\n');
    writeFileSync(join(cwd, 'evil.ts'), 'console.log("evil");\n');
    const { stdout, stderr, exitCode } = await run({ env: {}, cwd });
    rmSync(cwd, { recursive: true });
    expect([stdout, exitCode]).toEqual(['', 0]);
    expect(stderr[0]).toStartWith('CNI multi-nic plugin');
  });

  test('does not wait for its caller to close standard input after 1 MiB', async () => {
    const { document } = await run({ env: GOOD_ENV, stdin: ' '.repeat(3 * 1024 * 1024) });
    expect(document).toMatchObject({ code: 5 });
  });

  test('undoes an ADD whose result nobody reads', async () => {
    await using daemon = startAttachingDaemon(1);
    const child = Bun.spawn([executablePath()], {
      env: { ...GOOD_ENV, MULTI_NIC_SOCKET: daemon.socketPath },
      cwd: '/',
      stdin: 'pipe',
      stdout: 'pipe',
      stderr: 'ignore',
      timeout: 60_000,
    });
    await child.stdout.cancel();
    child.stdin.write(configText());
    await child.stdin.end();
    expect(await child.exited).toBe(1);
    expect(daemon.requests.map(({ command }) => command)).toEqual(['ADD', 'DEL']);
  });
});
