// ADD through the socket: what pods get, and that whatever fails leaves nothing behind.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { eventually } from '../helpers/eventually.ts';
import { expectClean, kindOf, linkNames, PATH, setUp } from './attach-scene.ts';
import { hostObject, NODE, networkObject } from './cluster.ts';
import { addressesIn, cniRequest, createFakeHost, send, startHarness } from './harness.ts';

setDefaultTimeout(120_000);

describe('ADD', () => {
  test('gives one interface per NIC with an address of its pool', async () => {
    const { hostNet, h } = await setUp();
    await using _ = h;
    const answer = await send(h.socket, cniRequest('ADD'));
    expect(answer.reply.result).toMatchObject({
      cniVersion: '1.1.0',
      interfaces: [0, 1, 2, 3].map((i) => ({ name: `net1-${i}`, mtu: 1500, sandbox: PATH })),
      ips: [0, 1, 2, 3].map((i) => ({ interface: i, address: `192.168.${64 * i}.1/18` })),
      dns: {},
    });
    expect(answer.reply.families).toEqual([4]);
    expect(answer.reply.pools?.[1]).toEqual({
      name: 'net-192.168.64.0-24',
      podCidr: '192.168.64.0/24',
      vlanCidr: '192.168.64.0/18',
      excludes: [],
      addresses: ['192.168.64.1/18'],
    });
    using netns = hostNet.openNetns(PATH);
    expect(netns.links().map(({ name, kind, mode }) => [name, kind, mode])).toEqual(
      [0, 1, 2, 3].map((i) => [`net1-${i}`, 'macvlan', 'bridge']),
    );
  });

  test('other pods and other interfaces of the same pod get other addresses', async () => {
    const { h } = await setUp({ pods: ['a', 'b'] });
    await using _ = h;
    const answers = [
      await send(h.socket, cniRequest('ADD', { container: 'a' })),
      await send(h.socket, cniRequest('ADD', { container: 'b' })),
      await send(h.socket, cniRequest('ADD', { container: 'a', ifName: 'net2' })),
    ];
    const all = answers.flatMap(addressesIn);
    expect(new Set(all).size).toBe(12);
  });

  test('ipvlan in l3 mode with both families and an MTU', async () => {
    const spec = {
      subnet: '192.168.0.0/16,fd00::/64',
      plugin: { cniVersion: '0.3.0', type: 'ipvlan', args: { mode: 'l3' } },
    };
    const objects = [networkObject({ spec }), hostObject({ name: NODE, hostIndex: 0 })];
    const { hostNet, h } = await setUp({ objects });
    await using _ = h;
    const config = { plugin: { type: 'ipvlan', mode: 'l3', mtu: 1400 } };
    const answer = await send(h.socket, cniRequest('ADD', { config }));
    expect(answer.reply.families).toEqual([4, 6]);
    expect(answer.reply.result?.ips?.slice(0, 3)).toEqual([
      { interface: 0, address: '192.168.0.1/18' },
      { interface: 0, address: 'fd00::1/66' },
      { interface: 1, address: '192.168.64.1/18' },
    ]);
    using netns = hostNet.openNetns(PATH);
    expect(netns.links()[0]).toMatchObject({ kind: 'ipvlan', mode: 'l3', mtu: 1400 });
  });

  test('routes go where their gateways are, several gateways become one route', async () => {
    const { hostNet, h } = await setUp();
    await using _ = h;
    const routes = [
      { dst: '172.16.0.0/12', gw: '192.168.64.200' },
      { dst: '10.9.0.0/16', gw: '192.168.0.200' },
      { dst: '10.9.0.0/16', gw: '192.168.128.200' },
    ];
    const config = { ipam: { type: 'multi-nic-ipam', routes } };
    const answer = await send(h.socket, cniRequest('ADD', { config }));
    expect(answer.reply.result?.routes).toEqual(routes);
    using netns = hostNet.openNetns(PATH);
    expect(netns.routes().map(({ destination, nexthops }) => [destination, nexthops])).toEqual([
      ['172.16.0.0/12', [{ via: '192.168.64.200', interfaceName: 'net1-1' }]],
      [
        '10.9.0.0/16',
        [
          { via: '192.168.0.200', interfaceName: 'net1-0' },
          { via: '192.168.128.200', interfaceName: 'net1-2' },
        ],
      ],
    ]);
    expect((await send(h.socket, cniRequest('CHECK', { config }))).status).toBe(200);
  });

  test('the pod chooses NICs by number and by name', async () => {
    const { h } = await setUp({ pods: ['a', 'b'] });
    await using _ = h;
    const two = cniRequest('ADD', { container: 'a', config: { args: { cni: { nics: 2 } } } });
    expect((await send(h.socket, two)).reply.result?.interfaces).toHaveLength(2);
    const cni = { masters: ['eth4', 'eth2'] };
    const named = cniRequest('ADD', { container: 'b', config: { args: { cni } } });
    expect(addressesIn(await send(h.socket, named))).toEqual(['192.168.192.1', '192.168.64.2']);
  });

  test('a device class chooses by vendor and product', async () => {
    const spec = { attachPolicy: { strategy: 'devClass' } };
    const objects = [
      networkObject({ spec }),
      hostObject({ name: NODE, hostIndex: 0 }),
      {
        apiVersion: 'multinic.fms.io/v1',
        kind: 'DeviceClass',
        metadata: { name: 'fast' },
        spec: { ids: [{ vendor: '15b3', products: ['1019'] }] },
      },
    ];
    const { h } = await setUp({ objects });
    await using _ = h;
    const withClass = (name: string) =>
      cniRequest('ADD', { config: { args: { cni: { class: name } } } });
    expect((await send(h.socket, withClass('fast'))).problem.detail).toContain(
      'not of the device class',
    );
    expect(kindOf(await send(h.socket, withClass('slow')))).toBe('invalid-config');
    expectClean(h);
  });
});

