// The contract of HostNet: one suite for every implementation. The parts about routes of the
// host, namespaces, and links in pods are in files of their own.
import { describe, expect, test } from 'bun:test';
import type { HostNetEvent, SlaveKind } from '../../src/daemon/hostnet/host-net.ts';
import { ROUTE_PROTOCOL } from '../../src/shared/model/names.ts';
import { describeLinkContract } from './contract-links.ts';
import { describePodRouteContract } from './contract-pod-routes.ts';
import { describeRouteContract } from './contract-routes.ts';
import { type HostNetLab, nicIndex } from './lab.ts';

/** Registers the whole suite for one implementation. `kinds` are what its kernel can make. */
export function describeHostNetContract(o: {
  name: string;
  kinds: readonly SlaveKind[];
  createLab: () => HostNetLab;
}): void {
  describe(`HostNet contract: ${o.name}`, () => {
    describeHostLinks(o.createLab);
    describeNamespaces(o.createLab);
    describeWatch(o.createLab);
    describeRouteContract(o.createLab);
    for (const kind of o.kinds) describeLinkContract(kind, o.createLab);
    const [kind] = o.kinds;
    if (kind !== undefined) describePodRouteContract(kind, o.createLab);
  });
}

function describeHostLinks(createLab: () => HostNetLab): void {
  describe('links of the host', () => {
    test('are listed by index with MTU, state and addresses', () => {
      using lab = createLab();
      lab.addNic({ name: 'rail1', mtu: 1450, addresses: ['10.0.1.1/24', '10.9.1.1/16'] });
      lab.addNic({ name: 'rail0', addresses: ['10.0.0.1/24', 'fd00:10::1/64'] });
      const links = lab.hostNet.links().filter((link) => link.name.startsWith('rail'));
      expect(links.map((link) => link.name)).toEqual(['rail1', 'rail0']);
      expect(links[0]).toMatchObject({ mtu: 1450, up: true, loopback: false, parentIndex: 0 });
      expect(links[0]?.mac).toMatch(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/);
      const global = links.map((link) => link.addresses.filter((a) => a.scope === 'global'));
      expect(global).toEqual([
        [
          { family: 4, address: '10.0.1.1', prefix: 24, scope: 'global' },
          { family: 4, address: '10.9.1.1', prefix: 16, scope: 'global' },
        ],
        [
          { family: 4, address: '10.0.0.1', prefix: 24, scope: 'global' },
          { family: 6, address: 'fd00:10::1', prefix: 64, scope: 'global' },
        ],
      ]);
    });

    test('are down when set down and absent when unplugged', () => {
      using lab = createLab();
      lab.addNic({ name: 'rail0' });
      lab.addNic({ name: 'rail1' });
      lab.setNicDown('rail0');
      lab.removeNic('rail1');
      const links = lab.hostNet.links();
      expect(links.find((link) => link.name === 'rail0')).toMatchObject({ up: false });
      expect(links.find((link) => link.name === 'rail1')).toBeUndefined();
    });

    test('with default routes are named with family and metric', () => {
      using lab = createLab();
      lab.addNic({ name: 'rail0', addresses: ['10.0.0.1/24', 'fd00:10::1/64'] });
      expect(lab.hostNet.defaultRoutes()).toEqual([]);
      lab.addDefaultRoute({ via: '10.0.0.254', interfaceName: 'rail0', metric: 50 });
      lab.addDefaultRoute({ via: 'fd00:10::2', interfaceName: 'rail0', metric: 70 });
      const interfaceIndex = nicIndex(lab, 'rail0');
      expect(lab.hostNet.defaultRoutes()).toEqual([
        { family: 4, interfaceIndex, metric: 50 },
        { family: 6, interfaceIndex, metric: 70 },
      ]);
    });
  });
}

