// The socket itself: what each way of failing says about the effects of a request. The client of the
// executable and the one of the other tests keep the same contract.
import { dlopen } from 'bun:ffi';
import { describe, expect, test } from 'bun:test';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  ANSWER_BYTES_MAX,
  createDaemonClient,
  REQUEST_BYTES_MAX,
} from '../../src/cni/daemon-client.ts';
import { createHttpExchange } from '../../src/cni/http-exchange.ts';
import { openLibc } from '../../src/cni/libc.ts';
import {
  CNI_REPLY_BYTES_MAX,
  CNI_REQUEST_BYTES_MAX,
  type CniRequest,
} from '../../src/shared/model/daemon-api.ts';
import { testClient } from './call.ts';
import { type ClientCall, type Summary, summarise } from './client-worker.ts';
import { fetchExchange } from './fetch-exchange.ts';
import { problem, startStubDaemon } from './stub-daemon.ts';

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

/** A socket whose server does this with whoever has asked. */
function rawServer(path: string, serve: (socket: Bun.Socket<undefined>) => unknown): Disposable {
  const server = Bun.listen({ unix: path, socket: { data: (socket) => void serve(socket) } });
  return { [Symbol.dispose]: () => server.stop(true) };
}

/** The executable's client in a thread of its own, and the one of the other tests. */
const clients: [string, (call: ClientCall) => Promise<Summary>][] = [
  ['the client of the executable', inThread],
  [
    'the client of the tests',
    async ({ socketPath, request: asked, timeoutMs }) =>
      summarise(await testClient(socketPath).call(asked, timeoutMs)),
  ],
];

const thread = new Worker(new URL('client-worker.ts', import.meta.url));
thread.unref();

function inThread(call: ClientCall): Promise<Summary> {
  const { promise, resolve, reject } = Promise.withResolvers<Summary>();
  thread.onmessage = ({ data }) => resolve(data);
  thread.onerror = ({ message }) => reject(new Error(message));
  thread.postMessage(call);
  return promise;
}

const REPLY = '{"families":[4]}';
const HEAD = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n';

