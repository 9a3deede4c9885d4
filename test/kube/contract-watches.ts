// Contract of an API server, part 6: watches: order, start versions, selectors, bookmarks, and the
// end of history.
import { describe, expect, test } from 'bun:test';
import type {
  KubeClient,
  WatchEvent,
  WatchOptions,
} from '../../src/shared/platform/kube/client.ts';
import { isKubeError } from '../../src/shared/platform/kube/errors.ts';
import {
  CONFIG_MAPS,
  defineResource,
  type NamedObject,
  parseNamed,
  type Resource,
} from '../../src/shared/platform/kube/resource.ts';
import { eventually } from '../helpers/eventually.ts';
import { type Bench, rejectionOf, WIDGETS } from './under-test.ts';

const maps: Resource<NamedObject> = { ...CONFIG_MAPS, parse: parseNamed };

/** A watch whose events pile up in a list. */
interface Tape extends AsyncDisposable {
  readonly events: WatchEvent<NamedObject>[];
  /** `TYPE name` of each event, bookmarks left out. */
  readonly lines: string[];
  /** What ended it, when something has. */
  readonly error: unknown;
}

function record(
  client: KubeClient,
  resource: Resource<NamedObject>,
  o: Omit<WatchOptions, 'signal'>,
): Tape {
  const stop = new AbortController();
  const tape: { events: WatchEvent<NamedObject>[]; lines: string[]; error: unknown } = {
    events: [],
    lines: [],
    error: undefined,
  };
  const run = async (): Promise<void> => {
    for await (const event of client.watch(resource, { ...o, signal: stop.signal })) {
      tape.events.push(event);
      if (event.type !== 'BOOKMARK') tape.lines.push(`${event.type} ${event.object.metadata.name}`);
    }
  };
  const ended = run().catch((error) => {
    tape.error = error;
  });
  return Object.assign(tape, {
    async [Symbol.asyncDispose]() {
      stop.abort(new Error('the test is over'));
      await ended;
    },
  });
}

