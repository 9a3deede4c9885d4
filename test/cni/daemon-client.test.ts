// The socket itself: what each way of failing says about the effects of a request.
import { dlopen } from 'bun:ffi';
import { describe, expect, test } from 'bun:test';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createDaemonClient, REQUEST_BYTES_MAX } from '../../src/cni/daemon-client.ts';
import { CNI_REQUEST_BYTES_MAX, type CniRequest } from '../../src/shared/model/daemon-api.ts';
import { isDomainError } from '../../src/shared/model/errors.ts';
import { startStubDaemon } from './stub-daemon.ts';

const request: CniRequest = {
  requestId: 'r-1',
  command: 'STATUS',
  containerId: '',
  netns: '',
  ifName: '',
  args: '',
  path: '/opt/cni/bin',
  config: { name: 'n', plugin: { type: 'ipvlan' } },
};

/** A private folder, removed at the end. */
function folder(): { path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), 'mnc-'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/** A socket whose server writes `answer` to whoever has asked, and hangs up. */
function rawServer(path: string, answer: string): Disposable {
  const server = Bun.listen({
    unix: path,
    socket: {
      data: (socket) => {
        socket.end(answer);
      },
    },
  });
  return { [Symbol.dispose]: () => server.stop(true) };
}

describe('a daemon that never saw the request', () => {
  test('no socket, no folder, no right name', async () => {
    using dir = folder();
    for (const name of ['no.sock', 'no/no.sock', `${'x'.repeat(200)}.sock`]) {
      const answer = await createDaemonClient(join(dir.path, name)).call(request, 1000);
      expect(answer.outcome).toBe('not-sent');
      expect(answer.outcome === 'not-sent' && answer.error.kind).toBe('daemon-unreachable');
    }
  });

  test('a path that is no socket', async () => {
    using dir = folder();
    writeFileSync(join(dir.path, 'file'), '');
    mkdirSync(join(dir.path, 'dir'));
    symlinkSync('loop', join(dir.path, 'loop'));
    for (const name of ['file', 'dir', 'loop', 'file/below']) {
      const answer = await createDaemonClient(join(dir.path, name)).call(request, 1000);
      expect([name, answer.outcome]).toEqual([name, 'not-sent']);
    }
  });

  test('a socket that a killed daemon left behind', async () => {
    using dir = folder();
    const path = join(dir.path, 'd.sock');
    const script = `Bun.listen({ unix: ${JSON.stringify(path)}, socket: { data() {} } });
      process.kill(process.pid, 'SIGKILL')`;
    Bun.spawnSync([process.execPath, '-e', script], { timeout: 10_000 });
    const answer = await createDaemonClient(path).call(request, 1000);
    expect(answer.outcome).toBe('not-sent');
  });
});

describe('a daemon whose answer does not come through', () => {
  const answers: [string, string][] = [
    ['it hangs up', ''],
    ['it speaks another protocol', 'SSH-2.0-OpenSSH\r\n\r\n'],
    ['it breaks off in the head', 'HTTP/1.1 200 OK\r\ncontent-le'],
    ['it breaks off in the body', 'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"result'],
  ];
  for (const [what, raw] of answers) {
    test(`${what}: the effects are not known`, async () => {
      using dir = folder();
      const path = join(dir.path, 'd.sock');
      using _server = rawServer(path, raw);
      const answer = await createDaemonClient(path).call(request, 2000);
      expect(answer.outcome).toBe('unknown');
      expect(answer.outcome === 'unknown' && isDomainError(answer.error)).toBe(true);
    });
  }
});

test('a proxy in the environment does not matter', async () => {
  await using daemon = startStubDaemon(() => Response.json({}));
  const proxies = { http_proxy: 'http://127.0.0.1:1', HTTP_PROXY: 'http://127.0.0.1:1' };
  const script = `
    const { createDaemonClient } = await import(${JSON.stringify(clientPath)});
    const answer = await createDaemonClient(${JSON.stringify(daemon.socketPath)})
      .call(${JSON.stringify(request)}, 2000);
    console.log(answer.outcome);`;
  const child = Bun.spawn([process.execPath, '-e', script], {
    env: { ...process.env, ...proxies, ALL_PROXY: 'http://127.0.0.1:1' },
    stdout: 'pipe',
  });
  expect((await new Response(child.stdout).text()).trim()).toBe('done');
});

test('a request that the daemon would refuse for its size is not sent', async () => {
  expect(REQUEST_BYTES_MAX).toBe(CNI_REQUEST_BYTES_MAX);
  await using daemon = startStubDaemon(() => Response.json({}));
  const client = createDaemonClient(daemon.socketPath);
  const answer = await client.call({ ...request, args: 'x'.repeat(REQUEST_BYTES_MAX) }, 1000);
  expect(answer).toMatchObject({ outcome: 'refused', error: { kind: 'invalid-config' } });
  expect(daemon.requests).toEqual([]);
});

test('a daemon that is overrun is asked again until it takes the request', async () => {
  using dir = folder();
  const path = join(dir.path, 'd.sock');
  const full = new FullSocket(path);
  await full.fill();
  const pausesMs: number[] = [];
  await using daemon = startStubDaemon(() => Response.json({}));
  const answer = await createDaemonClient(path, async (ms) => {
    pausesMs.push(ms);
    if (pausesMs.length < 3) return;
    full.close();
    rmSync(path);
    symlinkSync(daemon.socketPath, path);
  }).call(request, 10_000);
  expect(answer.outcome).toBe('done');
  expect(pausesMs).toHaveLength(3);
  expect(Math.max(...pausesMs)).toBeLessThan(100);
});

test('a daemon that stays overrun was never asked', async () => {
  using dir = folder();
  const path = join(dir.path, 'd.sock');
  const full = new FullSocket(path);
  await full.fill();
  let pauses = 0;
  const answer = await createDaemonClient(path, () => Promise.resolve(void pauses++)).call(
    request,
    10_000,
  );
  full.close();
  expect(answer).toMatchObject({ outcome: 'not-sent', error: { kind: 'daemon-unreachable' } });
  expect(pauses).toBe(7);
});

/** Test equipment: a listener with no backlog that never accepts, which Bun's own cannot be. */
class FullSocket {
  readonly #path: string;
  readonly #libc = dlopen('libc.so.6', {
    socket: { args: ['i32', 'i32', 'i32'], returns: 'i32' },
    bind: { args: ['i32', 'ptr', 'u32'], returns: 'i32' },
    listen: { args: ['i32', 'i32'], returns: 'i32' },
    close: { args: ['i32'], returns: 'i32' },
  });
  readonly #fd: number;

  constructor(path: string) {
    this.#path = path;
    const address = new Uint8Array(110);
    address[0] = 1; // AF_UNIX
    address.set(new TextEncoder().encode(path), 2);
    const { symbols } = this.#libc;
    this.#fd = symbols.socket(1, 1, 0);
    expect(symbols.bind(this.#fd, address, address.length)).toBe(0);
    expect(symbols.listen(this.#fd, 0)).toBe(0);
  }

  /** A backlog of 0 takes one connection that nobody accepts. */
  async fill(): Promise<void> {
    await Bun.connect({ unix: this.#path, socket: { data: () => undefined } });
  }

  close(): void {
    this.#libc.symbols.close(this.#fd);
  }
}

const clientPath = join(import.meta.dir, '../../src/cni/daemon-client.ts');
