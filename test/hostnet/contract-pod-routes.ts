// The contract of NetnsHandle about routes inside a pod, of one link and of several.
import { describe, expect, test } from 'bun:test';
import type { NetnsHandle, SlaveKind } from '../../src/daemon/hostnet/host-net.ts';
import { type HostNetLab, nicIndex } from './lab.ts';

interface Hop {
  destination: string;
  via: string;
  interfaceName: string;
}

/** Registers the pod route part of the suite. */
export function describePodRouteContract(link: SlaveKind, createLab: () => HostNetLab): void {
  /** A pod with net1-0 (192.168.0.5/24, fd00:168:1::5/64) and net1-1 alike. */
  const setUp = (
    lab: HostNetLab,
    routes: readonly { destination: string; via?: string }[] = [],
  ): NetnsHandle => {
    for (const n of [0, 1]) lab.addNic({ name: `rail${n}` });
    const pod = lab.hostNet.openNetns(lab.addNetns('pod'));
    pod.createLinks(
      [0, 1].map((n) => ({
        name: `net1-${n}`,
        parentIndex: nicIndex(lab, `rail${n}`),
        link,
        mtu: 0,
        group: 5,
        addresses: [
          { family: 4, address: `192.168.${n}.5`, prefix: 24 },
          { family: 6, address: `fd00:168:${n + 1}::5`, prefix: 64 },
        ],
        routes: n === 0 ? routes : [],
      })),
    );
    return pod;
  };

  describe('routes in pods', () => {
    test('of one link lead over a gateway or directly to the link', () => {
      using lab = createLab();
      using pod = setUp(lab, [
        { destination: '172.16.0.0/16', via: '192.168.0.1' },
        { destination: '172.17.0.0/16' },
        { destination: 'fd00:172::/48', via: 'fd00:168:1::1' },
        { destination: '0.0.0.0/0', via: '192.168.0.1' },
      ]);
      const interfaceName = 'net1-0';
      expect(hopsOf(pod)).toEqual([
        { destination: '0.0.0.0/0', via: '192.168.0.1', interfaceName },
        { destination: '172.16.0.0/16', via: '192.168.0.1', interfaceName },
        { destination: '172.17.0.0/16', via: '', interfaceName },
        { destination: 'fd00:172::/48', via: 'fd00:168:1::1', interfaceName },
      ]);
    });

    test('may have several next hops, with or without a named link', () => {
      using lab = createLab();
      using pod = setUp(lab);
      pod.addRoutes([
        {
          destination: '172.16.0.0/16',
          nexthops: [{ via: '192.168.0.1' }, { via: '192.168.1.1', interfaceName: 'net1-1' }],
        },
        {
          destination: 'fd00:172::/48',
          nexthops: [
            { via: 'fd00:168:1::1', interfaceName: 'net1-0' },
            { via: 'fd00:168:2::1', interfaceName: 'net1-1' },
          ],
        },
        { destination: '172.18.0.0/16', nexthops: [{ via: '192.168.1.1' }] },
      ]);
      expect(hopsOf(pod)).toEqual([
        { destination: '172.16.0.0/16', via: '192.168.0.1', interfaceName: 'net1-0' },
        { destination: '172.16.0.0/16', via: '192.168.1.1', interfaceName: 'net1-1' },
        { destination: '172.18.0.0/16', via: '192.168.1.1', interfaceName: 'net1-1' },
        { destination: 'fd00:172::/48', via: 'fd00:168:1::1', interfaceName: 'net1-0' },
        { destination: 'fd00:172::/48', via: 'fd00:168:2::1', interfaceName: 'net1-1' },
      ]);
      expect(pod.routes().filter((route) => route.nexthops.length === 2)).toHaveLength(2);
    });

    test('are added all or none', () => {
      using lab = createLab();
      using pod = setUp(lab);
      const good = { destination: '172.16.0.0/16', nexthops: [{ via: '192.168.0.1' }] };
      const bad = [
        { destination: '172.17.0.0/16', nexthops: [{ via: '10.77.0.1' }] },
        {
          destination: '172.17.0.0/16',
          nexthops: [{ via: '192.168.0.1', interfaceName: 'net9' }],
        },
        good,
      ];
      for (const route of bad) {
        expect(() => pod.addRoutes([good, route])).toThrow(
          expect.objectContaining({
            kind: 'link-failed',
            details: expect.objectContaining({ step: 'route', subject: route.destination }),
          }),
        );
        expect(pod.routes()).toEqual([]);
      }
    });

    test('go with the links they lead over', () => {
      using lab = createLab();
      using pod = setUp(lab, [{ destination: '172.16.0.0/16', via: '192.168.0.1' }]);
      const nexthops = [{ via: '192.168.0.1' }, { via: '192.168.1.1' }];
      pod.addRoutes([{ destination: '172.20.0.0/16', nexthops }]);
      pod.deleteLinks({ group: 5, names: [] });
      expect(pod.routes()).toEqual([]);
    });
  });
}

/** Every next hop of every route, in one fixed order. */
function hopsOf(pod: NetnsHandle): Hop[] {
  return pod
    .routes()
    .flatMap(({ destination, nexthops }) => nexthops.map((hop) => ({ destination, ...hop })))
    .sort((a, b) => `${a.destination} ${a.via}`.localeCompare(`${b.destination} ${b.via}`));
}
