// The rehearsal at the start of a daemon runs to its end, or to the signal, and changes nothing.
import { expect, setDefaultTimeout, test } from 'bun:test';
import { openHostNet } from '../../src/daemon/hostnet/open-host-net.ts';
import { rehearse } from '../../src/daemon/rehearsal.ts';
import { systemClock } from '../../src/shared/platform/clock.ts';
import { sharedCore } from './harness.ts';

setDefaultTimeout(20_000);

const ports = async (hostNet: Parameters<typeof rehearse>[0]['hostNet']) => ({
  core: await sharedCore(),
  hostNet,
  clock: systemClock,
});

test('hundreds of ADDs and DELs succeed, and the links of the host are the same', async () => {
  using hostNet = openHostNet();
  const before = hostNet.links().map(({ index, name }) => [index, name]);
  const rounds = await rehearse(await ports(hostNet), new AbortController().signal);
  // Only the fast back end has one.
  expect(rounds > 100).toBe(hostNet.openRehearsal !== undefined);
  expect(hostNet.links().map(({ index, name }) => [index, name])).toEqual(before);
});

test('it ends with the daemon', async () => {
  using hostNet = openHostNet();
  const abort = new AbortController();
  const rounds = rehearse(await ports(hostNet), abort.signal);
  abort.abort();
  expect(await rounds).toBeLessThan(10);
});

test('a back end without it is not rehearsed', async () => {
  const signal = new AbortController().signal;
  expect(await rehearse(await ports({}), signal)).toBe(0);
});