for (const [name, callClient] of clients) {
  const ask = (socketPath: string, timeoutMs = 60_000): Promise<Summary> =>
    callClient({ socketPath, request, timeoutMs });

  describe(`${name}: a daemon that never saw the request`, () => {
    test('no socket, no folder, no right name', async () => {
      using dir = folder();
      for (const file of ['no.sock', 'no/no.sock', `${'x'.repeat(200)}.sock`]) {
        const answer = await ask(join(dir.path, file));
        expect(answer).toMatchObject({ outcome: 'not-sent', kind: 'daemon-unreachable' });
      }
    });

    test('a path that is no socket', async () => {
      using dir = folder();
      writeFileSync(join(dir.path, 'file'), '');
      mkdirSync(join(dir.path, 'dir'));
      symlinkSync('loop', join(dir.path, 'loop'));
      for (const file of ['file', 'dir', 'loop', 'file/below']) {
        const answer = await ask(join(dir.path, file));
        expect([file, answer.outcome]).toEqual([file, 'not-sent']);
      }
    });

    test('a socket that a killed daemon left behind', async () => {
      using dir = folder();
      const path = join(dir.path, 'd.sock');
      const script = `Bun.listen({ unix: ${JSON.stringify(path)}, socket: { data() {} } });
      process.kill(process.pid, 'SIGKILL')`;
      Bun.spawnSync([process.execPath, '-e', script], { timeout: 60_000 });
      expect(await ask(path)).toMatchObject({
        outcome: 'not-sent',
        details: { reason: 'ECONNREFUSED' },
      });
    });
  });

  describe(`${name}: a daemon that answers`, () => {
    test('with a reply, a refusal, or nonsense', async () => {
      let answer = Response.json({ families: [4] });
      await using daemon = startStubDaemon(() => answer);
      expect(await ask(daemon.socketPath)).toEqual({ outcome: 'done', reply: { families: [4] } });
      answer = problem('pool-exhausted');
      expect(await ask(daemon.socketPath)).toMatchObject({
        outcome: 'refused',
        kind: 'pool-exhausted',
      });
      answer = new Response('upgrade me', { status: 426 });
      expect(await ask(daemon.socketPath)).toMatchObject({
        outcome: 'unknown',
        kind: 'reply-invalid',
        details: { status: 426, body: 'upgrade me' },
      });
      expect(daemon.requests).toEqual([request, request, request]);
    });

    test('in more pieces than there are lines', async () => {
      using dir = folder();
      const path = join(dir.path, 'd.sock');
      const whole = `${HEAD}content-length: ${REPLY.length}\r\n\r\n${REPLY}`;
      using _server = rawServer(path, async (socket) => {
        for (const character of whole) {
          socket.write(character);
          await Bun.sleep(0);
        }
      });
      expect(await ask(path)).toEqual({ outcome: 'done', reply: { families: [4] } });
    });

    test('without a length, by closing behind the body', async () => {
      using dir = folder();
      const path = join(dir.path, 'd.sock');
      using _server = rawServer(path, (socket) => socket.end(`${HEAD}\r\n${REPLY}`));
      expect(await ask(path)).toEqual({ outcome: 'done', reply: { families: [4] } });
    });

    test('a request that is larger than a socket takes at once', async () => {
      const received: number[] = [];
      await using daemon = startStubDaemon(({ config }) => {
        received.push(String(config.filler).length);
        return Response.json({});
      });
      const large = { ...request, config: { ...request.config, filler: 'x'.repeat(900_000) } };
      const { socketPath } = daemon;
      const answer = await callClient({ socketPath, request: large, timeoutMs: 60_000 });
      expect(answer.outcome).toBe('done');
      expect(received).toEqual([900_000]);
    });

    test('with megabytes, but not with too many', async () => {
      let size = ANSWER_BYTES_MAX - 100;
      await using daemon = startStubDaemon(() => Response.json({ filler: 'x'.repeat(size) }));
      expect((await ask(daemon.socketPath)).outcome).toBe('done');
      size = ANSWER_BYTES_MAX;
      expect(await ask(daemon.socketPath)).toMatchObject({
        outcome: 'unknown',
        kind: 'reply-invalid',
        message: expect.stringContaining(`more than ${ANSWER_BYTES_MAX} bytes`),
      });
    });
  });

  describe(`${name}: a daemon whose answer does not come through`, () => {
    const answers: [string, string, string][] = [
      ['it hangs up', '', 'daemon-unreachable'],
      ['it speaks another protocol', 'SSH-2.0-OpenSSH\r\n\r\n', 'reply-invalid'],
      ['it breaks off in the head', 'HTTP/1.1 200 OK\r\ncontent-le', 'daemon-unreachable'],
      ['it breaks off in the body', `${HEAD}content-length: 100\r\n\r\n{`, 'daemon-unreachable'],
    ];
    for (const [what, raw, kind] of answers) {
      test(`${what}: the effects are not known`, async () => {
        using dir = folder();
        const path = join(dir.path, 'd.sock');
        using _server = rawServer(path, (socket) => socket.end(raw));
        expect(await ask(path)).toMatchObject({ outcome: 'unknown', kind });
      });
    }

    test('it is silent: the time is up', async () => {
      using dir = folder();
      const path = join(dir.path, 'd.sock');
      using _server = rawServer(path, () => undefined);
      expect(await ask(path, 50)).toEqual({
        outcome: 'unknown',
        kind: 'timeout',
        message: 'the multi-nic daemon did not answer within 0.05 s',
        details: { socket: path },
      });
    });

    test('it stops in the middle: the time is up', async () => {
      using dir = folder();
      const path = join(dir.path, 'd.sock');
      using _server = rawServer(path, (socket) =>
        socket.write(`${HEAD}content-length: 9\r\n\r\n{`),
      );
      expect(await ask(path, 50)).toMatchObject({ outcome: 'unknown', kind: 'timeout' });
    });
  });
}

test('a head without an end is not read for ever', async () => {
  using dir = folder();
  const path = join(dir.path, 'd.sock');
  using _server = rawServer(path, (socket) => socket.end(`${HEAD}x: ${'y'.repeat(20_000)}`));
  const answer = await inThread({ socketPath: path, request, timeoutMs: 60_000 });
  expect(answer).toMatchObject({ outcome: 'unknown', kind: 'reply-invalid' });
});