describe('a refused ADD says why and leaves nothing', () => {
  const refusals: [string, Parameters<typeof cniRequest>[1], string, string][] = [
    ['unknown network', { network: 'nope' }, 'network-unknown', 'no MultiNicNetwork nope'],
    ['netns away', { netns: '/run/netns/gone' }, 'netns-gone', '/run/netns/gone'],
    ['long name', { ifName: 'a-long-iface-1' }, 'invalid-environment', 'a-long-iface-1-0'],
    ['device type', { config: { plugin: { type: 'sriov' } } }, 'invalid-config', 'sriov'],
    ['mode', { config: { plugin: { type: 'ipvlan', mode: 'x' } } }, 'invalid-config', '"x"'],
    ['MTU text', { config: { plugin: { type: 'ipvlan', mtu: '9' } } }, 'invalid-config', 'mtu'],
    [
      'delegate',
      { config: { plugin: { type: 'ipvlan', delegate: true } } },
      'invalid-config',
      'plugin.delegate',
    ],
    ['other IPAM', { config: { ipam: { type: 'whereabouts' } } }, 'invalid-config', 'whereabouts'],
    ['no IPAM', { config: { ipam: null } }, 'invalid-config', 'ipam.type'],
    ['contradiction', { config: { multiNICIPAM: false } }, 'invalid-config', 'multiNICIPAM'],
    [
      'IPAM in the plugin',
      { config: { plugin: { type: 'ipvlan', ipam: { type: 'static' } } } },
      'invalid-config',
      'plugin.ipam.type',
    ],
    [
      'route attributes',
      { config: { ipam: { type: 'multi-nic-ipam', routes: [{ dst: '10.0.0.0/8', table: 5 }] } } },
      'invalid-config',
      'ipam.routes.0: table',
    ],
    [
      'route without CIDR',
      { config: { ipam: { type: 'multi-nic-ipam', routes: [{ dst: 'x' }] } } },
      'invalid-config',
      'ipam.routes.0.dst',
    ],
    [
      'gateway nowhere',
      {
        config: {
          ipam: { type: 'multi-nic-ipam', routes: [{ dst: '10.0.0.0/8', gw: '1.2.3.4' }] },
        },
      },
      'invalid-config',
      'no NIC reaches gateway 1.2.3.4',
    ],
    [
      'too many NICs',
      { config: { args: { cni: { nics: 9 } } } },
      'no-master',
      '9 NICs are wanted, 4 are suitable',
    ],
    ['unknown NIC', { config: { args: { cni: { masters: ['eth9'] } } } }, 'no-master', 'eth9'],
    ['no such net', { config: { masterNets: ['10.7.0.0/24'] } }, 'no-master', 'net address'],
    ['bad net', { config: { masterNets: ['x'] } }, 'invalid-config', 'masterNets.0'],
    ['big MTU', { config: { plugin: { type: 'macvlan', mtu: 9000 } } }, 'no-master', 'MTU 9000'],
    ['class', { config: { args: { cni: { class: 'fast' } } } }, 'invalid-config', 'device class'],
  ];
  let world: Awaited<ReturnType<typeof setUp>>;
  beforeAll(async () => {
    world = await setUp();
  });
  afterAll(async () => {
    await world.h[Symbol.asyncDispose]();
  });

  // One daemon for all: none of them may change anything.
  test.each(refusals)('%s', async (_title, o, kind, text) => {
    const { hostNet, h } = world;
    const answer = await send(h.socket, cniRequest('ADD', o));
    expect([kindOf(answer), answer.problem.requestId]).toEqual([kind, 'r-c1']);
    expect(answer.problem.detail).toContain(text);
    expect(answer.problem.detail).not.toContain('the node has no NICs'); // it has four
    expectClean(h);
    expect(linkNames(hostNet)).toEqual([]);
  });

  test('a node without NICs', async () => {
    const hostNet = createFakeHost(0);
    hostNet.addNetns(PATH);
    const objects = [networkObject(), hostObject({ name: NODE, hostIndex: 0, nics: 0 })];
    await using h = await startHarness({ hostNet, objects });
    const { problem } = await send(h.socket, cniRequest('ADD'));
    expect(problem.detail).toContain('no NIC of this node is suitable (the node has no NICs)');
  });

  test('a path that is no namespace', async () => {
    const { hostNet, h } = await setUp();
    await using _ = h;
    hostNet.addInvalidNetns('/etc/passwd');
    const answer = await send(h.socket, cniRequest('ADD', { netns: '/etc/passwd' }));
    expect(kindOf(answer)).toBe('netns-invalid');
    expectClean(h);
  });

  test('a network whose object is broken names the issues', async () => {
    const objects = [
      networkObject({ spec: { subnet: '192.168.0.0/28' } }),
      hostObject({ name: NODE, hostIndex: 0 }),
    ];
    const { h } = await setUp({ objects });
    await using _ = h;
    const answer = await send(h.socket, cniRequest('ADD'));
    expect(kindOf(answer)).toBe('invalid-config');
    expect(answer.problem.detail).toContain('192.168.0.0/28');
  });

  test('strategies of later versions', async () => {
    const spec = { attachPolicy: { strategy: 'topology' } };
    const objects = [networkObject({ spec }), hostObject({ name: NODE, hostIndex: 0 })];
    const { h } = await setUp({ objects });
    await using _ = h;
    const answer = await send(h.socket, cniRequest('ADD'));
    expect(answer.problem.detail).toContain('strategy "topology" is not supported');
  });
});

