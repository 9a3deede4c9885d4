// DEL through the socket: it releases exactly what is named, in any order and any number of times.
import { describe, expect, setDefaultTimeout, test } from 'bun:test';
import { expectClean, kindOf, linkNames, setUp } from './attach-scene.ts';
import { addressesIn, cniRequest, send } from './harness.ts';

setDefaultTimeout(120_000);

describe('DEL', () => {
  test('removes links, frees nothing at once, and can be repeated', async () => {
    const { hostNet, h } = await setUp();
    await using _ = h;
    await send(h.socket, cniRequest('ADD'));
    for (let time = 0; time < 3; time += 1) {
      expect((await send(h.socket, cniRequest('DEL'))).status).toBe(200);
    }
    expect(linkNames(hostNet)).toEqual([]);
    expectClean(h);
    expect(h.daemon.parts.journal.quarantined()).toHaveLength(4);
    expect(addressesIn(await send(h.socket, cniRequest('ADD')))[0]).toBe('192.168.0.2');
  });

  test('before ADD succeeds', async () => {
    const { h } = await setUp();
    await using _ = h;
    expect((await send(h.socket, cniRequest('DEL'))).status).toBe(200);
  });

  test('without a namespace, with a stale path, and with that of another pod', async () => {
    const { hostNet, h } = await setUp({ pods: ['a', 'b', 'c', 'd'] });
    await using _ = h;
    for (const container of ['a', 'b', 'c', 'd']) {
      await send(h.socket, cniRequest('ADD', { container }));
    }
    await send(h.socket, cniRequest('DEL', { container: 'a', netns: '' }));
    expect(linkNames(hostNet, '/run/netns/a')).toEqual([]);
    hostNet.removeNetns('/run/netns/b');
    await send(h.socket, cniRequest('DEL', { container: 'b', netns: '' }));
    hostNet.removeNetns('/run/netns/c');
    await send(h.socket, cniRequest('DEL', { container: 'c', netns: '/run/netns/d' }));
    expect(linkNames(hostNet, '/run/netns/d')).toHaveLength(4);
    expect(h.daemon.parts.journal.list().map((row) => row.containerId)).toEqual(['d']);
  });

  test('of one interface leaves the other of the same pod', async () => {
    const { hostNet, h } = await setUp();
    await using _ = h;
    await send(h.socket, cniRequest('ADD'));
    await send(h.socket, cniRequest('ADD', { ifName: 'net2' }));
    await send(h.socket, cniRequest('DEL'));
    expect(linkNames(hostNet)).toEqual([0, 1, 2, 3].map((i) => `net2-${i}`));
    expect(h.daemon.parts.journal.held()).toHaveLength(4);
  });

  test('of an old sandbox does not touch the new one of the same pod', async () => {
    const { h } = await setUp({ pods: ['old', 'new'] });
    await using _ = h;
    const args = 'K8S_POD_NAMESPACE=default;K8S_POD_NAME=job-0;K8S_POD_UID=u';
    await send(h.socket, cniRequest('ADD', { container: 'old', args }));
    await send(h.socket, cniRequest('ADD', { container: 'new', args }));
    await send(h.socket, cniRequest('DEL', { container: 'old', args }));
    await send(h.socket, cniRequest('DEL', { container: 'old', args }));
    expect(h.daemon.parts.journal.list().map((row) => row.containerId)).toEqual(['new']);
  });

  test('whose links cannot be removed fails, holds the addresses, and is finished later', async () => {
    const { hostNet, h } = await setUp();
    await using _ = h;
    await send(h.socket, cniRequest('ADD'));
    const original = hostNet.openNetns.bind(hostNet);
    hostNet.openNetns = () => {
      throw new Error('boom');
    };
    expect((await send(h.socket, cniRequest('DEL'))).status).toBe(500);
    expect(h.daemon.parts.journal.list().map((row) => row.state)).toEqual(['releasing']);
    expect(h.daemon.parts.journal.held()).toHaveLength(4);
    hostNet.openNetns = original;
    // An ADD of the same attachment waits for it.
    expect(kindOf(await send(h.socket, cniRequest('ADD')))).toBe('conflict');
    expect((await send(h.socket, cniRequest('DEL'))).status).toBe(200);
    expectClean(h);
  });

  test('with a configuration that became invalid still works', async () => {
    const { h } = await setUp();
    await using _ = h;
    await send(h.socket, cniRequest('ADD'));
    const config = { plugin: 5, ipam: 'x', masterNets: 7 };
    expect((await send(h.socket, cniRequest('DEL', { config }))).status).toBe(200);
    expectClean(h);
  });
});
