// The socket and the TCP port: frames, limits, errors, the old paths, and who may write.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { serveSocket } from '../../src/daemon/http/serve.ts';
import { eventually } from '../helpers/eventually.ts';
import { cniRequest, createFakeHost, type Harness, send, startHarness } from './harness.ts';

setDefaultTimeout(120_000);

async function setUp(env: Record<string, string> = {}) {
  const hostNet = createFakeHost();
  for (const pod of ['a', 'b', 'c1']) hostNet.addNetns(`/run/netns/${pod}`);
  return { hostNet, h: await startHarness({ hostNet, env }) };
}

const post = (h: Harness, path: string, body: unknown, headers: Record<string, string> = {}) =>
  fetch(`${h.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });

const OPEN = { MULTI_NIC_COMPAT_WRITES: 'true' };
const podRequest = (pod: string, masters: string[] | null) => ({
  pod,
  namespace: 'default',
  host: 'n1',
  def: 'net',
  masters,
});

describe('the socket', () => {
  test('is root-only, in a directory that is root-only', async () => {
    const { h } = await setUp();
    await using _ = h;
    expect(statSync(h.socket).mode & 0o777).toBe(0o600);
    expect(statSync(dirname(h.socket)).mode & 0o777).toBe(0o700);
  });

  test('is refused to a second daemon while the first answers', async () => {
    const { h } = await setUp();
    await using _ = h;
    await expect(serveSocket(h.socket, undefined as never)).rejects.toMatchObject({
      kind: 'conflict',
    });
    expect((await send(h.socket, cniRequest('STATUS'))).status).toBe(200);
  });

  test('left by a daemon that was killed is taken over; another file is not', async () => {
    const { h } = await setUp();
    await using _ = h;
    const path = join(h.directory, 'dead', 'x.sock');
    const script = `Bun.serve({ unix: process.argv[1], fetch: () => new Response() });
      process.kill(process.pid, 'SIGKILL')`;
    await Bun.write(join(dirname(path), 'keep'), '');
    await Bun.spawn([process.execPath, '-e', script, path]).exited;
    expect(existsSync(path)).toBe(true);
    const listener = await serveSocket(path, { fetch: () => new Response('new') } as never);
    expect(await (await fetch('http://x/', { unix: path })).text()).toBe('new');
    await listener.stop();
    writeFileSync(path, '');
    await expect(serveSocket(path, undefined as never)).rejects.toMatchObject({ kind: 'conflict' });
  });

  const malformed: [string, RequestInit, string][] = [
    ['no JSON type', { body: '{}', headers: { 'content-type': 'text/plain' } }, 'content type'],
    ['no JSON', { body: '{' }, 'not JSON'],
    ['a list', { body: '[]' }, 'config'],
    ['no configuration', { body: '{"command":"ADD"}' }, 'config'],
    ['an unknown member', { body: JSON.stringify({ ...cniRequest('ADD'), x: 1 }) }, 'x'],
    [
      'an unknown verb',
      { body: JSON.stringify({ ...cniRequest('ADD'), command: 'X' }) },
      'command',
    ],
    [
      'a long name',
      { body: JSON.stringify(cniRequest('ADD', { ifName: 'x'.repeat(16) })) },
      'ifName',
    ],
    ['too much', { body: `"${'x'.repeat(1_100_000)}"` }, '1048576'],
  ];
  let shared: Harness;
  beforeAll(async () => {
    shared = (await setUp()).h;
  });
  afterAll(async () => {
    await shared[Symbol.asyncDispose]();
  });

  test.each(malformed)('refuses %s with a problem document', async (_title, init, text) => {
    const response = await fetch('http://daemon/v1/cni', {
      unix: shared.socket,
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-request-id': 'mine' },
      ...init,
    });
    expect(response.status).toBe(400);
    expect(response.headers.get('content-type')).toBe('application/problem+json');
    const problem = (await response.json()) as { type: string; detail: string };
    expect(problem.type).toBe('urn:multi-nic:problem:decode-failed');
    expect(problem.detail).toContain(text);
  });

  test('other methods and paths are answered as problems with the request id', async () => {
    const { h } = await setUp();
    await using _ = h;
    for (const [path, method, status] of [
      ['/v1/cni', 'GET', 405],
      ['/nope', 'GET', 404],
      ['/allocate/', 'POST', 404],
      ['/allocate', 'GET', 405],
    ] as const) {
      const response = await fetch(`http://daemon${path}`, {
        unix: h.socket,
        method,
        headers: { 'x-request-id': 'abc' },
      });
      expect(response.status).toBe(status);
      expect(response.headers.get('x-request-id')).toBe('abc');
      expect(await response.json()).toMatchObject({ status, requestId: 'abc' });
    }
    const odd = { unix: h.socket, headers: { 'x-request-id': 'a b;c' } };
    const response = await fetch('http://daemon/healthz', odd);
    expect(response.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
  });

  test('64 ADDs at once all get different addresses', async () => {
    const hostNet = createFakeHost();
    const containers = Array.from({ length: 64 }, (_, i) => `p${i}`);
    for (const container of containers) hostNet.addNetns(`/run/netns/${container}`);
    await using h = await startHarness({ hostNet });
    const before = h.daemon.parts.journal.counts.commits;
    const answers = await Promise.all(
      containers.map((container) => send(h.socket, cniRequest('ADD', { container }))),
    );
    const addresses = answers.flatMap(({ reply }) => reply.result?.ips ?? []);
    expect(new Set(addresses.map(({ address }) => address)).size).toBe(256);
    // Two commits each would be 128.
    expect(h.daemon.parts.journal.counts.commits - before).toBeLessThan(64);
  });
});

