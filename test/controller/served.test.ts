// A network that every daemon would refuse is not called ready: the controller says so with the
// field to change, by the same function that the daemons refuse with.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import * as kinds from '../../src/shared/platform/kube/resource.ts';
import { eventually } from '../helpers/eventually.ts';
import { startLab, toSpec } from './harness.ts';

const A = '10.1.0.0/16';

/** The spec with members of its IPAM section replaced. */
function withIpam(spec: Record<string, unknown>, change: object): Record<string, unknown> {
  return { ...spec, ipam: JSON.stringify({ ...JSON.parse(String(spec.ipam)), ...change }) };
}

const route = (gw?: string) => ({ routes: [{ dst: '172.16.0.0/12', gw }] });
const policy = (strategy: string) => ({ ...toSpec(), attachPolicy: { strategy } });
const refused: [string, Record<string, unknown>, string, string][] = [
  [
    'delegate',
    toSpec({ args: { mode: 'l3', delegate: 'true' } }),
    'UnsupportedPlugin',
    'plugin.delegate',
  ],
  ['no-multi', { ...toSpec(), multiNICIPAM: false }, 'UnsupportedIpam', 'multiNICIPAM'],
  ['topology', policy('topology'), 'UnsupportedStrategy', 'attachPolicy.strategy "topology"'],
  ['cost', policy('costOpt'), 'UnsupportedStrategy', 'attachPolicy.strategy "costOpt"'],
  ['perf', policy('perfOpt'), 'UnsupportedStrategy', 'attachPolicy.strategy "perfOpt"'],
  ['gateway', withIpam(toSpec(), route('1.2.3.4')), 'UnreachableGateway', 'ipam.routes.0'],
  [
    'family',
    withIpam(toSpec(), { routes: [{ dst: 'fd01::/64' }] }),
    'UnreachableGateway',
    'ipam.routes.0',
  ],
  [
    'attribute',
    withIpam(toSpec(), { routes: [{ dst: '172.16.0.0/12', table: 5 }] }),
    'UnsupportedRoute',
    'ipam.routes.0: table',
  ],
  [
    'host-subnet-gateway',
    withIpam(toSpec({ subnet: '', masterNets: [A] }), route('1.2.3.4')),
    'UnreachableGateway',
    'no NIC reaches gateway 1.2.3.4',
  ],
];

describe('networks that every ADD would be refused of', () => {
  let embedded: Awaited<ReturnType<typeof startLab>>;
  beforeAll(async () => {
    embedded = await startLab();
    await embedded.lab.addHost('node-0', A);
    await embedded.lab.startController();
  });
  afterAll(async () => {
    await embedded[Symbol.asyncDispose]();
  });

  // One controller for all, one network at a time: they share the subnet.
  test.each(refused)('%s', async (name, spec, reason, text) => {
    const { lab, server } = embedded;
    await lab.addNetwork(name, spec);
    const accepted = await lab.untilCondition(name, 'Accepted', 'False', reason);
    expect(accepted.message).toContain(text);
    expect((await lab.untilCondition(name, 'Ready', 'False', reason)).message).toContain(text);
    expect((await lab.network(name)).status?.configStatus).toBe('Failed');
    await lab.client.delete(kinds.MULTI_NIC_NETWORKS, { name });
    await eventually('it is gone', () => server.objects('multinicnetworks').length === 0);
  });

  test.each([
    ['reached', withIpam(toSpec(), route('192.168.0.9'))],
    ['on-link', withIpam(toSpec(), route())],
    ['host-subnet', withIpam(toSpec({ subnet: '', masterNets: [A] }), route('10.1.0.1'))],
    ['class', policy('devClass')],
  ])('%s is served', async (name, spec) => {
    const { lab, server } = embedded;
    await lab.addNetwork(name, spec);
    await lab.untilCondition(name, 'Ready', 'True');
    await lab.client.delete(kinds.MULTI_NIC_NETWORKS, { name });
    await eventually('it is gone', () => server.objects('multinicnetworks').length === 0);
  });
});

test.each(['whereabouts', 'host-device-ipam', ''])(
  'IPAM "%s" keeps its definition and is not ready',
  async (type) => {
    await using embedded = await startLab();
    const { lab } = embedded;
    await lab.addHost('node-0', A);
    const ipam = JSON.stringify(type === '' ? {} : { type, range: '10.9.0.0/16' });
    await lab.addNetwork('net', { ...toSpec(), multiNICIPAM: false, ipam });
    await lab.startController();
    const { message } = await lab.untilCondition('net', 'Served', 'False', 'UnsupportedIpam');
    expect(message).toContain(`ipam.type: "${type}" is not supported`);
    await lab.untilCondition('net', 'Accepted', 'True');
    await lab.untilCondition('net', 'NadsReady', 'True');
    await lab.untilCondition('net', 'Ready', 'False', 'UnsupportedIpam');
    const { status } = await lab.network('net');
    expect(status?.configStatus).toBe('Success');
    expect(status?.message).toContain('ipam.type');
    const key = { name: 'net', namespace: 'default' };
    const nad = await lab.client.get(kinds.NET_ATTACH_DEFS, key);
    expect(JSON.parse(nad?.spec?.config ?? '{}').ipam).toEqual(JSON.parse(ipam));
  },
);

test('a network in use keeps what its hosts have when it is refused later', async () => {
  await using embedded = await startLab();
  const { lab } = embedded;
  await lab.addHost('node-0', A);
  await lab.addNetwork('net', toSpec());
  await lab.startController();
  await lab.untilCondition('net', 'Ready', 'True');
  const before = await lab.indices('node-0', 'net');
  const body = { spec: { attachPolicy: { strategy: 'topology' } } };
  await lab.client.patch(kinds.MULTI_NIC_NETWORKS, { name: 'net' }, { type: 'merge', body });
  await lab.untilCondition('net', 'Ready', 'False', 'UnsupportedStrategy');
  expect(await lab.indices('node-0', 'net')).toEqual(before);
});
