// A node whose name is longer than a label may be (W-90).
import { expect, setDefaultTimeout, test } from 'bun:test';
import { toHostLabel } from '../../src/daemon/cluster/host-label.ts';
import { eventually } from '../helpers/eventually.ts';
import { hostObject, networkObject } from './cluster.ts';
import { cniRequest, createFakeHost, send, startHarness } from './harness.ts';

setDefaultTimeout(120_000);

const LONG = `ip-10-0-0-1.${'a-long-zone.'.repeat(6)}internal`;
const LABEL = /^[a-z0-9][-a-z0-9.]{0,61}[a-z0-9]$/;

test('a label is valid, the same each time, and different for each node', () => {
  expect(LONG.length).toBeGreaterThan(63);
  expect(toHostLabel(LONG)).toMatch(LABEL);
  expect(toHostLabel(LONG)).toBe(toHostLabel(LONG));
  expect(toHostLabel(LONG)).not.toBe(toHostLabel(`${LONG}2`));
  expect(toHostLabel('node-1')).toBe('node-1');
  expect(toHostLabel('n'.repeat(63))).toBe('n'.repeat(63));
});

test('such a node serves pods, publishes its pools and finds them again', async () => {
  const hostNet = createFakeHost();
  hostNet.addNetns('/run/netns/c1');
  const objects = [networkObject(), hostObject({ name: LONG, hostIndex: 0 })];
  await using h = await startHarness({ hostNet, objects, env: { K8S_NODENAME: LONG } });
  expect((await send(h.socket, cniRequest('ADD'))).status).toBe(200);
  const name = 'net-192.168.0.0-24';
  const pool = await eventually('the pool', () => h.api.object('ippools', name));
  expect(pool).toMatchObject({
    metadata: { labels: { hostname: toHostLabel(LONG) } },
    spec: { hostName: LONG },
  });
  await eventually('it is seen', () => h.daemon.parts.view.publishedPools().has(name));
});
