// What a daemon says of its routes in the status of its HostInterface, and what it leaves alone
// there.
import { describe, expect, setDefaultTimeout, test } from 'bun:test';
import type { HostInterfaceStatus } from '../../src/shared/model/objects/host-interface.ts';
import type { Condition } from '../../src/shared/model/objects/meta.ts';
import type { KubeClient } from '../../src/shared/platform/kube/client.ts';
import { HOST_INTERFACES, MULTI_NIC_NETWORKS } from '../../src/shared/platform/kube/resource.ts';
import { eventually } from '../helpers/eventually.ts';
import { hostObject, NODE, networkObject, putHost } from './cluster.ts';
import { createFakeHost, type Harness, startHarness } from './harness.ts';

setDefaultTimeout(120_000);

const L3 = { ipam: { vlanMode: 'l3' } };
const world = () => [
  networkObject(L3),
  hostObject({ name: NODE, hostIndex: 0 }),
  hostObject({ name: 'p1', hostIndex: 1 }),
];

async function statusOf(client: KubeClient): Promise<HostInterfaceStatus | undefined> {
  return (await client.get(HOST_INTERFACES, { name: NODE }))?.status;
}

/** Waits for the condition with that status, and a message that has all of these parts. */
async function reported(h: Harness, status: string, ...parts: string[]): Promise<Condition> {
  return await eventually(`RoutesReady ${status} ${parts.join()}`, async () => {
    const { conditions = [] } = (await statusOf(h.client)) ?? {};
    const condition = conditions.find(({ type }) => type === 'RoutesReady');
    const isMet = parts.every((part) => condition?.message.includes(part));
    return condition?.status === status && isMet ? condition : undefined;
  });
}

/** Waits until the report is about the object as the daemon has published it. */
async function settled(h: Harness): Promise<Condition> {
  return await eventually('a report of the published NICs', async () => {
    const object = await h.client.get(HOST_INTERFACES, { name: NODE });
    const condition = object?.status?.conditions?.find(({ type }) => type === 'RoutesReady');
    const isPublished = h.daemon.parts.hostPublisher.written > 0;
    const isCurrent = condition?.observedGeneration === object?.metadata.generation;
    return isPublished && isCurrent ? condition : undefined;
  });
}

const inTheWay = (hostNet: ReturnType<typeof createFakeHost>) => ({
  destination: '192.168.1.0/24',
  via: '10.0.1.99',
  interfaceIndex: hostNet.links()[0]?.index ?? 0,
  table: 254,
  protocol: 4,
});

describe('the report of routes', () => {
  test('is True once all are set, and leaves the positions of the host as they are', async () => {
    await using h = await startHarness({ objects: world() });
    expect(await settled(h)).toMatchObject({ reason: 'AsPlanned', status: 'True' });
    const { networks } = (await statusOf(h.client)) ?? {};
    expect(networks).toMatchObject([{ name: 'net', indices: [{}, {}, {}, {}] }]);
  });

  test('names network, route and error of what fails, and turns when it is healed', async () => {
    const hostNet = createFakeHost();
    hostNet.addForeignRoute(inTheWay(hostNet));
    await using h = await startHarness({ hostNet, objects: world() });
    const parts = ['network net', '192.168.1.0/24', '10.0.1.11', 'eth1', 'EEXIST'];
    const failed = await reported(h, 'False', ...parts);
    expect(failed.reason).toBe('RoutesMissing');
    hostNet.removeRoute('192.168.1.0/24');
    const healed = await reported(h, 'True');
    expect(healed.lastTransitionTime >= failed.lastTransitionTime).toBe(true);
    expect((await statusOf(h.client))?.networks).toHaveLength(1);
  });

  test('is written only when it says something new', async () => {
    await using h = await startHarness({ objects: world() });
    await settled(h);
    await h.daemon.idle(); // the report was answered too
    const { routesReporter, routes } = h.daemon.parts;
    const { written } = routesReporter;
    await putHost(h.client, hostObject({ name: 'p2', hostIndex: 2 }));
    await eventually('routes to p2', () => routes.report.installed === 8);
    await routesReporter.report(AbortSignal.timeout(60_000));
    expect(routesReporter.written).toBe(written);
  });

  test('leaves conditions of others in place', async () => {
    await using h = await startHarness({ objects: world() });
    await reported(h, 'True');
    const other = {
      type: 'Other',
      status: 'True',
      reason: 'Test',
      message: '',
      lastTransitionTime: '2026-01-01T00:00:00Z',
    };
    const body = { metadata: { name: NODE }, status: { conditions: [other] } };
    const apply = { type: 'apply', subresource: 'status', fieldManager: 'other', body } as const;
    await h.client.patch(HOST_INTERFACES, { name: NODE }, apply);
    await putHost(h.client, hostObject({ name: 'q1', hostIndex: 1 }));
    const contested = await reported(h, 'False', 'two hosts claim 192.168.1.0/24', 'and 1 more');
    expect(contested.reason).toBe('RoutesContested');
    const types = (await statusOf(h.client))?.conditions?.map(({ type }) => type);
    expect(types?.sort()).toEqual(['Other', 'RoutesReady']);
  });

  test('comes back when the object is made anew', async () => {
    await using h = await startHarness({ objects: world() });
    await reported(h, 'True');
    await h.client.delete(HOST_INTERFACES, { name: NODE });
    await putHost(h.client, hostObject({ name: NODE, hostIndex: 0 })).catch(() => undefined);
    await reported(h, 'True');
  });

  test('is not given where no network has routes, until one has', async () => {
    const objects = [networkObject(), ...world().slice(1)];
    await using h = await startHarness({ objects });
    await eventually('compared', () => h.daemon.parts.routes.isDone);
    await h.daemon.parts.routesReporter.report(AbortSignal.timeout(60_000));
    expect((await statusOf(h.client))?.conditions).toBeUndefined();
    await h.client.create(MULTI_NIC_NETWORKS, networkObject({ name: 'routed', ...L3 }));
    await reported(h, 'True');
  });
});
