// The counts that `kubectl get ippools` shows: published with the pool, less often, and right in
// the end.
import { expect, setDefaultTimeout, test } from 'bun:test';
import { eventually } from '../helpers/eventually.ts';
import { cniRequest, createFakeHost, send, startHarness } from './harness.ts';

setDefaultTimeout(120_000);

const NAME = 'net-192.168.0.0-24';

test('used and free follow what pods hold', async () => {
  const hostNet = createFakeHost();
  for (const pod of ['a', 'b']) hostNet.addNetns(`/run/netns/${pod}`);
  await using h = await startHarness({ hostNet });
  const until = (what: string, occupied: number) =>
    eventually(what, () => {
      const status = h.api.object('ippools', NAME)?.status;
      return Bun.deepEquals(status, { usable: 254, occupied, free: 254 - occupied });
    });
  await until('an empty pool', 0);
  for (const container of ['a', 'b']) await send(h.socket, cniRequest('ADD', { container }));
  await until('two pods', 2);
  await send(h.socket, cniRequest('DEL', { container: 'a' }));
  await until('one pod', 1);
});

test('many changes are few writes of the status', async () => {
  const hostNet = createFakeHost();
  const containers = Array.from({ length: 20 }, (_, i) => `c${i}`);
  for (const container of containers) hostNet.addNetns(`/run/netns/${container}`);
  const env = { MULTI_NIC_PUBLISH_INTERVAL_MS: '20' };
  const startMs = performance.now();
  await using h = await startHarness({ hostNet, env });
  for (const container of containers) await send(h.socket, cniRequest('ADD', { container }));
  await eventually('counted', () => {
    return Bun.deepEquals(h.api.object('ippools', NAME)?.status, {
      usable: 254,
      occupied: 20,
      free: 234,
    });
  });
  const isStatus = ({ method, name, subresource }: (typeof h.api.seen)[number]): boolean =>
    method === 'PATCH' && name === NAME && subresource === 'status';
  // At once, and again after ten intervals of the pool at the least.
  const spans = Math.ceil((performance.now() - startMs) / 200);
  expect(h.api.seen.filter(isStatus).length).toBeLessThanOrEqual(1 + spans);
});
