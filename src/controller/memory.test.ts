// What the leader remembers, and the small parts around it.
import { describe, expect, test } from 'bun:test';
import { createFakeClock, settle } from '../../test/helpers/fake-clock.ts';
import type { KubeClient } from '../shared/platform/kube/client.ts';
import { KubeError } from '../shared/platform/kube/errors.ts';
import { NODES } from '../shared/platform/kube/resource.ts';
import { forEachLimited } from './apply/for-each-limited.ts';
import { NetworkMemory } from './apply/network-memory.ts';
import { serveHealth } from './health-server.ts';
import { Metrics } from './metrics.ts';
import { observeClient } from './observed-client.ts';
import { IndexSet } from './plan/index-set.ts';
import { createBatch } from './watch/batch.ts';
import { formatWorkKey, parseWorkKey } from './watch/keys.ts';
import { Overlay } from './watch/overlay.ts';
import { PoolIndex } from './watch/pool-index.ts';
import type { PoolView } from './watch/views.ts';

describe('NetworkMemory', () => {
  test('a bit may be given back after it was without owner for the whole time', () => {
    const memory = new NetworkMemory('uid');
    memory.noteOrphans(['a#0', 'a#1'], 1000);
    expect(memory.waitMs(1000, 500)).toBe(501);
    memory.noteOrphans(['a#0'], 1400);
    expect([...memory.freeable(1500, 500)]).toEqual([]);
    expect([...memory.freeable(1501, 500)]).toEqual(['a#0']);
  });

  test('a bit that had an owner in between starts anew', () => {
    const memory = new NetworkMemory('uid');
    memory.noteOrphans(['a#0'], 0);
    memory.noteOrphans([], 400);
    memory.noteOrphans(['a#0'], 450);
    expect([...memory.freeable(600, 500)]).toEqual([]);
    expect(memory.waitMs(450, 500)).toBe(501);
  });

  test('only new indices are pending, until they are settled or the ledger lost them', () => {
    const memory = new NetworkMemory('uid');
    const indices = [
      { netAddress: 'a', hostIndex: 1 },
      { netAddress: 'b', hostIndex: 2 },
    ];
    memory.notePending({ hostName: 'h', indices }, new Map([['a', 1]]));
    memory.notePending({ hostName: 'i', indices }, new Map());
    memory.notePending({ hostName: 'k', indices: [] }, new Map());
    expect([...memory.pending.keys()]).toEqual(['h', 'i']);
    expect([...(memory.pending.get('h') ?? [])]).toEqual([['b', 2]]);
    memory.settle('h');
    const hosts = new IndexSet();
    hosts.add(1);
    const nets = [{ netAddress: 'a', interfaceIndex: 0, hosts }];
    memory.prune({ networkUid: 'uid', division: undefined, nets });
    expect([...(memory.pending.get('i') ?? [])]).toEqual([['a', 1]]);
  });
});

