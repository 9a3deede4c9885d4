// Routes between hosts and positions that two hosts hold, with the real core.
import { describe, expect, test } from 'bun:test';
import * as v from 'valibot';
import { loadCore } from '../../../../core-wasm/index.ts';
import { formatCidr } from '../ip/cidr.ts';
import type { InterfaceInfo } from '../objects/host-interface.ts';
import { MultiNicNetwork } from '../objects/multi-nic-network.ts';
import type { PlanHost } from './host-pools.ts';
import { type NetworkDefinition, parseNetworkDefinition } from './network-definition.ts';
import { findDuplicateIndices, type PeerRoute, planPeerRoutes } from './peer-routes.ts';

const core = await loadCore();

function network(subnet: string, vlanMode = 'l3'): NetworkDefinition {
  const ipam = { type: 'multi-nic-ipam', hostBlock: 6, interfaceBlock: 2, vlanMode };
  const object = {
    metadata: { name: 'net', uid: 'u' },
    spec: {
      subnet,
      ipam: JSON.stringify(ipam),
      multiNICIPAM: true,
      plugin: { cniVersion: '0.3.0', type: 'ipvlan', args: { mode: 'l3' } },
    },
  };
  const parsed = parseNetworkDefinition(v.parse(MultiNicNetwork, object));
  if (!parsed.ok) throw new Error(parsed.issues.join('\n'));
  return parsed.network;
}

const nets = ['10.0.1.0/24', '10.0.2.0/24'];
const indices = new Map(nets.map((net, i) => [net, i]));

/** Host `n` has eth1 and eth2 with addresses that end in n, and host index n - 1. */
function host(n: number, o: { six?: boolean; at?: number; nics?: number } = {}): PlanHost {
  const interfaces: InterfaceInfo[] = nets.slice(0, o.nics ?? 2).map((netAddress, i) => ({
    interfaceName: `eth${i + 1}`,
    netAddress,
    hostIP: `10.0.${i + 1}.${n}`,
    ...(o.six === true
      ? { addresses: [`10.0.${i + 1}.${n}/24`, `fd0${i + 1}::${n}/64`, `fe80::${n}/64`] }
      : {}),
  }));
  const hostIndices = new Map(nets.map((net) => [net, o.at ?? n - 1]));
  return { hostName: `host${n}`, interfaces, hostIndices };
}

const brief = (routes: readonly PeerRoute[]): string[] =>
  routes.map((r) => `${formatCidr(r.destination)} via ${r.via} dev ${r.interfaceName}`);

const four = network('192.168.0.0/16');

