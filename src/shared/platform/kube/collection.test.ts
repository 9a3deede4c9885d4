// A collection never forgets because of an error, and never misses a change: every way in which a
// list or a watch can break, played against the embedded server.
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { type ApiServer, startApiServer } from '../../../../test/apiserver/server.ts';
import { eventually } from '../../../../test/helpers/eventually.ts';
import { createFakeClock, settle } from '../../../../test/helpers/fake-clock.ts';
import { WIDGET_CRD, WIDGETS } from '../../../../test/kube/under-test.ts';
import { systemClock } from '../clock.ts';
import { createLogger } from '../log.ts';
import { createKubeClient, type KubeClient } from './client.ts';
import { type Collection, type CollectionOptions, watchCollection } from './collection.ts';
import { CONFIG_MAPS, CRDS, isRecord, NODES, type Resource } from './resource.ts';

let server: ApiServer;
let client: KubeClient;
let stop: AbortController;
let lines: string[];
let started: Collection<unknown>[];

beforeEach(async () => {
  server = await startApiServer({ bookmarkIntervalMs: 5 });
  // Its own retries need no test here, and their waits are real.
  const clock = { ...systemClock, sleep: async () => undefined };
  client = createKubeClient({ server: server.url }, { clock });
  stop = new AbortController();
  lines = [];
  started = [];
});
afterEach(async () => {
  stop.abort(new Error('the test is over'));
  await Promise.all(started.map((collection) => collection.stopped));
  await server.close();
});

const namespace = 'default';
const quick = { initialMs: 1, maxMs: 5 };

type Options = Partial<CollectionOptions<{ data?: Record<string, string> }, string>>;

/** Follows the `value` of config maps that carry a label. */
function follow(o: Options = {}): { collection: Collection<string>; changes: string[] } {
  const changes: string[] = [];
  const collection = watchCollection<{ data?: Record<string, string> }, string>({
    client,
    resource: CONFIG_MAPS,
    namespace,
    project: (map) => map.data?.value ?? '',
    onChange: (key) => changes.push(key),
    signal: stop.signal,
    log: createLogger({ component: 'test', level: 'debug', write: (line) => lines.push(line) }),
    backoff: quick,
    pageSize: 2,
    ...o,
  });
  started.push(collection);
  return { collection, changes };
}

async function put(name: string, value: string): Promise<void> {
  await client.patch(
    CONFIG_MAPS,
    { name, namespace },
    { type: 'apply', fieldManager: 'test', body: { metadata: { name }, data: { value } } },
  );
}

async function drop(name: string): Promise<void> {
  await client.delete(CONFIG_MAPS, { name, namespace });
}

const contents = (collection: Collection<string>): Record<string, string | undefined> =>
  Object.fromEntries([...collection.keys()].map((key) => [key.split('/')[1], collection.get(key)]));

describe('listing', () => {
  test('all pages are taken, and synced resolves after the last', async () => {
    for (const name of ['a', 'b', 'c', 'd', 'e']) await put(name, name);
    const { collection, changes } = follow();
    expect(collection.isSynced).toBe(false);
    await collection.synced;
    expect(collection.isSynced).toBe(true);
    expect(contents(collection)).toEqual({ a: 'a', b: 'b', c: 'c', d: 'd', e: 'e' });
    expect([...collection.values()].sort()).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(collection.size).toBe(5);
    expect(changes.length).toBe(5);
  });

  test.each([
    ['a broken connection', { action: 'drop' }],
    ['403', { action: 'status', code: 403 }],
    ['404', { action: 'status', code: 404 }],
    ['500', { action: 'status', code: 500 }],
    ['an answer that is no list', { action: 'status', code: 200, text: '{"items":[]}' }],
  ] as const)('after %s it is not synced, and tries again', async (_title, fault) => {
    await put('a', '1');
    const handle = server.faults.add({ ...fault, match: { plural: 'configmaps' } });
    const { collection } = follow();
    await eventually('some attempts', () => collection.stats().errors >= 3);
    expect(collection.isSynced).toBe(false);
    handle[Symbol.dispose]();
    await collection.synced;
    expect(contents(collection)).toEqual({ a: '1' });
  });

  test('a kind that is not served yet is waited for', async () => {
    const collection = watchCollection({
      client,
      resource: WIDGETS,
      project: (widget) => widget.metadata.name,
      onChange: () => undefined,
      signal: stop.signal,
      log: createLogger({ component: 'test', write: () => undefined }),
      backoff: quick,
    });
    started.push(collection);
    await eventually('some attempts', () => collection.stats().errors >= 2);
    await client.create(CRDS, WIDGET_CRD);
    await collection.synced;
    await client.create(WIDGETS, { metadata: { name: 'w' }, spec: { size: 1 } });
    await eventually('the widget', () => collection.get('w') === 'w');
  });

  test('a list that expires between its pages is begun again', async () => {
    for (const name of ['a', 'b', 'c']) await put(name, '1');
    let isFirst = true;
    server.faults.add({
      action: 'status',
      code: 410,
      reason: 'Expired',
      times: 1,
      match: (request) => {
        if (request.query.get('continue') === null) return false;
        const hit = isFirst;
        isFirst = false;
        return hit;
      },
    });
    const { collection } = follow();
    await collection.synced;
    expect(collection.stats().lists).toBe(2);
    expect(contents(collection)).toEqual({ a: '1', b: '1', c: '1' });
  });

  test('aborting before the first list ends it', async () => {
    server.faults.add({ action: 'hang', match: { plural: 'configmaps' } });
    const { collection } = follow();
    await settle();
    const reason = new Error('enough');
    stop.abort(reason);
    await collection.stopped;
    expect(await collection.synced.catch((error: unknown) => error)).toBe(reason);
  });
});