describe('Overlay', () => {
  interface Item {
    resourceVersion: string;
    value: string;
  }
  const item = (resourceVersion: string, value: string): Item => ({ resourceVersion, value });

  test('shows a write until the watch has something newer than what it was based on', () => {
    const source = new Map([['k', item('1', 'old')]]);
    const overlay = new Overlay<Item>(() => source);
    overlay.put('k', item('2', 'written'), '1');
    expect(overlay.get('k')?.value).toBe('written');
    source.set('k', item('3', 'newer'));
    expect(overlay.get('k')?.value).toBe('newer');
  });

  test('a write that the watch overtook is never shown', () => {
    const source = new Map([['k', item('3', 'newer')]]);
    const overlay = new Overlay<Item>(() => source);
    overlay.put('k', item('2', 'written'), '1');
    expect(overlay.get('k')?.value).toBe('newer');
  });

  test('of several writes the last is shown while the watch brings those before it', () => {
    const source = new Map([['k', item('1', 'old')]]);
    const overlay = new Overlay<Item>(() => source);
    overlay.put('k', item('2', 'first'), '1');
    overlay.put('k', item('3', 'second'), '2');
    expect(overlay.get('k')?.value).toBe('second');
    source.set('k', item('2', 'first'));
    overlay.forget('k');
    expect(overlay.get('k')?.value).toBe('second');
    source.set('k', item('4', 'of somebody else'));
    overlay.forget('k');
    expect(overlay.get('k')?.value).toBe('of somebody else');
  });

  test('of several writes the last is shown also when the first is answered after it', () => {
    const source = new Map([['k', item('1', 'old')]]);
    const overlay = new Overlay<Item>(() => source);
    overlay.put('k', item('3', 'second'), '2');
    overlay.put('k', item('2', 'first'), '1');
    expect(overlay.get('k')?.value).toBe('second');
  });

  test('an object that was made, changed and deleted is gone once the watch says so', () => {
    const source = new Map<string, Item>();
    const overlay = new Overlay<Item>(() => source);
    overlay.put('k', item('1', 'made'), undefined);
    overlay.put('k', item('2', 'changed'), '1');
    source.set('k', item('1', 'made'));
    overlay.forget('k');
    expect(overlay.get('k')?.value).toBe('changed');
    source.delete('k');
    overlay.forget('k');
    expect(overlay.get('k')).toBeUndefined();
  });

  test('a created object is there before the watch brings it, and gone once it says so', () => {
    const source = new Map<string, Item>();
    const overlay = new Overlay<Item>(() => source);
    overlay.put('k', item('1', 'made'), undefined);
    expect([...overlay.values()]).toHaveLength(1);
    overlay.forget('k');
    expect([...overlay.values()]).toEqual([]);
  });
});

describe('PoolIndex', () => {
  const pool = (name: string, network: string, hostName: string): PoolView => ({
    name,
    uid: '',
    resourceVersion: '',
    isDeleting: false,
    finalizers: [],
    network,
    hostName,
    interfaceName: '',
    podCidr: '',
    vlanCidr: '',
    allocationCount: 0,
    holders: [],
  });

  test('finds pools by network and by host, also after they changed or went', () => {
    const index = new PoolIndex();
    index.update('p', pool('p', 'n1', 'h1'));
    index.update('q', pool('q', 'n1', 'h2'));
    expect(index.ofNetwork('n1').map(({ name }) => name)).toEqual(['p', 'q']);
    expect(index.update('p', pool('p', 'n2', 'h2'))?.network).toBe('n1');
    expect(index.ofHost('h2').map(({ name }) => name)).toEqual(['q', 'p']);
    expect([...index.hosts()]).toEqual(['h2']);
    index.update('p', undefined);
    expect([...index.networks()]).toEqual(['n1']);
    expect(index.ofHost('h1')).toEqual([]);
  });
});

describe('createBatch', () => {
  test('hands keys on once, counted from the first', async () => {
    const clock = createFakeClock();
    const flushed: (readonly string[])[] = [];
    const { signal } = new AbortController();
    const batch = createBatch({
      delayMs: () => 100,
      clock,
      signal,
      flush: (keys) => flushed.push(keys),
    });
    batch.add('a');
    await clock.advance(60);
    batch.add('b');
    batch.add('a');
    await clock.advance(39);
    expect(flushed).toEqual([]);
    await clock.advance(1);
    expect(flushed).toEqual([['a', 'b']]);
    batch.add('c');
    await clock.advance(100);
    expect(flushed).toEqual([['a', 'b'], ['c']]);
  });

  test('is silent once everything ends', async () => {
    const clock = createFakeClock();
    const stop = new AbortController();
    const flushed: (readonly string[])[] = [];
    const flush = (keys: readonly string[]): void => void flushed.push(keys);
    const batch = createBatch({ delayMs: () => 100, clock, signal: stop.signal, flush });
    batch.add('a');
    stop.abort(new Error('over'));
    await settle();
    await clock.advance(200);
    expect([flushed, clock.sleepers]).toEqual([[], 0]);
  });
});

