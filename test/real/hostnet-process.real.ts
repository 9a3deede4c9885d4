// What using the kernel over bun:ffi does to the process: it never stays in a pod's namespace, it
// leaks no descriptors, it notices lost notifications, and its HTTP client keeps working.
import { expect, test } from 'bun:test';
import { readdirSync, readlinkSync } from 'node:fs';
import type { HostNetEvent, HostRoute, PodLinkRequest } from '../../src/daemon/hostnet/host-net.ts';
import { warmHttpThread } from '../../src/daemon/hostnet/netns-file.ts';
import { openHostNet } from '../../src/daemon/hostnet/open-host-net.ts';
import { eventually } from '../helpers/eventually.ts';
import { netnsObstacle } from '../helpers/netns.ts';
import { requirement } from '../helpers/requirement.ts';
import { createKernelLab } from '../hostnet/kernel-lab.ts';
import { type HostNetLab, nicIndex } from '../hostnet/lab.ts';

const createLab = (): HostNetLab => createKernelLab((netnsPath) => openHostNet({ netnsPath }));

/** Where this thread is and how many files the process has open. */
const footprint = (): { namespace: string; descriptors: number } => ({
  namespace: readlinkSync('/proc/thread-self/ns/net'),
  descriptors: readdirSync('/proc/self/fd').length,
});

/** Fewer descriptors are fine: what the runtime closes late may belong to earlier tests. */
function expectKept(before: ReturnType<typeof footprint>): void {
  const after = footprint();
  expect(after.namespace).toBe(before.namespace);
  expect(after.descriptors).toBeLessThanOrEqual(before.descriptors);
}

if (requirement('hostnet: the process', netnsObstacle())) {
  test('opening namespaces leaves the thread at home and no descriptor behind', () => {
    using lab = createLab();
    const path = lab.addNetns('pod');
    const before = footprint();
    for (let round = 0; round < 300; round += 1) {
      using pod = lab.hostNet.openNetns(path);
      expect(pod.links()).toEqual([]);
      for (const bad of ['/no/such/path', lab.ordinaryPath, lab.hostPath]) {
        expect(() => lab.hostNet.openNetns(bad)).toThrow();
      }
    }
    expectKept(before);
  });

  test('making links, and failing to, leaves nothing behind', () => {
    using lab = createLab();
    lab.addNic({ name: 'rail0' });
    const path = lab.addNetns('pod');
    const request: PodLinkRequest = {
      name: 'net1-0',
      parentIndex: nicIndex(lab, 'rail0'),
      link: { kind: 'macvlan', mode: 'bridge' },
      mtu: 0,
      group: 9,
      addresses: [{ family: 4, address: '192.168.0.5', prefix: 24 }],
      routes: [],
    };
    const bad = {
      ...request,
      name: 'net1-1',
      routes: [{ destination: '10.0.0.0/8', via: '1.2.3.4' }],
    };
    const before = footprint();
    for (let round = 0; round < 10; round += 1) {
      using pod = lab.hostNet.openNetns(path);
      expect(() => pod.createLinks([request, bad])).toThrow();
      expect(pod.createLinks([request]).created).toHaveLength(1);
      expect(pod.deleteLinks({ group: 9, names: [] })).toEqual({ deleted: 1 });
    }
    expectKept(before);
  });

  test('watching tells that everything may have changed when notifications were lost', async () => {
    using lab = createLab();
    lab.addNic({ name: 'rail0', addresses: ['10.0.0.1/24'] });
    const abort = new AbortController();
    const { promise, resolve } = Promise.withResolvers<HostNetEvent>();
    const watching = lab.hostNet.watch((what) => {
      // No link changes here, so this can only mean that the kernel dropped notifications.
      if (what === 'link') resolve(what);
    }, abort.signal);
    const interfaceIndex = nicIndex(lab, 'rail0');
    const add = Array.from({ length: 5000 }, (_, n): HostRoute => {
      const destination = `172.16.${n >> 6}.${(n & 63) * 4}/30`;
      return { destination, via: '10.0.0.2', interfaceIndex, table: 254, protocol: 77 };
    });
    expect(lab.hostNet.changeRoutes({ add, remove: [] })).toEqual({ failed: [] });
    expect(await promise).toBe('link');
    abort.abort();
    await watching;
  });

  test('watching twenty times keeps no descriptor per time', async () => {
    using lab = createLab();
    const before = footprint();
    for (let round = 0; round < 20; round += 1) {
      const abort = new AbortController();
      const watching = lab.hostNet.watch(() => undefined, abort.signal);
      abort.abort();
      await watching;
    }
    // A stream gives its own descriptor back a moment after it ended.
    await eventually('few descriptors are left', () => {
      const { namespace, descriptors } = footprint();
      return namespace === before.namespace && descriptors < before.descriptors + 5;
    });
  });

  test('the HTTP client stays in the host’s namespace', async () => {
    await warmHttpThread();
    using lab = createLab();
    // An abstract socket belongs to a network namespace, and needs no loopback that is up.
    const unix = `\0mnh-${crypto.randomUUID()}`;
    await using _server = Bun.serve({ unix, fetch: () => new Response('here') });
    const path = lab.addNetns('pod');
    for (let round = 0; round < 20; round += 1) {
      using pod = lab.hostNet.openNetns(path);
      expect(pod.links()).toEqual([]);
      expect(await (await fetch('http://localhost/', { unix })).text()).toBe('here');
    }
  });
}
