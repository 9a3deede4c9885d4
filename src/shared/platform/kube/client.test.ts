// The client against a server that misbehaves: what is tried again, what is not, and what every
// failure turns into.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test';
import type { ApiRequest } from '../../../../test/apiserver/requests.ts';
import { type ApiServer, startApiServer } from '../../../../test/apiserver/server.ts';
import { eventually } from '../../../../test/helpers/eventually.ts';
import { createFakeClock } from '../../../../test/helpers/fake-clock.ts';
import { rejectionOf } from '../../../../test/kube/under-test.ts';
import type { Clock } from '../clock.ts';
import type { ApiTarget } from './api-target.ts';
import { createKubeClient, type KubeClientOptions } from './client.ts';
import { isKubeError } from './errors.ts';
import { CONFIG_MAPS, NODES, PODS, toPath } from './resource.ts';

let server: ApiServer;
beforeAll(async () => {
  server = await startApiServer({ users: { good: { username: 'someone' } } });
});
afterAll(() => server.close());
beforeEach(() => server.faults.clear());

const namespace = 'default';
let count = 0;
function uniqueName(): string {
  count += 1;
  return `client-${count}`;
}

/** A clock that notes how long it is asked to sleep and returns at once. */
function sleeplessClock(): Clock & { readonly slept: number[] } {
  const slept: number[] = [];
  return {
    ...createFakeClock(),
    slept,
    sleep: async (ms, signal) => {
      signal?.throwIfAborted();
      slept.push(ms);
    },
  };
}

function connect(o: KubeClientOptions & { target?: Partial<ApiTarget> } = {}) {
  const { target, ...options } = o;
  const clock = sleeplessClock();
  const client = createKubeClient(
    { server: server.url, ...target },
    { clock, random: () => 0, ...options },
  );
  return { client, slept: clock.slept };
}

/** How many requests of a method were seen for an object. */
function seen(method: string, name: string): number {
  return server.seen.filter((one) => one.method === method && one.path.endsWith(name)).length;
}

describe('retries', () => {
  test('reads are tried again when the connection breaks', async () => {
    const { client, slept } = connect();
    using fault = server.faults.add({ action: 'drop', times: 2, match: { plural: 'nodes' } });
    expect((await client.list(NODES)).items).toEqual([]);
    expect(fault.hits).toBe(2);
    expect(slept.length).toBeLessThanOrEqual(2); // Bun itself repeats a read on a reused connection
  });

  test('reads are tried a bounded number of times, waiting longer each time', async () => {
    const { client, slept } = connect();
    using fault = server.faults.add({ action: 'status', code: 503, match: { plural: 'nodes' } });
    expect(await rejectionOf(client.list(NODES))).toMatchObject({
      kind: 'unavailable',
      status: 503,
      attempt: 'list nodes',
    });
    expect(fault.hits).toBe(4);
    expect(slept).toEqual([50, 100, 200]);
  });

  test('writes are not repeated when it is unknown whether they happened', async () => {
    const { client } = connect();
    const name = uniqueName();
    server.faults.add({ action: 'drop', when: 'after', times: 1, match: { method: 'POST' } });
    const error = await rejectionOf(client.create(CONFIG_MAPS, { metadata: { name, namespace } }));
    expect(isKubeError(error, 'unavailable')).toBe(true);
    expect(server.object('configmaps', name, namespace)).toBeDefined();
    server.faults.add({ action: 'drop', times: 1, match: { method: 'PATCH' } });
    const key = { name, namespace };
    const patch = client.patch(CONFIG_MAPS, key, { type: 'merge', body: { data: { a: '1' } } });
    expect(isKubeError(await rejectionOf(patch), 'unavailable')).toBe(true);
    expect(seen('PATCH', name)).toBe(1);
  });

  test.each([429, 503])('any verb is repeated after %d with Retry-After', async (code) => {
    const { client, slept } = connect();
    const name = uniqueName();
    const fault = { action: 'status', code, retryAfterSeconds: 3, times: 2 } as const;
    server.faults.add({ ...fault, match: { method: 'POST' } });
    await client.create(CONFIG_MAPS, { metadata: { name, namespace } });
    expect(slept).toEqual([3_000, 3_000]);
  });

  test('a write is not repeated after 503 without Retry-After', async () => {
    const { client, slept } = connect();
    server.faults.add({ action: 'status', code: 503, times: 1, match: { method: 'POST' } });
    const object = { metadata: { name: uniqueName(), namespace } };
    expect(isKubeError(await rejectionOf(client.create(CONFIG_MAPS, object)), 'unavailable')).toBe(
      true,
    );
    expect(slept).toEqual([]);
  });

  test('a long Retry-After is left to the caller', async () => {
    const { client, slept } = connect();
    server.faults.add({ action: 'status', code: 429, retryAfterSeconds: 60, times: 1 });
    expect(await rejectionOf(client.list(NODES))).toMatchObject({
      kind: 'throttled',
      retryAfterMs: 60_000,
    });
    expect(slept).toEqual([]);
  });

  test.each([400, 403, 404, 409, 410, 422])('%d is final', async (code) => {
    const { client, slept } = connect();
    using fault = server.faults.add({ action: 'status', code, match: { plural: 'nodes' } });
    await rejectionOf(client.list(NODES));
    expect(fault.hits).toBe(1);
    expect(slept).toEqual([]);
  });

  test('nothing is repeated once the caller has given up', async () => {
    const stop = new AbortController();
    const reason = new Error('enough');
    const { client } = connect({
      clock: {
        ...createFakeClock(),
        sleep: async () => {
          stop.abort(reason);
          throw stop.signal.reason;
        },
      },
    });
    using fault = server.faults.add({ action: 'status', code: 503 });
    expect(await rejectionOf(client.list(NODES, { signal: stop.signal }))).toBe(reason);
    expect(fault.hits).toBe(1);
  });
});

