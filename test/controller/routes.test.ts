// The state of routes from the kernel of a node to the status of a network: a daemon reports, the
// controller counts.
import { describe, expect, setDefaultTimeout, test } from 'bun:test';
import { ROUTES_CONDITION } from '../../src/shared/model/objects/host-interface.ts';
import * as kinds from '../../src/shared/platform/kube/resource.ts';
import { NODE } from '../daemon/cluster.ts';
import { createFakeHost, startHarness } from '../daemon/harness.ts';
import { eventually } from '../helpers/eventually.ts';
import type { FakeHostNet } from '../hostnet/fake-host-net.ts';
import { type Lab, startLab, toSpec } from './harness.ts';

setDefaultTimeout(120_000);

const PEER = 'p1';
const RAILS = ['10.0.1.0/24', '10.0.2.0/24'];

/** A node with a running daemon, and one whose daemon says that all is well. */
async function startWorld(hostNet: FakeHostNet) {
  const embedded = await startLab();
  const { lab, server } = embedded;
  await lab.client.create(kinds.NODES, { metadata: { name: NODE } });
  await lab.addHost(PEER, ...RAILS);
  await report(lab, 'True');
  await lab.startController();
  const daemon = await startHarness({ api: server, hostNet });
  await lab.addNetwork('net', toSpec());
  return {
    lab,
    async [Symbol.asyncDispose]() {
      await daemon[Symbol.asyncDispose]();
      await embedded[Symbol.asyncDispose]();
    },
  };
}

async function report(lab: Lab, status: 'True' | 'False'): Promise<void> {
  const condition = {
    type: ROUTES_CONDITION,
    status,
    reason: 'Test',
    message: `the peer says ${status}`,
    lastTransitionTime: '2026-01-01T00:00:00Z',
  };
  const body = { metadata: { name: PEER }, status: { conditions: [condition] } };
  const apply = { type: 'apply', subresource: 'status', fieldManager: 'peer', body } as const;
  await lab.client.patch(kinds.HOST_INTERFACES, { name: PEER }, { ...apply, force: true });
}

async function untilRoutes(lab: Lab, status: string, ...parts: string[]): Promise<string> {
  return await eventually(`routeStatus ${status} ${parts.join()}`, async () => {
    const { routeStatus, configStatus, message = '' } = (await lab.network('net')).status ?? {};
    const isMet = parts.every((part) => message.includes(part));
    return routeStatus === status && isMet ? `${configStatus}` : undefined;
  });
}

describe('the state of routes of a network', () => {
  test('is Success once every daemon has set its routes', async () => {
    const hostNet = createFakeHost(2);
    await using world = await startWorld(hostNet);
    const { lab } = world;
    expect(await untilRoutes(lab, 'Success')).toBe('Success');
    await lab.untilCondition('net', ROUTES_CONDITION, 'True');
    await eventually('routes', () => hostNet.routes({ protocol: 77 }).length === 2);
    const { networks = [] } = (await lab.host(NODE)).status ?? {};
    expect(networks).toMatchObject([{ name: 'net', indices: [{}, {}] }]);
  });

  test('is Failed with host, route and error while a kernel refuses one', async () => {
    const hostNet = createFakeHost(2);
    await using world = await startWorld(hostNet);
    const { lab } = world;
    await untilRoutes(lab, 'Success');
    const [route] = await eventually('routes', () => {
      const routes = hostNet.routes({ protocol: 77 });
      return routes.length === 2 ? routes : undefined;
    });
    if (route === undefined) throw new Error('there are two');
    hostNet.removeRoute(route.destination);
    hostNet.addForeignRoute({ ...route, protocol: 4 });
    expect(await untilRoutes(lab, 'Failed', NODE, route.destination, 'EEXIST')).toBe('Success');
    const condition = await lab.untilCondition('net', ROUTES_CONDITION, 'False', 'Failed');
    expect(condition.message).toContain(NODE);
    hostNet.removeRoute(route.destination);
    await untilRoutes(lab, 'Success');
    expect((await lab.network('net')).status?.message).toBe('');
  });

  test('is Failed with the words of a peer that reports so', async () => {
    await using world = await startWorld(createFakeHost(2));
    await untilRoutes(world.lab, 'Success');
    await report(world.lab, 'False');
    await untilRoutes(world.lab, 'Failed', PEER, 'the peer says False');
  });
});
