// Events on pods whose ADD was refused: what they say, and that no ADD waits for them.
import { describe, expect, setDefaultTimeout, test } from 'bun:test';
import { EVENTS } from '../../src/shared/platform/kube/resource.ts';
import { cniRequest, createFakeHost, type Harness, send, startHarness } from './harness.ts';

setDefaultTimeout(120_000);

async function start(): Promise<Harness> {
  const hostNet = createFakeHost();
  for (const name of ['c1', 'c2']) hostNet.addNetns(`/run/netns/${name}`);
  return await startHarness({ hostNet });
}

const refused = (container: string) => cniRequest('ADD', { container, network: 'nowhere' });

describe('a refused ADD', () => {
  test('is an event on the pod that names network, interface, kind and reason', async () => {
    await using h = await start();
    expect((await send(h.socket, refused('c1'))).status).toBe(404);
    await h.daemon.parts.events.idle();
    const { items } = await h.client.list(EVENTS, { namespace: 'default' });
    expect(items).toHaveLength(1);
    expect(items[0]).toMatchObject({
      involvedObject: { kind: 'Pod', namespace: 'default', name: 'c1', uid: 'uid-c1' },
      type: 'Warning',
      reason: 'NetworkNotAttached',
      source: { component: 'multi-nicd', host: 'n1' },
    });
    const { message } = items[0] ?? {};
    for (const part of ['net1', 'network nowhere', 'network-unknown', 'there is no']) {
      expect(message).toContain(part);
    }
  });

  test('that the runtime repeats is one event, another pod has its own', async () => {
    await using h = await start();
    for (const container of ['c1', 'c1', 'c2', 'c1']) await send(h.socket, refused(container));
    await h.daemon.parts.events.idle();
    expect(h.daemon.parts.events.counts).toEqual({ written: 2, repeated: 2, dropped: 0 });
    const metrics = await (await fetch(`${h.url}/metrics`)).text();
    expect(metrics).toContain('multi_nic_events_total{outcome="written"} 2');
  });

  test('does not wait for an API server that does not answer', async () => {
    await using h = await start();
    h.api.faults.add({ action: 'hang', match: { plural: 'events' } });
    for (const container of ['c1', 'c2']) {
      expect((await send(h.socket, refused(container))).status).toBe(404);
    }
    const served = await send(h.socket, cniRequest('ADD', { container: 'c1' }));
    expect(served.status).toBe(200);
    expect(h.daemon.parts.events.counts.written).toBe(0);
  });

  test('of no known pod, and what is served, has none', async () => {
    await using h = await start();
    await send(h.socket, cniRequest('ADD', { container: 'c1', network: 'nowhere', args: '' }));
    await send(h.socket, cniRequest('ADD', { container: 'c2' }));
    await h.daemon.parts.events.idle();
    expect(h.daemon.parts.events.counts).toEqual({ written: 0, repeated: 0, dropped: 0 });
  });
});