describe('watching', () => {
  test('changes are visible before they are announced', async () => {
    const seen: (string | undefined)[] = [];
    const { collection } = follow({ onChange: (key) => seen.push(collection.get(key)) });
    await collection.synced;
    await put('a', '1');
    await put('a', '2');
    await drop('a');
    await eventually('three changes', () => seen.length === 3);
    expect(seen).toEqual(['1', '2', undefined]);
    expect(collection.size).toBe(0);
  });

  test.each(['end', 'reset', 'expired'] as const)(
    'nothing is missed when watches break (%s)',
    async (how) => {
      server.faults.add({ action: 'reset-watch', afterEvents: 1, how, times: 20 });
      const { collection } = follow();
      await collection.synced;
      for (let value = 1; value <= 15; value += 1) {
        await put('a', String(value));
        await put(`b-${value}`, 'x');
        if (value > 3) await drop(`b-${value - 3}`);
      }
      await eventually('the last addition', () => collection.has(`${namespace}/b-15`));
      await eventually('the last deletion', () => !collection.has(`${namespace}/b-12`));
      const left = { a: '15', 'b-13': 'x', 'b-14': 'x', 'b-15': 'x' };
      expect(contents(collection)).toEqual(left);
      if (how === 'expired') expect(collection.stats().lists).toBeGreaterThan(1);
      else expect(collection.stats().lists).toBe(1);
    },
  );

  test('410 as an HTTP answer leads to a new list', async () => {
    const { collection } = follow();
    await collection.synced;
    await eventually('the watch', () => server.watches.length === 1);
    server.faults.add({ action: 'status', code: 410, times: 1, match: { isWatch: true } });
    for (const watch of server.watches) watch.close('reset');
    await eventually('the list', () => collection.stats().lists === 2);
    await put('a', '1');
    await eventually('the change', () => collection.get(`${namespace}/a`) === '1');
  });

  test('what changed while it was away is found by the next list, and only that is announced', async () => {
    for (const name of ['same', 'changed', 'gone', 'replaced']) await put(name, '0');
    const { collection, changes } = follow();
    await collection.synced;
    await eventually('the watch', () => server.watches.length === 1);
    changes.length = 0;
    const fault = server.faults.add({ action: 'drop', match: { isWatch: true } });
    for (const watch of server.watches) watch.close('reset');
    await put('changed', '1');
    await drop('gone');
    await drop('replaced');
    await put('replaced', '0');
    await put('new', '1');
    server.compact();
    fault[Symbol.dispose]();
    await eventually('the new one', () => collection.has(`${namespace}/new`));
    await eventually('the deletion', () => !collection.has(`${namespace}/gone`));
    expect(collection.stats().lists).toBe(2);
    expect(contents(collection)).toEqual({ same: '0', changed: '1', replaced: '0', new: '1' });
    const announced = changes.map((key) => key.split('/')[1]).sort();
    expect(announced).toEqual(['changed', 'gone', 'new', 'replaced']);
  });

  test('errors never empty it', async () => {
    for (const name of ['a', 'b', 'c']) await put(name, '1');
    const { collection, changes } = follow();
    await collection.synced;
    changes.length = 0;
    for (const fault of [
      { action: 'drop' },
      { action: 'status', code: 404 },
      { action: 'status', code: 401 },
      { action: 'status', code: 200, text: '{"kind":"Status","metadata":{}}' },
      { action: 'status', code: 200, text: '{"metadata":{"resourceVersion":"9"}}' },
    ] as const) {
      await eventually('the watch', () => server.watches.length === 1);
      const before = collection.stats().errors;
      using _handle = server.faults.add({ ...fault, match: { plural: 'configmaps' } });
      server.compact(); // so that it has to list
      for (const watch of server.watches) watch.close('expired');
      await eventually('failures', () => collection.stats().errors >= before + 3);
      expect(contents(collection)).toEqual({ a: '1', b: '1', c: '1' });
    }
    await eventually('recovery', () => server.watches.length === 1);
    expect(contents(collection)).toEqual({ a: '1', b: '1', c: '1' });
    expect(changes).toEqual([]);
  });

  test('bookmarks move it on, so that a long silence costs no list', async () => {
    let marked = '';
    const watch = client.watch.bind(client);
    client.watch = async function* (resource, o) {
      for await (const event of watch(resource, o)) {
        yield event;
        if (event.type === 'BOOKMARK') marked = event.resourceVersion; // taken by now
      }
    };
    const { collection } = follow();
    await collection.synced;
    for (let index = 0; index < 3; index += 1) {
      await client.create(NODES, { metadata: { name: `n-${index}` } });
    }
    await eventually('a bookmark of now', () => marked === `${server.revision}`);
    server.compact(); // everything before the bookmark is forgotten
    for (const watch of server.watches) watch.close('reset');
    await put('a', '1');
    await eventually('the change', () => collection.get(`${namespace}/a`) === '1');
    expect(collection.stats().lists).toBe(1);
  });

  test('a silent connection counts as broken', async () => {
    await using quiet = await startApiServer();
    const { collection } = follow({
      client: createKubeClient({ server: quiet.url }),
      idleTimeoutMs: 10,
    });
    await eventually('new watches', () => collection.stats().watches >= 3);
    expect(collection.stats().lists).toBe(1);
    stop.abort(new Error('the test is over'));
    await collection.stopped;
  });

  test('a server that ends every watch at once is not asked in a tight loop', async () => {
    const clock = createFakeClock();
    const fault = server.faults.add({ action: 'reset-watch', how: 'end', afterEvents: 0 });
    const { collection } = follow({
      clock,
      random: () => 1,
      backoff: { initialMs: 200, maxMs: 30_000 },
      client: createKubeClient({ server: server.url }),
    });
    await collection.synced;
    const waits: number[] = [];
    for (let round = 0; round < 9; round += 1) {
      await eventually('it waits', () => clock.sleepers === 1);
      waits.push(clock.nextWakeMs ?? 0);
      await clock.advance(clock.nextWakeMs ?? 0);
    }
    expect(waits).toEqual([200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000]);
    await eventually('it waits', () => clock.sleepers === 1);
    fault[Symbol.dispose]();
    await clock.advance(30_000);
    await eventually('the watch', () => server.watches.length === 1);
    await put('a', '1');
    await eventually('the change', () => collection.get(`${namespace}/a`) === '1');
  });
});