describe('failures', () => {
  test('kinds follow status and reason', async () => {
    const { client } = connect();
    const table: [code: number, reason: string, kind: string][] = [
      [401, 'Unauthorized', 'unauthorized'],
      [403, 'Forbidden', 'forbidden'],
      [404, 'NotFound', 'not-found'],
      [409, 'Conflict', 'conflict'],
      [409, 'AlreadyExists', 'already-exists'],
      [410, 'Expired', 'gone'],
      [413, 'RequestEntityTooLarge', 'invalid'],
      [422, 'Invalid', 'invalid'],
      [429, 'TooManyRequests', 'throttled'],
      [500, 'InternalError', 'unavailable'],
      [504, 'Timeout', 'timeout'],
    ];
    for (const [code, reason, kind] of table) {
      server.faults.add({ action: 'status', code, reason, times: 4 });
      const object = { metadata: { name: 'x', namespace } };
      const error = await rejectionOf(client.create(CONFIG_MAPS, object));
      expect(error).toMatchObject({ kind, status: code, reason });
      server.faults.clear();
    }
  });

  test('a message says what was attempted on what', async () => {
    const { client } = connect();
    server.faults.add({ action: 'status', code: 403, times: 1 });
    const error = await rejectionOf(client.get(PODS, { name: 'a', namespace: 'b' }));
    expect(String(error)).toContain('get pods/b/a failed: a fault of the test');
  });

  test('only the words of the API server itself mean absence', async () => {
    const { client } = connect();
    const key = { name: 'absent', namespace };
    expect(await client.get(CONFIG_MAPS, key)).toBeUndefined();
    for (const text of ['404 page not found', '<html>Not Found</html>', '{"kind":"Status"}']) {
      server.faults.add({ action: 'status', code: 404, text, times: 1 });
      expect(isKubeError(await rejectionOf(client.get(CONFIG_MAPS, key)), 'not-found')).toBe(true);
    }
    server.faults.add({ action: 'status', code: 404, text: 'no', times: 1 });
    expect(isKubeError(await rejectionOf(client.delete(CONFIG_MAPS, key)), 'not-found')).toBe(true);
  });

  test('a 404 about another object is not absence', async () => {
    const { client } = connect();
    const details = { name: 'default', kind: 'namespaces' };
    const status = { kind: 'Status', reason: 'NotFound', code: 404, message: 'm', details };
    server.faults.add({ action: 'status', code: 404, text: JSON.stringify(status), times: 1 });
    const error = await rejectionOf(client.get(CONFIG_MAPS, { name: 'absent', namespace }));
    expect(isKubeError(error, 'not-found')).toBe(true);
  });

  test('an answer that is not JSON is an error and not tried again', async () => {
    const { client } = connect();
    using fault = server.faults.add({ action: 'status', code: 200, text: 'hello' });
    expect(await rejectionOf(client.list(NODES))).toMatchObject({
      kind: 'unavailable',
      reason: 'UnreadableAnswer',
    });
    expect(fault.hits).toBe(1);
  });

  test('a list that is no list is an error, never an empty list', async () => {
    const { client } = connect();
    const metadata = { resourceVersion: '1' };
    const answers: unknown[] = [
      {},
      [],
      null,
      { kind: 'NodeList', metadata },
      { kind: 'NodeList', metadata, items: {} },
      { kind: 'Status', metadata, items: [] },
      { kind: 'NodeList', metadata: {}, items: [] },
    ];
    for (const text of answers.map((answer) => JSON.stringify(answer))) {
      server.faults.add({ action: 'status', code: 200, text, times: 1 });
      expect(await rejectionOf(client.list(NODES))).toMatchObject({ reason: 'UnreadableAnswer' });
    }
  });

  test('an answer beyond the size limit is refused', async () => {
    const name = uniqueName();
    const data = { a: 'x'.repeat(10_000) };
    await connect().client.create(CONFIG_MAPS, { metadata: { name, namespace }, data });
    const { client } = connect({ bodyBytesMax: 8_000 });
    const error = await rejectionOf(client.get(CONFIG_MAPS, { name, namespace }));
    expect(String(error)).toContain('larger than 8000 bytes');
  });

  test('a page beyond the size limit, or too slow, is asked for in smaller ones', async () => {
    const label = uniqueName();
    const data = { a: 'x'.repeat(2_000) };
    const names = Array.from({ length: 9 }, () => uniqueName()).sort();
    for (const name of names) {
      const metadata = { name, namespace, labels: { label } };
      await connect().client.create(CONFIG_MAPS, { metadata, data });
    }
    const labelSelector = `label=${label}`;
    const listWith = async (o: KubeClientOptions, timeoutMs = 20_000): Promise<unknown[]> => {
      const { items } = await connect(o).client.list(CONFIG_MAPS, { labelSelector, timeoutMs });
      return items.map(({ metadata }) => metadata?.name);
    };
    expect(await listWith({ bodyBytesMax: 5_000 })).toEqual(names);
    const isLarge = ({ query }: ApiRequest): boolean => Number(query.get('limit')) > 8;
    using slow = server.faults.add({ action: 'hang', match: isLarge });
    expect(await listWith({}, 400)).toEqual(names);
    expect(slow.hits).toBe(2); // 500 and 63
  });

  test('one object beyond the size limit makes the list fail, and is tried once', async () => {
    const metadata = { name: uniqueName(), namespace, labels: { large: 'yes' } };
    await connect().client.create(CONFIG_MAPS, { metadata, data: { a: 'x'.repeat(10_000) } });
    const { client, slept } = connect({ bodyBytesMax: 8_000 });
    const list = client.list(CONFIG_MAPS, { labelSelector: 'large=yes' });
    expect(await rejectionOf(list)).toMatchObject({ reason: 'AnswerTooLarge' });
    expect(slept).toEqual([]);
  });

  test('an object that does not fit its kind is an error', async () => {
    const { client } = connect();
    server.faults.add({ action: 'status', code: 200, text: '{"metadata":{}}', times: 1 });
    const error = await rejectionOf(client.get(CONFIG_MAPS, { name: 'x', namespace }));
    expect(error).toMatchObject({ reason: 'UnreadableAnswer' });
  });

  test('a server that never answers is a timeout; a write is sent once', async () => {
    const { client } = connect();
    const object = { metadata: { name: uniqueName(), namespace } };
    // On a busy machine a short time is over before the server has even read the request.
    for (const timeoutMs of [20, 400, 8_000, 80_000]) {
      using fault = server.faults.add({ action: 'hang' });
      const error = await rejectionOf(client.create(CONFIG_MAPS, object, { timeoutMs }));
      expect(error).toMatchObject({ kind: 'timeout', status: 0 });
      expect(fault.hits).toBeLessThanOrEqual(1);
      if (fault.hits === 1) return;
    }
    throw new Error('no request has reached the server');
  });

  test('a watch whose headers never come is a timeout', async () => {
    const stop = new AbortController();
    using _fault = server.faults.add({ action: 'delay', delayMs: 200, match: { isWatch: true } });
    const { client } = connect();
    const watch = client.watch(NODES, { resourceVersion: '1', signal: stop.signal });
    const next = watch.next();
    stop.abort(new Error('too slow'));
    expect(String(await rejectionOf(next))).toContain('too slow');
  });

  test('a silent watch is a timeout', async () => {
    const { client } = connect();
    const { resourceVersion } = await client.list(NODES);
    const watch = client.watch(NODES, {
      resourceVersion,
      signal: new AbortController().signal,
      idleTimeoutMs: 20,
    });
    expect(await rejectionOf(watch.next())).toMatchObject({
      kind: 'timeout',
      reason: 'SilentWatch',
    });
  });

  test('leaving a watch early closes its connection', async () => {
    const { client } = connect();
    const made = await client.create(CONFIG_MAPS, { metadata: { name: uniqueName(), namespace } });
    await client.create(CONFIG_MAPS, { metadata: { name: uniqueName(), namespace } });
    const resourceVersion = made.metadata?.resourceVersion ?? '';
    const signal = new AbortController().signal;
    const before = server.watches.length;
    for await (const event of client.watch(CONFIG_MAPS, { resourceVersion, signal })) {
      expect(event.type).toBe('ADDED');
      break;
    }
    await eventually('the server notices', () => server.watches.length === before);
  });

  test('a server that is not there is unavailable', async () => {
    const client = createKubeClient({ server: 'http://127.0.0.1:1' }, { clock: sleeplessClock() });
    expect(await rejectionOf(client.list(NODES))).toMatchObject({ kind: 'unavailable', status: 0 });
  });

  test('a redirect is not followed', async () => {
    await using elsewhere = Bun.serve({
      port: 0,
      fetch: () => Response.redirect(`${server.url}/api/v1/nodes`),
    });
    const target = { server: elsewhere.url.href.replace(/\/$/, '') };
    const client = createKubeClient(target, { clock: sleeplessClock() });
    expect(isKubeError(await rejectionOf(client.list(NODES)), 'unavailable')).toBe(true);
  });
});