describe('an ADD that fails in the middle leaves nothing', () => {
  test('pool full on the third of four NICs', async () => {
    // Pools of 2 addresses; the third NIC's is taken by pods that asked for it alone.
    const objects = [
      networkObject({ ipam: { hostBlock: 12 } }),
      hostObject({ name: NODE, hostIndex: 0 }),
    ];
    const { hostNet, h } = await setUp({ objects, pods: ['c1', 'x', 'y'] });
    await using _ = h;
    for (const container of ['x', 'y']) {
      const config = { args: { cni: { masters: ['eth3'] } } };
      await send(h.socket, cniRequest('ADD', { container, config }));
    }
    const held = h.daemon.parts.journal.held();
    const answer = await send(h.socket, cniRequest('ADD'));
    expect(kindOf(answer)).toBe('pool-exhausted');
    expect(answer.problem).toMatchObject({ master: 'eth3', interfaceName: 'net1-2' });
    expect(h.daemon.parts.journal.held()).toEqual(held);
    expect(h.daemon.parts.pools.records().map(({ pool }) => pool.occupied)).toEqual([0, 0, 2, 0]);
    expect(linkNames(hostNet)).toEqual([]);
  });

  test.each(['create', 'address'] as const)('the kernel refuses to %s', async (step) => {
    const { hostNet, h } = await setUp();
    await using _ = h;
    hostNet.refuseOnce({ name: 'net1-2', step, errno: 'ENOBUFS' });
    const answer = await send(h.socket, cniRequest('ADD'));
    expect(kindOf(answer)).toBe('link-failed');
    expect(answer.problem).toMatchObject({ interfaceName: 'net1-2', master: 'eth3', step });
    expectClean(h);
    expect(linkNames(hostNet)).toEqual([]);
    expect((await send(h.socket, cniRequest('ADD'))).status).toBe(200);
  });

  test('the name is taken in the pod', async () => {
    const { hostNet, h } = await setUp();
    await using _ = h;
    hostNet.addPodLink(PATH, { name: 'net1-3' });
    const answer = await send(h.socket, cniRequest('ADD'));
    expect(kindOf(answer)).toBe('name-in-use');
    expectClean(h);
    expect(linkNames(hostNet)).toEqual(['net1-3']);
  });

  test('a NIC that vanished after it was selected', async () => {
    const { hostNet, h } = await setUp();
    await using _ = h;
    // The daemon has looked at its NICs; the event of the removal is lost.
    const links = hostNet.links();
    h.daemon.parts.inventory.invalidate();
    hostNet.links = () => links;
    void h.daemon.parts.inventory.current;
    hostNet.removeLink('eth2');
    const answer = await send(h.socket, cniRequest('ADD'));
    expect(kindOf(answer)).toBe('link-failed');
    expect(answer.problem.detail).toContain('eth2');
    expectClean(h);
    expect(linkNames(hostNet)).toEqual([]);
  });

  test('a shared route that is refused takes links and addresses back', async () => {
    const { hostNet, h } = await setUp();
    await using _ = h;
    const routes = [
      { dst: '192.168.0.0/18', gw: '192.168.64.9' },
      { dst: '192.168.0.0/18', gw: '192.168.128.9' },
    ];
    const original = hostNet.openNetns.bind(hostNet);
    hostNet.openNetns = (path) => {
      const netns = original(path);
      return Object.assign(netns, {
        addRoutes: () => {
          throw new Error('boom');
        },
      });
    };
    const config = { ipam: { type: 'multi-nic-ipam', routes } };
    const answer = await send(h.socket, cniRequest('ADD', { config }));
    expect(answer.status).toBe(500);
    expect(answer.problem).not.toHaveProperty('detail');
    hostNet.openNetns = original;
    expectClean(h);
    expect(linkNames(hostNet)).toEqual([]);
    // They were on links for a moment: nobody else gets them now.
    expect(h.daemon.parts.journal.quarantined()).toHaveLength(4);
  });

  test('links that cannot be taken back keep their addresses until they can', async () => {
    const { hostNet, h } = await setUp({ pods: ['c1', 'other'] });
    await using _ = h;
    const original = hostNet.openNetns.bind(hostNet);
    const refuse = (): never => {
      throw new Error('boom');
    };
    hostNet.openNetns = (path) =>
      Object.assign(
        original(path),
        path === PATH ? { addRoutes: refuse, deleteLinks: refuse } : {},
      );
    const routes = ['192.168.0.9', '192.168.64.9'].map((gw) => ({ dst: '10.9.0.0/16', gw }));
    const config = { ipam: { type: 'multi-nic-ipam', routes } };
    expect((await send(h.socket, cniRequest('ADD', { config }))).status).toBe(500);
    expect(h.daemon.parts.journal.held()).toHaveLength(4);
    const other = await send(h.socket, cniRequest('ADD', { container: 'other' }));
    expect(addressesIn(other)[0]).toBe('192.168.0.2');
    hostNet.openNetns = original;
    expect((await send(h.socket, cniRequest('DEL', { config }))).status).toBe(200);
    expect(linkNames(hostNet)).toEqual([]);
    expect(h.daemon.parts.journal.held()).toHaveLength(4);
  });

  test('a caller that has gone while its request waited gets nothing', async () => {
    const { hostNet, h } = await setUp();
    await using _ = h;
    const gate = Promise.withResolvers<void>();
    const busy = h.daemon.parts.lock.run('c1', () => gate.promise);
    const caller = new AbortController();
    const request = fetch('http://daemon/v1/cni', {
      unix: h.socket,
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(cniRequest('ADD')),
      signal: caller.signal,
    }).catch((error: Error) => error.name);
    await eventually('it waits', () => h.daemon.parts.lock.waiting === 1);
    caller.abort();
    expect(await request).toBe('AbortError');
    // Another round trip: the server has noticed by then.
    await send(h.socket, cniRequest('STATUS'));
    gate.resolve();
    await busy;
    await h.daemon.parts.lock.idle();
    expectClean(h);
    expect(linkNames(hostNet)).toEqual([]);
  });

  test('the same ADD twice is refused and changes nothing', async () => {
    const { hostNet, h } = await setUp();
    await using _ = h;
    await send(h.socket, cniRequest('ADD'));
    const held = h.daemon.parts.journal.held();
    const answer = await send(h.socket, cniRequest('ADD'));
    expect(kindOf(answer)).toBe('already-attached');
    expect(h.daemon.parts.journal.held()).toEqual(held);
    expect(linkNames(hostNet)).toHaveLength(4);
  });
});
