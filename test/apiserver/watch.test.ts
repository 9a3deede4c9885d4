// What a watch of the embedded API server sends that a fault ends.
import { expect, test } from 'bun:test';
import { KindRegistry } from './kinds.ts';
import { Store } from './store.ts';
import { type WatchEnd, WatchHub } from './watch.ts';

/** Holds the thread, as a busy machine does. */
function hold(ms: number): void {
  const endMs = performance.now() + ms;
  while (performance.now() < endMs);
}

/** A watch whose first bookmark is due before the thread is free again. */
function startLate(breakAfter: { events: number; how: WatchEnd } | undefined): Response {
  const kind = new KindRegistry().all().find(({ plural }) => plural === 'nodes');
  if (kind === undefined) throw new Error('nodes are served');
  const body = new WatchHub(new Store(10), 1).start({
    kind,
    matches: () => true,
    resourceVersion: '',
    wantsBookmarks: true,
    wantsState: false,
    timeoutMs: 1,
    ...(breakAfter === undefined ? {} : { breakAfter }),
  });
  hold(20);
  return new Response(body);
}

test.each([
  ['that a fault ends at once sends none', { events: 0, how: 'end' }, false],
  ['that comes to its own end does', undefined, true],
] as const)('bookmarks: a watch %s', async (_title, breakAfter, hasBookmarks) => {
  await using server = Bun.serve({ port: 0, fetch: () => startLate(breakAfter) });
  const text = await (await fetch(server.url)).text();
  expect(text.includes('BOOKMARK')).toBe(hasBookmarks);
});