describe('bad objects and bad callbacks', () => {
  const strict: Resource<{ data?: Record<string, string> }> = {
    ...CONFIG_MAPS,
    parse: (value) => {
      const data = isRecord(value) && isRecord(value.data) ? value.data : {};
      if (data.value === 'bad') throw new TypeError('value: must not be bad');
      return { data: { value: String(data.value) } };
    },
  };

  test('an object that cannot be read keeps its last good projection and spoils no other', async () => {
    await put('a', '1');
    await put('z', 'bad');
    const { collection } = follow({ resource: strict });
    await collection.synced;
    expect(contents(collection)).toEqual({ a: '1' });
    await put('a', 'bad');
    await put('b', '2');
    await eventually('the others', () => collection.get(`${namespace}/b`) === '2');
    expect(contents(collection)).toEqual({ a: '1', b: '2' });
    expect(collection.stats().rejected).toBe(2);
    expect(lines.join('\n')).toContain('must not be bad');
    server.compact();
    for (const watch of server.watches) watch.close('expired');
    await eventually('a new list', () => collection.stats().lists === 2);
    expect(contents(collection)).toEqual({ a: '1', b: '2' });
    await put('a', '3');
    await eventually('good again', () => collection.get(`${namespace}/a`) === '3');
    await drop('z');
  });

  test('a change that its callback did not take is announced again', async () => {
    let isBroken = false;
    const taken: string[] = [];
    const { collection } = follow({
      onChange: (key) => {
        if (isBroken) {
          isBroken = false;
          throw new Error('not now');
        }
        taken.push(key.split('/')[1] ?? '');
      },
    });
    await collection.synced;
    isBroken = true;
    await put('a', '1');
    await eventually('the second time', () => taken.includes('a'));
    isBroken = true;
    await drop('a');
    await eventually('the deletion', () => taken.filter((name) => name === 'a').length === 2);
    await put('b', '1');
    await eventually('it goes on', () => taken.includes('b'));
    expect(lines.join('\n')).toContain('not now');
  });

  test('a callback that always throws does not stop the others nor spin', async () => {
    await put('a', '1');
    const clock = createFakeClock();
    const { collection } = follow({
      clock,
      onChange: () => {
        throw new Error('never');
      },
    });
    await eventually('it waits', () => clock.sleepers === 1);
    expect(collection.get(`${namespace}/a`)).toBe('1');
    expect(collection.stats().lists).toBe(1);
  });
});
