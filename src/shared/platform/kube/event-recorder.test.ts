// What becomes of events: written, left out, dropped; and that nobody waits for them.
import { describe, expect, test } from 'bun:test';
import { startApiServer } from '../../../../test/apiserver/server.ts';
import { createFakeClock, type FakeClock } from '../../../../test/helpers/fake-clock.ts';
import { systemClock } from '../clock.ts';
import { createLogger } from '../log.ts';
import { createKubeClient } from './client.ts';
import { type EventNote, EventRecorder } from './event-recorder.ts';
import { EVENTS } from './resource.ts';

const log = createLogger({ component: 'test', level: 'debug', write: () => undefined });
const note = (change: Partial<EventNote> = {}): EventNote => ({
  about: { apiVersion: 'v1', kind: 'Pod', name: 'web', namespace: 'default', uid: 'u1' },
  type: 'Warning',
  reason: 'Test',
  message: 'a test',
  ...change,
});

async function start(o: { clock?: FakeClock } = {}) {
  const server = await startApiServer({ crds: [] });
  const client = createKubeClient({ server: server.url });
  const stopper = new AbortController();
  const recorder = new EventRecorder({
    client,
    log,
    clock: o.clock ?? systemClock,
    source: { component: 'test', host: 'n1' },
    signal: stopper.signal,
  });
  return {
    server,
    recorder,
    stop: () => stopper.abort(new Error('stopped by the test')),
    events: async () => (await client.list(EVENTS, { namespace: 'default' })).items,
    async [Symbol.asyncDispose]() {
      stopper.abort(new Error('the test is over'));
      await server.close();
    },
  };
}

describe('an event', () => {
  test('is written with subject, source, time and count', async () => {
    await using world = await start();
    world.recorder.record(note());
    await world.recorder.idle();
    const [event, ...others] = await world.events();
    expect(others).toEqual([]);
    expect(event).toMatchObject({
      involvedObject: { kind: 'Pod', name: 'web', namespace: 'default', uid: 'u1' },
      type: 'Warning',
      reason: 'Test',
      message: 'a test',
      source: { component: 'test', host: 'n1' },
      count: 1,
    });
    expect(String(event?.lastTimestamp)).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    expect(world.recorder.counts).toEqual({ written: 1, repeated: 0, dropped: 0 });
  });

  test('about an object without namespace is in default, long texts are cut', async () => {
    await using world = await start();
    const about = { apiVersion: 'g/v1', kind: 'Thing', name: 'x'.repeat(253), uid: '' };
    world.recorder.record(note({ about, message: 'm'.repeat(5_000) }));
    await world.recorder.idle();
    const [event] = await world.events();
    expect(event?.involvedObject).toEqual({ apiVersion: 'g/v1', kind: 'Thing', name: about.name });
    expect(event?.metadata?.name?.length).toBe(253);
    expect(event?.message?.length).toBe(1_024);
  });

  test('with the same key comes again after some minutes only', async () => {
    const clock = createFakeClock();
    await using world = await start({ clock });
    const repeat = async (key: string): Promise<void> => {
      world.recorder.record(note({ key }));
      await clock.advance(1_000);
      await world.recorder.idle();
    };
    await repeat('a');
    await repeat('a');
    await repeat('b');
    expect(world.recorder.counts).toEqual({ written: 2, repeated: 1, dropped: 0 });
    await clock.advance(300_000);
    await repeat('a');
    expect(world.recorder.counts.written).toBe(3);
  });

  test('is dropped and counted where there is no room, and when all ends', async () => {
    await using world = await start({ clock: createFakeClock() });
    for (let i = 0; i < 100; i += 1) world.recorder.record(note());
    expect(world.recorder.counts.dropped).toBe(36);
    world.stop();
    await world.recorder.idle();
    world.recorder.record(note());
    expect(world.recorder.counts).toEqual({ written: 0, repeated: 0, dropped: 101 });
  });

  test('is dropped while the API server refuses it, and the next one is tried', async () => {
    await using world = await start();
    const match = { plural: 'events' };
    const fault = world.server.faults.add({ action: 'status', code: 403, match });
    world.recorder.record(note());
    await world.recorder.idle();
    fault[Symbol.dispose]();
    world.recorder.record(note());
    await world.recorder.idle();
    expect(world.recorder.counts).toEqual({ written: 1, repeated: 0, dropped: 1 });
  });
});
