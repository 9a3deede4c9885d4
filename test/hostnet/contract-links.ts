// The contract of NetnsHandle about links: made all or none, removed by group, others' untouched.
import { describe, expect, test } from 'bun:test';
import type { PodLinkRequest, SlaveKind } from '../../src/daemon/hostnet/host-net.ts';
import { type HostNetLab, nicIndex } from './lab.ts';

const GROUP = 0x4d00_0001;

/** Registers the link part of the suite for one kind of link. */
export function describeLinkContract(link: SlaveKind, createLab: () => HostNetLab): void {
  const isShared = link.mode !== 'passthru';
  /** Three NICs and a pod, whose path is returned. */
  const setUp = (lab: HostNetLab): string => {
    for (const n of [0, 1, 2]) {
      lab.addNic({ name: `rail${n}`, mtu: 1600, addresses: [`10.0.${n}.1/24`] });
    }
    return lab.addNetns('pod');
  };
  /** A request for the n-th NIC: net1-n, 192.168.n.5/24 and fd00:168:n+1::5/64. */
  const request = (lab: HostNetLab, n: number, change: Partial<PodLinkRequest> = {}) => ({
    name: `net1-${n}`,
    parentIndex: nicIndex(lab, `rail${n}`),
    parentName: `rail${n}`,
    link,
    mtu: 0,
    group: GROUP,
    addresses: [
      { family: 4 as const, address: `192.168.${n}.5`, prefix: 24 },
      { family: 6 as const, address: `fd00:168:${n + 1}::5`, prefix: 64 },
    ],
    routes: [],
    ...change,
  });

  describe(`links in pods, ${link.kind} ${link.mode}`, () => {
    test('are made on several NICs at once, up, with addresses, in the order asked for', () => {
      using lab = createLab();
      const path = setUp(lab);
      using pod = lab.hostNet.openNetns(path);
      const { created } = pod.createLinks([1, 0, 2].map((n) => request(lab, n)));
      expect(created.map(({ name }) => name)).toEqual(['net1-1', 'net1-0', 'net1-2']);
      for (const [position, n] of [1, 0, 2].entries()) {
        expect(created[position]).toMatchObject({
          kind: link.kind,
          mode: link.mode,
          mtu: 1600,
          group: GROUP,
          up: true,
          parentIndex: nicIndex(lab, `rail${n}`),
        });
        expect(created[position]?.addresses).toEqual([
          { family: 4, address: `192.168.${n}.5`, prefix: 24, scope: 'global' },
          { family: 6, address: `fd00:168:${n + 1}::5`, prefix: 64, scope: 'global' },
        ]);
        expect(created[position]?.mac).toMatch(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/);
      }
      const seen = pod.links().map((found) => ({
        ...found,
        addresses: found.addresses.filter((address) => address.scope === 'global'),
      }));
      expect<unknown>(seen).toEqual(created);
    });

    test('take a smaller MTU and refuse one above the NIC', () => {
      using lab = createLab();
      const path = setUp(lab);
      using pod = lab.hostNet.openNetns(path);
      const [small] = pod.createLinks([request(lab, 0, { mtu: 1400 })]).created;
      expect(small?.mtu).toBe(1400);
      const tooLarge = [request(lab, 1), request(lab, 2, { mtu: 1601 })];
      expect(() => pod.createLinks(tooLarge)).toThrow(
        expect.objectContaining({
          kind: 'link-failed',
          message: expect.stringContaining("above the master's 1600"),
          details: expect.objectContaining({
            interfaceName: 'net1-2',
            master: 'rail2',
            errno: 'EINVAL',
            step: 'create',
          }),
        }),
      );
      expect(pod.links().map(({ name }) => name)).toEqual(['net1-0']);
    });

    test('are not made at all when one name is taken', () => {
      using lab = createLab();
      const path = setUp(lab);
      lab.addPodLink(path, 'net1-1');
      using pod = lab.hostNet.openNetns(path);
      expect(() => pod.createLinks([0, 1, 2].map((n) => request(lab, n)))).toThrow(
        expect.objectContaining({
          kind: 'name-in-use',
          details: expect.objectContaining({ interfaceName: 'net1-1', errno: 'EEXIST' }),
        }),
      );
      expect(pod.links().map(({ name, kind }) => [name, kind])).toEqual([['net1-1', 'veth']]);
      lab.addNic({ name: 'spare' });
      const free = request(lab, 0, { parentIndex: nicIndex(lab, 'spare'), parentName: 'spare' });
      expect(pod.createLinks([free]).created).toHaveLength(1);
    });

    test('may have the name of a link of the host', () => {
      using lab = createLab();
      const path = setUp(lab);
      using pod = lab.hostNet.openNetns(path);
      const { created } = pod.createLinks([request(lab, 0, { name: 'rail1' })]);
      expect(created[0]?.name).toBe('rail1');
    });

    test('are not made at all when a NIC has gone or is another one', () => {
      using lab = createLab();
      const path = setUp(lab);
      using pod = lab.hostNet.openNetns(path);
      const gone = request(lab, 2);
      const other = request(lab, 1, { parentName: 'rail7' });
      lab.removeNic('rail2');
      for (const [bad, master] of [[gone, 'rail2'] as const, [other, 'rail7'] as const]) {
        expect(() => pod.createLinks([request(lab, 0), bad])).toThrow(
          expect.objectContaining({
            kind: 'link-failed',
            details: expect.objectContaining({ errno: 'ENODEV', master, step: 'master' }),
          }),
        );
        expect(pod.links()).toEqual([]);
      }
    });

    test('are not made at all when a route or an address of one is refused', () => {
      using lab = createLab();
      const path = setUp(lab);
      using pod = lab.hostNet.openNetns(path);
      const routes = [{ destination: '172.16.0.0/16', via: '10.77.0.1' }];
      expect(() => pod.createLinks([request(lab, 0), request(lab, 1, { routes })])).toThrow(
        expect.objectContaining({
          kind: 'link-failed',
          details: expect.objectContaining({ interfaceName: 'net1-1', step: 'route' }),
        }),
      );
      const [address] = request(lab, 0).addresses;
      const addresses = address === undefined ? [] : [address, address];
      expect(() => pod.createLinks([request(lab, 1), request(lab, 0, { addresses })])).toThrow(
        expect.objectContaining({
          kind: 'link-failed',
          details: expect.objectContaining({ interfaceName: 'net1-0', step: 'address' }),
        }),
      );
      expect(pod.links()).toEqual([]);
      expect(pod.routes()).toEqual([]);
    });

    test('are removed by group, without touching others, and only once', () => {
      using lab = createLab();
      const path = setUp(lab);
      lab.addPodLink(path, 'eth0');
      using pod = lab.hostNet.openNetns(path);
      pod.createLinks([request(lab, 0), request(lab, 1)]);
      pod.createLinks([request(lab, 2, { group: GROUP + 1 })]);
      const names = ['net1-0', 'net1-1', 'net1-2', 'eth0'];
      expect(pod.deleteLinks({ group: GROUP, names })).toEqual({ deleted: 2 });
      expect(pod.links().map(({ name }) => name)).toEqual(['eth0', 'net1-2']);
      expect(pod.deleteLinks({ group: GROUP, names })).toEqual({ deleted: 0 });
      expect(pod.deleteLinks({ group: GROUP + 1, names: [] })).toEqual({ deleted: 1 });
      expect(pod.links().map(({ name }) => name)).toEqual(['eth0']);
    });

    test('of group 0 are removed by name only, and only if they are pod links', () => {
      using lab = createLab();
      const path = setUp(lab);
      lab.addPodLink(path, 'eth0');
      using pod = lab.hostNet.openNetns(path);
      pod.createLinks([request(lab, 0)]);
      for (const n of [1, 2]) {
        lab.addForeignSlave(path, { name: `net1-${n}`, nic: `rail${n}`, link });
      }
      const names = ['eth0', 'lo', 'net1-0', 'net1-1'];
      expect(pod.deleteLinks({ group: 0, names })).toEqual({ deleted: 1 });
      const left = pod.links().map(({ name }) => name);
      expect(left).toEqual(['eth0', 'net1-0', 'net1-2']);
      expect(pod.deleteLinks({ group: 0, names })).toEqual({ deleted: 0 });
    });

    test('go with their NIC', () => {
      using lab = createLab();
      const path = setUp(lab);
      using pod = lab.hostNet.openNetns(path);
      pod.createLinks([request(lab, 0), request(lab, 1)]);
      lab.removeNic('rail0');
      expect(pod.links().map(({ name }) => name)).toEqual(['net1-1']);
      expect(pod.deleteLinks({ group: GROUP, names: ['net1-0'] })).toEqual({ deleted: 1 });
    });

    test(`${isShared ? 'share' : 'do not share'} a NIC with another pod`, () => {
      using lab = createLab();
      const path = setUp(lab);
      using pod = lab.hostNet.openNetns(path);
      using other = lab.hostNet.openNetns(lab.addNetns('other'));
      pod.createLinks([request(lab, 0)]);
      const addresses = [{ family: 4 as const, address: '192.168.0.6', prefix: 24 }];
      const again = () => other.createLinks([request(lab, 0, { addresses })]);
      if (isShared) {
        expect(again().created).toHaveLength(1);
        return;
      }
      expect(again).toThrow(
        expect.objectContaining({
          kind: 'link-failed',
          message: expect.stringContaining('passthru'),
          details: expect.objectContaining({ master: 'rail0', errno: 'EINVAL', step: 'create' }),
        }),
      );
    });

    test('refuse requests that are no attachment', () => {
      using lab = createLab();
      const path = setUp(lab);
      using pod = lab.hostNet.openNetns(path);
      const bad: Partial<PodLinkRequest>[] = [
        { group: 0 },
        { group: GROUP + 1 },
        { group: 2 ** 31 - 1 },
        { name: 'net1-0' },
        { name: 'a-name-too-long-' },
        { name: '' },
        { mtu: -1 },
        { parentIndex: 0 },
      ];
      for (const change of bad) {
        const requests = [request(lab, 0), request(lab, 1, change)];
        expect(() => pod.createLinks(requests)).toThrow(RangeError);
      }
      expect(pod.createLinks([])).toEqual({ created: [] });
      expect(pod.links()).toEqual([]);
    });
  });
}