describe('routes', () => {
  test("lead to each peer's pods over each NIC (scenario B)", () => {
    const plan = planPeerRoutes(core, four, indices, host(1), [host(2)]);
    expect(brief(plan.routes)).toEqual([
      '192.168.1.0/24 via 10.0.1.2 dev eth1',
      '192.168.65.0/24 via 10.0.2.2 dev eth2',
    ]);
    expect(plan.duplicates).toEqual([]);
    expect(plan.unreachable).toEqual([]);
  });

  test('are the same in whatever order peers come, and none leads home', () => {
    const all = [1, 2, 3, 4].map((n) => host(n));
    const plan = planPeerRoutes(core, four, indices, host(1), all);
    expect(plan.routes).toHaveLength(6);
    expect(planPeerRoutes(core, four, indices, host(1), all.toReversed())).toEqual(plan);
  });

  test('are for NICs that both hosts have', () => {
    const one = host(2, { nics: 1 });
    expect(planPeerRoutes(core, four, indices, host(1), [one]).routes).toHaveLength(1);
    expect(planPeerRoutes(core, four, indices, one, [host(1)]).routes).toHaveLength(1);
  });

  test('need positions: a host that has none yet is left out', () => {
    const fresh = { ...host(2), hostIndices: new Map<string, number>() };
    expect(planPeerRoutes(core, four, indices, host(1), [fresh]).routes).toEqual([]);
  });

  test('are for networks with routes only', () => {
    for (const mode of ['l2', '']) {
      const plan = planPeerRoutes(core, network('192.168.0.0/16', mode), indices, host(1), [
        host(2),
      ]);
      expect(plan.routes).toEqual([]);
    }
  });

  test('of both families have next hops of their own family', () => {
    const both = network('192.168.0.0/16,fd00::/48');
    const plan = planPeerRoutes(core, both, indices, host(1, { six: true }), [
      host(2, { six: true }),
    ]);
    expect(brief(plan.routes)).toEqual([
      '192.168.1.0/24 via 10.0.1.2 dev eth1',
      'fd00:0:0:100::/56 via fd01::2 dev eth1',
      '192.168.65.0/24 via 10.0.2.2 dev eth2',
      'fd00:0:0:4100::/56 via fd02::2 dev eth2',
    ]);
  });

  test('without a next hop of the family are named', () => {
    const plan = planPeerRoutes(core, network('fd00::/48'), indices, host(1, { six: true }), [
      host(2),
    ]);
    expect(plan.routes).toEqual([]);
    expect(plan.unreachable).toEqual([
      {
        hostName: 'host2',
        netAddress: '10.0.1.0/24',
        reason: 'no IPv6 address of the peer is on a link with eth1',
      },
      {
        hostName: 'host2',
        netAddress: '10.0.2.0/24',
        reason: 'no IPv6 address of the peer is on a link with eth2',
      },
    ]);
  });

  test('never lead to an address of this host', () => {
    const copied = host(2);
    const interfaces = copied.interfaces.map((nic) => ({ ...nic, hostIP: '10.0.1.1' }));
    const plan = planPeerRoutes(core, four, indices, host(1), [{ ...copied, interfaces }]);
    expect(plan.routes).toEqual([]);
    expect(plan.unreachable[0]).toEqual({
      hostName: 'host2',
      netAddress: '10.0.1.0/24',
      reason: "its address 10.0.1.1 is this host's own on eth1",
    });
  });

  test('never have a next hop outside the net of the NIC', () => {
    const moved = host(2);
    const interfaces = moved.interfaces.map((nic) => ({ ...nic, hostIP: '172.16.0.9' }));
    const plan = planPeerRoutes(core, four, indices, host(1), [{ ...moved, interfaces }]);
    expect(plan.routes).toEqual([]);
    expect(plan.unreachable).toHaveLength(2);
  });
});

describe('positions that two hosts hold', () => {
  test('are named and get no route', () => {
    const plan = planPeerRoutes(core, four, indices, host(1), [
      host(2, { at: 5 }),
      host(3, { at: 5 }),
    ]);
    expect(plan.routes).toEqual([]);
    expect(plan.duplicates).toEqual(
      nets.map((netAddress) => ({ netAddress, hostIndex: 5, hostNames: ['host2', 'host3'] })),
    );
  });

  test('are named when one of the hosts is this one, also without routes', () => {
    const l2 = network('192.168.0.0/16', 'l2');
    const plan = planPeerRoutes(core, l2, indices, host(1, { at: 2 }), [host(3)]);
    expect(plan.duplicates[0]).toMatchObject({ hostIndex: 2, hostNames: ['host1', 'host3'] });
  });

  test('do not take routes to others away', () => {
    const peers = [host(2, { at: 5 }), host(3, { at: 5 }), host(4)];
    const plan = planPeerRoutes(core, four, indices, host(1), peers);
    expect(brief(plan.routes)).toEqual([
      '192.168.3.0/24 via 10.0.1.4 dev eth1',
      '192.168.67.0/24 via 10.0.2.4 dev eth2',
    ]);
  });

  test('differ by net address', () => {
    const a = { hostName: 'a', hostIndices: new Map([['10.0.1.0/24', 0]]) };
    const b = { hostName: 'b', hostIndices: new Map([['10.0.2.0/24', 0]]) };
    expect(findDuplicateIndices([a, b])).toEqual([]);
    expect(findDuplicateIndices([a, { ...b, hostIndices: a.hostIndices }])).toHaveLength(1);
  });

  test('one host seen twice is one host', () => {
    expect(findDuplicateIndices([host(1), host(1)])).toEqual([]);
  });
});