describe('work keys', () => {
  test('names may have slashes, kinds are known', () => {
    expect(parseWorkKey(formatWorkKey('pool', 'a/b'))).toEqual({ kind: 'pool', name: 'a/b' });
    expect(() => parseWorkKey('nonsense/x')).toThrow(RangeError);
  });
});

describe('forEachLimited', () => {
  test('visits everything, never more than the limit at a time, and returns failures in order', async () => {
    let running = 0;
    let most = 0;
    const failures = await forEachLimited([1, 2, 3, 4, 5, 6], 2, async (item) => {
      running++;
      most = Math.max(most, running);
      await settle();
      running--;
      if (item % 2 === 0) throw new Error(`no ${item}`);
    });
    expect(most).toBe(2);
    expect(failures.map(({ item }) => item)).toEqual([2, 4, 6]);
  });

  test('nothing to do is done', async () => {
    expect(await forEachLimited([], 4, () => Promise.reject(new Error('never')))).toEqual([]);
  });
});

describe('Metrics', () => {
  test('series are there from the start, and labels are escaped', () => {
    const metrics = new Metrics();
    metrics.declare('m_total', 'counter', 'Help.', [{ kind: 'a' }]);
    metrics.declare('g', 'gauge', 'Help.', [{}]);
    metrics.add('m_total', { kind: 'b"\\\n' }, 2);
    metrics.set('g', 1.5);
    expect(metrics.format()).toBe(
      '# HELP m_total Help.\n# TYPE m_total counter\nm_total{kind="a"} 0\nm_total{kind="b\\"\\\\\\n"} 2\n' +
        '# HELP g Help.\n# TYPE g gauge\ng 1.5\n',
    );
    metrics.clear('m_total');
    expect(metrics.format()).not.toContain('kind="a"');
    expect(() => metrics.add('other')).toThrow(RangeError);
  });
});

describe('serveHealth', () => {
  test('repeats what it is told, and why', async () => {
    let unready: string | undefined = 'the lists are not complete yet';
    const health = { broken: () => undefined, unready: () => unready, metrics: () => 'x 1\n' };
    const server = serveHealth(health, 0);
    const ask = async (path: string): Promise<[number, string]> => {
      const response = await fetch(`http://127.0.0.1:${server.port}${path}`);
      return [response.status, await response.text()];
    };
    try {
      expect(await ask('/healthz')).toEqual([200, 'ok\n']);
      expect(await ask('/readyz')).toEqual([503, 'the lists are not complete yet\n']);
      unready = undefined;
      expect(await ask('/readyz')).toEqual([200, 'ok\n']);
      expect(await ask('/metrics')).toEqual([200, 'x 1\n']);
      expect((await ask('/else'))[0]).toBe(404);
    } finally {
      await server.stop(true);
    }
  });
});

describe('observeClient', () => {
  const failing = (kind: 'unavailable' | 'forbidden'): KubeClient => {
    const error = new KubeError({ kind, status: 0, reason: 'Test', attempt: 'get', detail: '' });
    const refuse = (): Promise<never> => Promise.reject(error);
    return {
      get: refuse,
      list: refuse,
      create: refuse,
      replace: refuse,
      patch: refuse,
      delete: refuse,
      pages: () => {
        throw error;
      },
      watch: () => {
        throw error;
      },
    };
  };

  test.each([
    ['unavailable', undefined, 'failed'],
    ['forbidden', 0, 'refused'],
  ] as const)('an answer of kind %s is contact: %p', async (kind, sinceMs, result) => {
    const metrics = new Metrics();
    const clock = createFakeClock();
    const { client, contact } = observeClient(failing(kind), { clock, metrics });
    expect(client.get(NODES, { name: 'a' })).rejects.toThrow('get failed');
    await settle();
    expect(contact.sinceMs()).toBe(sinceMs);
    expect(metrics.format()).toContain(`{verb="get",result="${result}"} 1`);
  });
});