describe('CHECK', () => {
  const changes: [string, (h: Awaited<ReturnType<typeof setUp>>) => void, string][] = [
    [
      'a missing link',
      ({ hostNet }) => {
        using netns = hostNet.openNetns('/run/netns/c1');
        const [link] = netns.links();
        netns.deleteLinks({ group: link?.group ?? 0, names: [] });
      },
      'interface net1-0 is missing',
    ],
    [
      'another namespace',
      ({ hostNet }) => {
        hostNet.removeNetns('/run/netns/c1');
        hostNet.addNetns('/run/netns/c1');
      },
      'another network namespace',
    ],
  ];
  test.each(changes)('reports %s', async (_title, change, text) => {
    const world = await setUp();
    await using h = world.h;
    await send(h.socket, cniRequest('ADD'));
    expect((await send(h.socket, cniRequest('CHECK'))).status).toBe(200);
    change(world);
    const answer = await send(h.socket, cniRequest('CHECK'));
    expect(answer.problem.type).toBe('urn:multi-nic:problem:check-failed');
    expect(answer.problem.detail).toContain(text);
  });

  test('of an unknown attachment fails, of a namespace that is gone too', async () => {
    const { hostNet, h } = await setUp();
    await using _ = h;
    expect((await send(h.socket, cniRequest('CHECK'))).problem.detail).toContain('is not attached');
    await send(h.socket, cniRequest('ADD'));
    hostNet.removeNetns('/run/netns/c1');
    expect((await send(h.socket, cniRequest('CHECK'))).status).toBe(410);
  });
});

describe('requests', () => {
  test('with a relative netns are refused, but for DEL', async () => {
    const { h } = await setUp();
    await using _ = h;
    expect((await send(h.socket, cniRequest('ADD'))).status).toBe(200);
    const config = { prevResult: { cniVersion: '0.4.0', interfaces: [], ips: [] } };
    for (const netns of ['run/netns/c1', '']) {
      for (const command of ['ADD', 'CHECK'] as const) {
        const { status, problem } = await send(h.socket, cniRequest(command, { netns, config }));
        expect(status).toBe(400);
        expect(problem).toMatchObject({
          type: expect.stringMatching(/:invalid-environment$/),
          detail: `CNI_NETNS is no absolute path: "${netns}"`,
        });
      }
    }
    expect((await send(h.socket, cniRequest('DEL', { netns: 'run/netns/c1' }))).status).toBe(200);
    expect(h.daemon.parts.journal.list()).toEqual([]);
  });

  test('that are wrong in thousands of places get a short answer', async () => {
    const { h } = await setUp();
    await using _ = h;
    const many = Array.from({ length: 20_000 }, () => 5);
    const long = 'x'.repeat(100_000);
    for (const request of [
      { ...cniRequest('ADD'), ...Object.fromEntries(many.map((_one, at) => [`key${at}`, at])) },
      cniRequest('ADD', { config: { masterNets: many } }),
      cniRequest('GC', { config: { 'cni.dev/valid-attachments': many } }),
      { ...cniRequest('ADD'), command: long, [long]: 1 },
    ]) {
      const { status, problem } = await send(h.socket, request);
      expect(status).toBeGreaterThanOrEqual(400);
      expect(JSON.stringify(problem).length).toBeLessThan(64 * 1024);
      expect(problem.detail).not.toBe('');
    }
  });
});