function describeNamespaces(createLab: () => HostNetLab): void {
  describe('namespaces', () => {
    test('have one identity whatever path leads to them', () => {
      using lab = createLab();
      const [a, b] = [lab.addNetns('a'), lab.addNetns('b')];
      using first = lab.hostNet.openNetns(a);
      using again = lab.hostNet.openNetns(a);
      using other = lab.hostNet.openNetns(b);
      expect(again.id).toBe(first.id);
      expect(other.id).not.toBe(first.id);
    });

    test('that are gone are told from paths that are no namespace', () => {
      using lab = createLab();
      const gone = lab.addNetns('gone');
      lab.removeNetns(gone);
      const open = (path: string) => () => lab.hostNet.openNetns(path);
      expect(open(gone)).toThrow(expect.objectContaining({ kind: 'netns-gone' }));
      expect(open('/no/such/folder/netns')).toThrow(
        expect.objectContaining({ kind: 'netns-gone' }),
      );
      expect(open(lab.ordinaryPath)).toThrow(expect.objectContaining({ kind: 'netns-invalid' }));
      expect(open(lab.hostPath)).toThrow(expect.objectContaining({ kind: 'netns-invalid' }));
    });

    test('stay usable through an open handle when their path is removed', () => {
      using lab = createLab();
      const path = lab.addNetns('pod');
      lab.addPodLink(path, 'eth0');
      using handle = lab.hostNet.openNetns(path);
      lab.removeNetns(path);
      expect(handle.links().map((link) => link.name)).toEqual(['eth0']);
    });

    test('refuse work after their handle was disposed', () => {
      using lab = createLab();
      const handle = lab.hostNet.openNetns(lab.addNetns('pod'));
      handle[Symbol.dispose]();
      handle[Symbol.dispose]();
      expect(() => handle.links()).toThrow('disposed');
    });
  });
}

function describeWatch(createLab: () => HostNetLab): void {
  describe('watch', () => {
    test('reports changed links, addresses and routes until aborted', async () => {
      using lab = createLab();
      lab.addNic({ name: 'rail0', addresses: ['10.0.0.1/24'] });
      const seen = new Set<HostNetEvent>();
      let wake = (): void => undefined;
      const abort = new AbortController();
      const watching = lab.hostNet.watch((what) => {
        seen.add(what);
        wake();
      }, abort.signal);
      const until = async (what: HostNetEvent): Promise<void> => {
        while (!seen.has(what)) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
        seen.clear();
      };
      lab.addNic({ name: 'rail1' });
      await until('link');
      lab.addNicAddress('rail1', '10.0.1.1/24');
      await until('address');
      const route = { destination: '10.50.0.0/16', via: '10.0.0.9', interfaceName: 'rail0' };
      lab.addForeignRoute(route);
      await until('route');
      abort.abort();
      await watching;
    });

    test('does not report the routes that the kernel keeps for other addresses', async () => {
      using lab = createLab();
      lab.addNic({ name: 'rail0' });
      await using watch = await startWatch(lab);
      lab.addNicAddress('rail0', 'fd00:10::1/64');
      await watch.until('address');
      lab.addNicAddress('rail0', '10.0.0.1/32');
      await watch.until('address');
      lab.addNic({ name: 'rail2' });
      await watch.until('link');
      expect(watch.all).not.toContain('route');
    });

    test('reports routes when a NIC or its address was gone for a moment', async () => {
      using lab = createLab();
      lab.addNic({ name: 'rail0', addresses: ['10.0.0.1/24'] });
      await using watch = await startWatch(lab);
      const route = {
        destination: '10.50.0.0/16',
        via: '10.0.0.9',
        interfaceIndex: nicIndex(lab, 'rail0'),
        table: 254,
        protocol: ROUTE_PROTOCOL,
      };
      for (const flap of [lab.flapNic, lab.flapNicAddresses]) {
        expect(lab.hostNet.changeRoutes({ add: [route], remove: [] }).failed).toEqual([]);
        await watch.until('route');
        flap('rail0');
        expect(lab.hostNet.routes({ protocol: ROUTE_PROTOCOL })).toEqual([]);
        await watch.until('route');
      }
    });

    test('ends at once when it is aborted already', async () => {
      using lab = createLab();
      const events: HostNetEvent[] = [];
      await lab.hostNet.watch((what) => void events.push(what), AbortSignal.abort());
      expect(events).toEqual([]);
    });
  });
}

/** A watch that has begun; what it reports at its beginning is left out. */
async function startWatch(lab: HostNetLab) {
  const all: HostNetEvent[] = [];
  let seen: HostNetEvent[] = [];
  let wake = (): void => undefined;
  const abort = new AbortController();
  const watching = lab.hostNet.watch((what) => {
    all.push(what);
    seen.push(what);
    wake();
  }, abort.signal);
  /** Resolves when it was reported since the last call. */
  const until = async (what: HostNetEvent): Promise<void> => {
    while (!seen.includes(what)) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    seen = [];
  };
  lab.addNic({ name: 'probe' });
  await until('link');
  all.length = 0;
  return {
    all,
    until,
    [Symbol.asyncDispose]: async () => {
      abort.abort();
      await watching;
    },
  };
}
