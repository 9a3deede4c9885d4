// Which link a route goes over, and which routes have several next hops.
import { describe, expect, test } from 'bun:test';
import { type Cidr, parseCidr } from '../../shared/model/ip/cidr.ts';
import { planRoutes } from './plan-routes.ts';

const cidr = (text: string): Cidr => {
  const parsed = parseCidr(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
};
const nics = [
  { name: 'net1-0', vlanCidrs: [cidr('192.168.0.0/18'), cidr('fd00::/80')] },
  { name: 'net1-1', vlanCidrs: [cidr('192.168.64.0/18'), cidr('fd00:0:0:0:1::/80')] },
];
const network = [cidr('192.168.0.0/16'), cidr('fd00::/48')];
const plan = (wanted: { dst: string; gw?: string }[], links = nics) =>
  planRoutes({
    wanted: wanted.map(({ dst, gw }) => ({ dst, gw })),
    nics: links,
    network,
  });

describe('one gateway', () => {
  test('goes over the link whose subnet holds it', () => {
    const { byNic, shared } = plan([{ dst: '172.16.0.0/12', gw: '192.168.64.254' }]);
    expect([...byNic]).toEqual([
      ['net1-1', [{ destination: '172.16.0.0/12', via: '192.168.64.254' }]],
    ]);
    expect(shared).toEqual([]);
  });

  test('of IPv6 is found as well', () => {
    const { byNic } = plan([{ dst: 'fd99::/64', gw: 'fd00:0:0:0:1::1' }]);
    expect([...byNic.keys()]).toEqual(['net1-1']);
  });

  test('on a NIC of the network that is not attached is left out and said', () => {
    const route = { dst: '172.16.0.0/12', gw: '192.168.128.1' };
    const { byNic, installed, leftOut, unreachable } = plan([route]);
    expect(byNic.size).toBe(0);
    expect(installed).toEqual([]);
    expect(leftOut).toEqual([route]);
    expect(unreachable).toEqual([]);
  });

  test('on no NIC of the network is an error', () => {
    const route = { dst: '172.16.0.0/12', gw: '10.1.0.253' };
    expect(plan([route]).unreachable).toEqual([route]);
  });
});

describe('several next hops', () => {
  test('are one route, with the link of each', () => {
    const { byNic, shared, installed } = plan([
      { dst: '172.16.0.0/12', gw: '192.168.0.254' },
      { dst: '172.16.0.0/12', gw: '192.168.64.254' },
    ]);
    expect(byNic.size).toBe(0);
    expect(shared).toEqual([
      {
        destination: '172.16.0.0/12',
        nexthops: [
          { via: '192.168.0.254', interfaceName: 'net1-0' },
          { via: '192.168.64.254', interfaceName: 'net1-1' },
        ],
      },
    ]);
    expect(installed).toHaveLength(2);
  });

  test('of which one is on a NIC that is not attached become an ordinary route', () => {
    const { byNic, shared, leftOut } = plan(
      [
        { dst: '172.16.0.0/12', gw: '192.168.0.254' },
        { dst: '172.16.0.0/12', gw: '192.168.64.254' },
      ],
      nics.slice(0, 1),
    );
    expect([...byNic.keys()]).toEqual(['net1-0']);
    expect(shared).toEqual([]);
    expect(leftOut).toHaveLength(1);
  });
});

describe('no gateway', () => {
  test('with one link is a route on that link', () => {
    const { byNic } = plan([{ dst: '10.5.0.0/16' }], nics.slice(0, 1));
    expect([...byNic]).toEqual([['net1-0', [{ destination: '10.5.0.0/16' }]]]);
  });

  test('with several links is one route over all of them', () => {
    const { shared } = plan([{ dst: '10.5.0.0/16' }]);
    expect(shared[0]?.nexthops.map((hop) => hop.interfaceName)).toEqual(['net1-0', 'net1-1']);
  });

  test('of a family that no link has is left to nobody', () => {
    const only4 = [{ name: 'net1-0', vlanCidrs: [cidr('192.168.0.0/18')] }];
    expect(plan([{ dst: 'fd99::/64' }], only4).installed).toEqual([]);
  });
});

test('the result reports routes in the order of the configuration', () => {
  const routes = [
    { dst: '172.16.0.0/12', gw: '192.168.64.1' },
    { dst: '10.0.0.0/8', gw: '192.168.0.1' },
  ];
  expect(plan(routes).installed).toEqual(routes);
});