describe('writes over TCP', () => {
  test('are none of CNI', async () => {
    const { h } = await setUp();
    await using _ = h;
    expect((await post(h, '/v1/cni', cniRequest('DEL'))).status).toBe(404);
  });

  const users = {
    ours: { username: 'system:serviceaccount:multi-nic-cni-operator:daemon', groups: [] },
    admin: { username: 'root', groups: ['system:masters'] },
    pod: { username: 'system:serviceaccount:default:default', groups: [] },
  };
  const attempts: [string, string | undefined, number][] = [
    ['no token', undefined, 403],
    ['an unknown token', 'nobody', 403],
    ["a pod's token", 'pod', 403],
    ["our own program's token", 'ours', 200],
    ["an administrator's token", 'admin', 200],
  ];
  test.each(attempts)('with %s', async (_title, token, status) => {
    const { h } = await setUp();
    await using _ = h;
    for (const [name, user] of Object.entries(users)) h.api.users.set(name, user);
    const headers: Record<string, string> =
      token === undefined ? {} : { authorization: `Bearer ${token}` };
    for (const path of ['/allocate', '/deallocate']) {
      expect((await post(h, path, podRequest('p', ['eth1']), headers)).status).toBe(status);
    }
    expect((await post(h, '/addl3', { name: 'net' }, headers)).status).toBe(status);
    expect((await post(h, '/select', { def: 'net' }, headers)).status).toBe(200);
  });

  test('ask the API server about a few tokens at a time, whoever sends how many', async () => {
    const { h } = await setUp();
    await using _ = h;
    const hanging = h.api.faults.add({ action: 'hang', match: { plural: 'tokenreviews' } });
    const left = new AbortController();
    const answers = Array.from({ length: 40 }, (_token, n) =>
      fetch(`${h.url}/addl3`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer t${n}` },
        body: '{"name":"net"}',
        signal: left.signal,
      }).then(
        ({ status }) => status,
        () => 'left',
      ),
    );
    await eventually('all that are not asked about are refused', async () => {
      const settled = await Promise.all(answers.map((one) => Promise.race([one, 'waiting'])));
      return settled.filter((one) => one === 503).length === 40 - hanging.hits;
    });
    expect(hanging.hits).toBeWithin(1, 11);
    left.abort();
    hanging[Symbol.dispose]();
  });

  test('are refused as transient while nobody can confirm the token', async () => {
    const { h } = await setUp();
    await using _ = h;
    await h.api.stop();
    const headers = { authorization: 'Bearer ours' };
    const response = await post(h, '/allocate', podRequest('p', ['eth1']), headers);
    expect(response.status).toBe(503);
    h.api.start();
  });
});

describe('the old paths', () => {
  test('allocate and deallocate keep their shapes, repeat safely and are all or nothing', async () => {
    const { h } = await setUp(OPEN);
    await using _ = h;
    const both = [
      { interface: 'eth2', ip: '192.168.64.1', block: '18' },
      { interface: 'eth1', ip: '192.168.0.1', block: '18' },
    ];
    const allocate = async (masters: string[] | null): Promise<unknown> =>
      (await post(h, '/allocate', podRequest('old', masters))).json();
    expect(await allocate(['eth2', 'eth1'])).toEqual(both);
    expect(await allocate(['eth2', 'eth1'])).toEqual(both);
    expect(await allocate(['eth3', 'eth9'])).toMatchObject({ status: 503, master: 'eth9' });
    expect(h.daemon.parts.journal.held()).toHaveLength(2);
    const answer = await post(h, '/deallocate', podRequest('old', null));
    expect(await answer.json()).toEqual(both);
    expect(await (await post(h, '/deallocate', podRequest('old', null))).json()).toBeNull();
    expect(await allocate([])).toBeNull();
    expect(h.daemon.parts.journal.held()).toEqual([]);
  });

  test('another node is refused, a short name of this one is not', async () => {
    const { h } = await setUp({ ...OPEN, K8S_NODENAME: 'n1' });
    await using _ = h;
    const other = { ...podRequest('p', ['eth1']), host: 'n2' };
    expect((await post(h, '/allocate', other)).status).toBe(403);
    expect((await post(h, '/allocate', { ...other, host: 'n' })).status).toBe(403);
    expect((await post(h, '/allocate', { ...other, host: '' })).status).toBe(200);
  });

  test('select answers names in order, or says why not', async () => {
    const { h } = await setUp();
    await using _ = h;
    const select = async (body: object): Promise<unknown> =>
      (await post(h, '/select', { pod: 'p', namespace: 'default', def: 'net', ...body })).json();
    expect(await select({ masterNets: null, args: {} })).toEqual({
      deviceIDs: [],
      masters: ['eth1', 'eth2', 'eth3', 'eth4'],
    });
    const nets = ['10.0.3.0/24', '10.0.1.0/24'];
    expect(await select({ masterNets: nets, args: { nics: 1 } })).toEqual({
      deviceIDs: [],
      masters: ['eth3'],
    });
    expect(await select({ args: { masters: ['eth9'] } })).toMatchObject({ status: 503 });
  });

  test('greetings do nothing; single routes are not offered', async () => {
    const { h } = await setUp(OPEN);
    await using _ = h;
    expect(await (await post(h, '/greet', '"10.0.0.1"')).json()).toBe('');
    expect(await (await post(h, '/join', { hifs: [] })).json()).toBe('');
    const route = { net: '0.0.0.0/0', via: '10.0.1.1', iface: 'eth1' };
    expect(await (await post(h, '/addroute', route)).json()).toMatchObject({ success: false });
    expect(await (await post(h, '/addl3', { name: 'net' })).json()).toEqual({
      success: true,
      msg: '',
    });
  });
});