export function describeWatches(bench: Bench): void {
  describe('watches', () => {
    const change = async (name: string, data: Record<string, string>): Promise<void> => {
      const key = { name, namespace: bench.namespace };
      await bench.client.patch(maps, key, { type: 'merge', body: { data } });
    };

    test('deliver every change after the given version, in order', async () => {
      const { client, namespace } = bench;
      const name = bench.unique('watch');
      const before = await client.create(maps, { metadata: { name: `${name}-old`, namespace } });
      const resourceVersion = before.metadata.resourceVersion ?? '';
      await client.create(maps, { metadata: { name, namespace } });
      await change(name, { a: '1' });
      await using tape = record(client, maps, { namespace, resourceVersion });
      await eventually('what was before the watch', () => tape.lines.length >= 2);
      await change(name, { a: '2' });
      await client.delete(maps, { name, namespace });
      await eventually('all events', () => tape.lines.length >= 4);
      expect(tape.lines).toEqual([
        `ADDED ${name}`,
        `MODIFIED ${name}`,
        `MODIFIED ${name}`,
        `DELETED ${name}`,
      ]);
      const versions = tape.events.map((event) => event.resourceVersion);
      expect(new Set(versions).size).toBe(4);
    });

    test('continue without gap or repetition from the version of any event', async () => {
      const { client, namespace } = bench;
      const name = bench.unique('watch');
      const made = await client.create(maps, { metadata: { name, namespace } });
      for (const a of ['1', '2', '3']) await change(name, { a });
      const resourceVersion = made.metadata.resourceVersion ?? '';
      let second = '';
      {
        await using tape = record(client, maps, { namespace, resourceVersion });
        await eventually('three events', () => tape.lines.length === 3);
        second = tape.events[1]?.resourceVersion ?? '';
      }
      await using rest = record(client, maps, { namespace, resourceVersion: second });
      await eventually('the last event', () => rest.lines.length === 1);
      const [last] = rest.events;
      expect(last?.type === 'MODIFIED' && last.object.data).toEqual({ a: '3' });
    });

    test('with a selector see objects come into it and leave it', async () => {
      const { client, namespace } = bench;
      const name = bench.unique('watch');
      const { resourceVersion } = await client.list(maps, { namespace });
      const labelSelector = `watch=${name}`;
      await using tape = record(client, maps, { namespace, labelSelector, resourceVersion });
      const label = async (value: string | null): Promise<void> => {
        const body = { metadata: { labels: { watch: value } } };
        await client.patch(maps, { name, namespace }, { type: 'merge', body });
      };
      await client.create(maps, { metadata: { name, namespace } });
      await label(name);
      await change(name, { a: '1' });
      await label(null);
      await change(name, { a: '2' });
      await label(name);
      await client.delete(maps, { name, namespace });
      await eventually('the last event', () => tape.lines.length >= 5);
      expect(tape.lines.map((line) => line.split(' ')[0])).toEqual([
        'ADDED',
        'MODIFIED',
        'DELETED',
        'ADDED',
        'DELETED',
      ]);
      // It left the selection as it was in it, at the version at which it left.
      const [, modified, left] = tape.events.filter(({ type }) => type !== 'BOOKMARK');
      expect(left).toMatchObject({ object: { metadata: { labels: { watch: name } } } });
      expect(left?.resourceVersion).not.toBe(modified?.resourceVersion);
    });

    test('from something that is no version fail', async () => {
      await using tape = record(bench.client, maps, {
        namespace: bench.namespace,
        resourceVersion: 'x',
      });
      await eventually('the end', () => tape.error !== undefined);
      expect(tape.error).toMatchObject({ kind: 'unavailable', status: 500 });
    });

    test('with a field selector follow one object', async () => {
      const { client } = bench;
      const name = bench.unique('watch');
      const { resourceVersion } = await client.list(WIDGETS);
      const fieldSelector = `metadata.name=${name}`;
      await using tape = record(client, WIDGETS, { fieldSelector, resourceVersion });
      const spec = { size: 1 };
      await client.create(WIDGETS, { metadata: { name: `${name}-other` }, spec });
      await client.create(WIDGETS, { metadata: { name }, spec });
      await eventually('the event', () => tape.lines.length >= 1);
      expect(tape.lines).toEqual([`ADDED ${name}`]);
    });

    test('from a version that is forgotten end with gone', async () => {
      const { client, namespace, server } = bench;
      await client.create(maps, { metadata: { name: bench.unique('old'), namespace } });
      await server.forgetHistory();
      await using tape = record(client, maps, { namespace, resourceVersion: '1' });
      await eventually('the end', () => tape.error !== undefined);
      expect(isKubeError(tape.error, 'gone')).toBe(true);
    });

    test('end with the reason of the signal when they are aborted', async () => {
      const { client, namespace } = bench;
      const { resourceVersion } = await client.list(maps, { namespace });
      const stop = new AbortController();
      const watch = client.watch(maps, { namespace, resourceVersion, signal: stop.signal });
      const next = watch.next();
      const reason = new Error('enough');
      setImmediate(() => stop.abort(reason));
      expect(await rejectionOf(next)).toBe(reason);
    });

    test('of a kind that is not served fail', async () => {
      const unknown = defineResource({
        group: 'contract.test',
        version: 'v1',
        plural: 'nothings',
        kind: 'Nothing',
        namespaced: false,
      });
      await using tape = record(bench.client, unknown, { resourceVersion: '1' });
      await eventually('the end', () => tape.error !== undefined);
      expect(isKubeError(tape.error, 'not-found')).toBe(true);
    });

    test('break when the server goes away', async () => {
      const { client, namespace, server } = bench;
      const { resourceVersion } = await client.list(maps, { namespace });
      await using tape = record(client, maps, { namespace, resourceVersion });
      await client.create(maps, { metadata: { name: bench.unique('here'), namespace } });
      await eventually('it works', () => tape.lines.length === 1);
      await server.stop();
      await eventually('the end', () => tape.error !== undefined);
      const down = await rejectionOf(client.list(maps, { namespace, timeoutMs: 60_000 }));
      await server.start();
      expect(isKubeError(tape.error, 'unavailable')).toBe(true);
      expect(isKubeError(down, 'unavailable')).toBe(true);
    });
  });
}