describe('credentials', () => {
  test('a refused token is read again once, then the request is repeated', async () => {
    server.setTokenRequired(true);
    const asked: boolean[] = [];
    const credentials: ApiTarget['credentials'] = async (o) => {
      asked.push(o?.refused !== undefined);
      const token = o?.refused !== undefined ? 'good' : 'old';
      return { headers: { authorization: `Bearer ${token}` }, tls: {} };
    };
    const { client } = connect({ target: { credentials } });
    const name = uniqueName();
    await client.create(CONFIG_MAPS, { metadata: { name, namespace } });
    expect(asked).toEqual([false, true]);
    expect(seen('POST', 'configmaps')).toBeGreaterThan(1);
    server.setTokenRequired(false);
  });

  test('a token that stays refused is unauthorized', async () => {
    server.setTokenRequired(true);
    const credentials: ApiTarget['credentials'] = async () => ({ headers: {}, tls: {} });
    const { client } = connect({ target: { credentials } });
    expect(isKubeError(await rejectionOf(client.list(NODES)), 'unauthorized')).toBe(true);
    server.setTokenRequired(false);
  });

  test('credentials that cannot be had are an error of the request', async () => {
    const credentials: ApiTarget['credentials'] = async () => {
      throw new Error('no token file');
    };
    const { client } = connect({ target: { credentials } });
    const error = await rejectionOf(client.list(NODES));
    expect(error).toMatchObject({ kind: 'unauthorized', reason: 'NoCredentials' });
    expect(String(error)).toContain('no token file');
  });
});

describe('paths', () => {
  test.each(['..', '.', '', 'a/b', 'a%2fb'])("an object cannot be called '%s'", async (name) => {
    expect(() => toPath(NODES, { name })).toThrow(TypeError);
  });

  test('a namespaced object is not asked for without its namespace', () => {
    expect(() => toPath(PODS, { name: 'a' })).toThrow(TypeError);
    expect(toPath(PODS)).toBe('/api/v1/pods');
    expect(toPath(PODS, { namespace: 'a', name: 'b', subresource: 'status' })).toBe(
      '/api/v1/namespaces/a/pods/b/status',
    );
  });

  test('a unix socket is talked to as well', async () => {
    const unixPath = `/tmp/multi-nic-${crypto.randomUUID().slice(0, 8)}.sock`;
    await using local = await startApiServer({ unixPath });
    const client = createKubeClient({ server: local.url, unixPath });
    expect((await client.list(NODES)).items).toEqual([]);
  });
});