describe('what is no answer is named, with what to do', () => {
  const html = `<!DOCTYPE html>\n<p>${'x'.repeat(100)}`;
  const whole = `${HEAD}content-length: ${REPLY.length}\r\n\r\n${REPLY}`;
  const answers: [string, string, string][] = [
    ['SSH-2.0-OpenSSH\r\n', 'reply-invalid', 'is not HTTP/1, it begins with "SSH-2.0-OpenSSH.."'],
    [html, 'reply-invalid', `is not HTTP/1, it begins with "<!DOCTYPE html>.<p>${'x'.repeat(21)}"`],
    ['HTTP/2 200\r\n\r\n', 'reply-invalid', 'is not HTTP/1, it begins with "HTTP/2 200...."'],
    ['HTTP/1.1 OK\r\n\r\n', 'reply-invalid', 'is not HTTP/1, it begins with "HTTP/1.1 OK.."'],
    [
      // An encoding that nobody asked for is not guessed at.
      `${HEAD}transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`,
      'reply-invalid',
      'has the transfer encoding "chunked"',
    ],
    ['H', 'daemon-unreachable', 'broke off after 1 bytes'],
    [HEAD, 'daemon-unreachable', `broke off after ${HEAD.length} bytes`],
    [
      whole.slice(0, -1),
      'daemon-unreachable',
      `broke off after ${whole.length - 1} of ${whole.length} bytes`,
    ],
  ];
  for (const [raw, kind, what] of answers) {
    test(what, async () => {
      using dir = folder();
      const path = join(dir.path, 'd.sock');
      using _server = rawServer(path, (socket) => socket.end(raw));
      expect(await inThread({ socketPath: path, request, timeoutMs: 60_000 })).toEqual({
        outcome: 'unknown',
        kind,
        message: `post fail: the answer of the multi-nic daemon ${what}`,
        details: { socket: path, advice: expect.stringContaining('multi-nic --version') },
      });
    });
  }

  test('another program that waits to be spoken to is not waited for', async () => {
    using dir = folder();
    const path = join(dir.path, 'd.sock');
    using _server = rawServer(path, (socket) => socket.write('220 mail ESMTP\r\n'));
    const answer = await inThread({ socketPath: path, request, timeoutMs: 60_000 });
    expect(answer.message).toContain('it begins with "220 mail ESMTP.."');
  });

  test('a connection that was closed without a word', async () => {
    using dir = folder();
    const path = join(dir.path, 'd.sock');
    using _server = rawServer(path, (socket) => socket.end());
    expect(await inThread({ socketPath: path, request, timeoutMs: 60_000 })).toMatchObject({
      message: 'post fail: the connection to the multi-nic daemon broke before it answered',
      details: {
        reason: 'it was closed without an answer',
        advice: expect.stringContaining('get pods -l app=multi-nicd'),
      },
    });
  });
});

test('a connection that is reset within the answer says after how many bytes', async () => {
  using dir = folder();
  const socketPath = join(dir.path, 'd.sock');
  const accepted = Promise.withResolvers<Bun.Socket>();
  const open = (socket: Bun.Socket): void => {
    socket.pause(); // what a socket has not read when it is closed makes the close a reset
    accepted.resolve(socket);
  };
  const server = Bun.listen({ unix: socketPath, socket: { open, data: () => undefined } });
  const exchange = createHttpExchange(openLibc());
  const client = createDaemonClient({ socketPath, exchange });
  const answer = await client.call(request, 60_000, async () => {
    const socket = await accepted.promise;
    socket.write(HEAD);
    socket.terminate();
  });
  server.stop(true);
  expect(answer).toMatchObject({
    outcome: 'unknown',
    error: {
      message: `post fail: the answer of the multi-nic daemon broke off after ${HEAD.length} bytes`,
      cause: { cause: { code: 'ECONNRESET' } },
    },
  });
});

test('the limits are those of the daemon', () => {
  expect(REQUEST_BYTES_MAX).toBe(CNI_REQUEST_BYTES_MAX);
  expect(ANSWER_BYTES_MAX).toBe(CNI_REPLY_BYTES_MAX);
});

test('a request that the daemon would refuse for its size is not sent', async () => {
  await using daemon = startStubDaemon(() => Response.json({}));
  const client = testClient(daemon.socketPath);
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
  const client = createDaemonClient({
    socketPath: path,
    exchange: fetchExchange,
    sleep: async (ms) => {
      pausesMs.push(ms);
      if (pausesMs.length < 3) return;
      full.close();
      rmSync(path);
      symlinkSync(daemon.socketPath, path);
    },
  });
  const answer = await client.call(request, 60_000);
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
  const client = createDaemonClient({
    socketPath: path,
    exchange: createHttpExchange(openLibc()),
    sleep: () => Promise.resolve(void pauses++),
  });
  const answer = await client.call(request, 60_000);
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
