// NetworkAttachmentDefinitions end to end: where they appear, go, come back, and whose they are.
import { describe, expect, test } from 'bun:test';
import type { NetAttachDef } from '../../src/shared/model/objects/net-attach-def.ts';
import { watchCollection } from '../../src/shared/platform/kube/collection.ts';
import * as kinds from '../../src/shared/platform/kube/resource.ts';
import { createLogger } from '../../src/shared/platform/log.ts';
import { NAD_CRD } from '../helpers/crds.ts';
import { eventually } from '../helpers/eventually.ts';
import { type Lab, startLab, toSpec } from './harness.ts';

const A = '10.1.0.0/16';

async function nad(lab: Lab, namespace: string): Promise<NetAttachDef | undefined> {
  return await lab.client.get(kinds.NET_ATTACH_DEFS, { name: 'net', namespace });
}

const untilThere = (lab: Lab, namespace: string): Promise<NetAttachDef> =>
  eventually(`a definition in ${namespace}`, () => nad(lab, namespace));

const untilGone = (lab: Lab, namespace: string): Promise<true> =>
  eventually(
    `no definition in ${namespace}`,
    async () => (await nad(lab, namespace)) === undefined || undefined,
  );

/** Generation and reason of every version of a condition of `net`, as they come. */
async function seeReasons(
  lab: Lab,
  type: string,
): Promise<{ readonly reasons: ReadonlySet<string> } & Disposable> {
  const reasons = new Set<string>();
  const stop = new AbortController();
  const collection = watchCollection({
    client: lab.cluster.newClient('referee'),
    resource: kinds.MULTI_NIC_NETWORKS,
    project: ({ status }) => {
      const found = status?.conditions?.find((condition) => condition.type === type);
      if (found !== undefined) reasons.add(`${found.observedGeneration} ${found.reason}`);
    },
    onChange: () => undefined,
    signal: stop.signal,
    log: createLogger({ component: 'referee', write: () => undefined }),
  });
  await collection.synced;
  return { reasons, [Symbol.dispose]: () => stop.abort(new Error('the test is over')) };
}

describe('definitions', () => {
  test('appear in a namespace that is made later (W-67)', async () => {
    await using embedded = await startLab();
    const { lab } = embedded;
    await lab.serve(A);
    await lab.addNamespace('late');
    await untilThere(lab, 'late');
  });

  test('W-40: one deleted by hand comes back, one changed by hand is put right', async () => {
    await using embedded = await startLab();
    const { lab } = embedded;
    await lab.addHost('node-0', A);
    await lab.addNetwork('net', toSpec());
    await lab.startController();
    const before = await untilThere(lab, 'default');
    const key = { name: 'net', namespace: 'default' };
    await lab.client.delete(kinds.NET_ATTACH_DEFS, key);
    const after = await eventually('another definition', async () => {
      const object = await nad(lab, 'default');
      return object?.metadata.uid !== before.metadata.uid ? object : undefined;
    });
    expect(after.spec).toEqual(before.spec);
    const body = { spec: { config: '{}' }, metadata: { ownerReferences: [] } };
    await lab.client.patch(kinds.NET_ATTACH_DEFS, key, { type: 'merge', body });
    await eventually('the text is back', async () => {
      const object = await nad(lab, 'default');
      return object?.spec?.config === before.spec?.config;
    });
    expect((await nad(lab, 'default'))?.metadata.ownerReferences).toHaveLength(1);
  });

  test('W-62: go where the list of namespaces no longer wants them', async () => {
    await using embedded = await startLab({ namespaces: ['team-a', 'team-b'] });
    const { lab } = embedded;
    await lab.addHost('node-0', A);
    await lab.addNetwork('net', toSpec({ namespaces: ['team-a', 'not-there'] }));
    await lab.startController();
    await untilThere(lab, 'team-a');
    const { message } = await lab.untilCondition('net', 'NadsReady', 'True', 'Applied');
    expect(message).toContain('not-there');
    expect(await nad(lab, 'default')).toBeUndefined();
    const body = { spec: { namespaces: ['team-b'] } };
    await lab.client.patch(kinds.MULTI_NIC_NETWORKS, { name: 'net' }, { type: 'merge', body });
    await untilThere(lab, 'team-b');
    await untilGone(lab, 'team-a');
  });

  test('W-69: one of somebody else is neither changed nor deleted, and is named', async () => {
    await using embedded = await startLab();
    const { lab, server } = embedded;
    const foreign = {
      metadata: { name: 'net', namespace: 'default' },
      spec: { config: '{"a":1}' },
    };
    await lab.client.create(kinds.NET_ATTACH_DEFS, foreign);
    await lab.addHost('node-0', A);
    await lab.addNetwork('net', toSpec());
    await lab.startController();
    const { message } = await lab.untilCondition('net', 'NadsReady', 'False', 'ForeignNad');
    expect(message).toContain('default');
    expect((await nad(lab, 'default'))?.spec?.config).toBe('{"a":1}');
    await lab.client.delete(kinds.MULTI_NIC_NETWORKS, { name: 'net' });
    await eventually('the network is gone', () => server.objects('multinicnetworks').length === 0);
    expect((await nad(lab, 'default'))?.spec?.config).toBe('{"a":1}');
  });

  test('W-59: metadata of users stays, ours is merged into it', async () => {
    await using embedded = await startLab();
    const { lab } = embedded;
    await lab.addHost('node-0', A);
    await lab.addNetwork('net', toSpec());
    await lab.startController();
    await untilThere(lab, 'default');
    const key = { name: 'net', namespace: 'default' };
    const labels = { mine: 'yes', 'multi-nic-cni-generated': null };
    const body = { metadata: { labels, annotations: { note: 'kept' } } };
    await lab.client.patch(kinds.NET_ATTACH_DEFS, key, { type: 'merge', body });
    const repaired = await eventually('our label is back', async () => {
      const object = await nad(lab, 'default');
      return object?.metadata.labels?.['multi-nic-cni-generated'] === 'true' ? object : undefined;
    });
    expect(repaired.metadata.labels).toMatchObject({ mine: 'yes' });
    expect(repaired.metadata.annotations).toEqual({ note: 'kept' });
  });

  test('W-52: a namespace that refuses is named, the others are served', async () => {
    await using embedded = await startLab({ namespaces: ['team-a', 'team-b'] });
    const { lab, server } = embedded;
    await lab.addHost('node-0', A);
    await lab.addNetwork('net', toSpec());
    const match = { method: 'POST', namespace: 'team-a', plural: 'network-attachment-definitions' };
    server.faults.add({ action: 'status', code: 403, match });
    await lab.startController();
    const { message } = await lab.untilCondition('net', 'NadsReady', 'False', 'WriteFailed');
    expect(message).toContain('team-a');
    await untilThere(lab, 'team-b');
    expect((await lab.network('net')).status?.configStatus).toBe('Failed');
  });

  test('one that somebody else wrote in between is looked at again at once', async () => {
    await using embedded = await startLab();
    const { lab, server } = embedded;
    await lab.serve(A, toSpec({ namespaces: ['default'] }));
    using seen = await seeReasons(lab, 'NadsReady');
    const match = { method: 'PATCH', plural: 'network-attachment-definitions' };
    using conflict = server.faults.add({ action: 'status', code: 409, times: 1, match });
    const body = { spec: { plugin: { args: { mode: 'l3', mtu: '9000' } } } };
    await lab.client.patch(kinds.MULTI_NIC_NETWORKS, { name: 'net' }, { type: 'merge', body });
    await eventually('the definition follows', async () => {
      const { spec } = (await nad(lab, 'default')) ?? {};
      return conflict.hits === 1 && spec?.config?.includes('"mtu":9000') === true;
    });
    await eventually('the change is seen', () => seen.reasons.has('2 Applied'));
    expect([...seen.reasons]).toEqual(['1 Applied', '2 Applied']);
  });

  test('a namespace that is seen to end late is no failure', async () => {
    await using embedded = await startLab({ namespaces: ['team-a'] });
    const { lab, server } = embedded;
    server.faults.add({ action: 'hang', match: { plural: 'namespaces', isWatch: true } });
    const { running } = await lab.serve(A);
    using seen = await seeReasons(lab, 'NadsReady');
    await lab.client.delete(kinds.NAMESPACES, { name: 'team-a' });
    await lab.client.delete(kinds.NET_ATTACH_DEFS, { name: 'net', namespace: 'team-a' });
    await eventually('a definition is tried', () =>
      server.seen.some(({ method, path }) => method === 'POST' && path.includes('/team-a/')),
    );
    await running.queue.idle();
    expect([...seen.reasons]).toEqual(['1 Applied']);
  });

  test('the kind may be missing at first: a condition says so, and then they appear', async () => {
    await using embedded = await startLab({ hasNadKind: false });
    const { lab } = embedded;
    await lab.addHost('node-0', A);
    await lab.addNetwork('net', toSpec());
    await lab.startController();
    const { message } = await lab.untilCondition('net', 'NadsReady', 'False', 'WaitingForNadKind');
    expect(message).toContain('Multus is not installed');
    expect((await lab.network('net')).status?.configStatus).toBe('WaitForConfig');
    expect(await lab.indices('node-0', 'net')).toEqual({ [A]: 0 }); // indices do not wait for it
    await lab.client.create(kinds.CRDS, NAD_CRD);
    await eventually('a definition', () => nad(lab, 'default'));
    await lab.untilCondition('net', 'Ready', 'True');
  });

  test('a network can be deleted while the kind is missing', async () => {
    await using embedded = await startLab({ hasNadKind: false });
    const { lab, server } = embedded;
    await lab.addHost('node-0', A);
    await lab.addNetwork('net', toSpec());
    await lab.startController();
    await lab.untilCondition('net', 'NadsReady', 'False');
    await lab.client.delete(kinds.MULTI_NIC_NETWORKS, { name: 'net' });
    await eventually('the network is gone', () => server.objects('multinicnetworks').length === 0);
  });

  test('a changed plugin argument reaches every namespace', async () => {
    await using embedded = await startLab({ namespaces: ['team-a'] });
    const { lab } = embedded;
    await lab.addHost('node-0', A);
    await lab.addNetwork('net', toSpec());
    await lab.startController();
    await untilThere(lab, 'team-a');
    const body = { spec: { plugin: { args: { mtu: '8900' } } } };
    await lab.client.patch(kinds.MULTI_NIC_NETWORKS, { name: 'net' }, { type: 'merge', body });
    for (const namespace of ['default', 'team-a']) {
      await eventually(`mtu in ${namespace}`, async () => {
        return (await nad(lab, namespace))?.spec?.config?.includes('"mtu":8900');
      });
    }
  });

  test('W-60, W-20: a net address that appears later joins the list in numeric order', async () => {
    await using embedded = await startLab();
    const { lab } = embedded;
    await lab.addHost('node-0', '10.20.0.0/16');
    await lab.addNetwork('net', toSpec());
    await lab.startController();
    await untilThere(lab, 'default');
    await lab.addHost('node-1', '10.3.0.0/16');
    await eventually('both net addresses', async () => {
      const config = (await nad(lab, 'default'))?.spec?.config ?? '';
      return config.includes('"masterNets":["10.3.0.0/16","10.20.0.0/16"]');
    });
    // The status is written after the definitions.
    const indices = await eventually('both interface indices', async () => {
      const { status } = await lab.network('net');
      return status?.interfaceIndices?.length === 2 ? status.interfaceIndices : undefined;
    });
    expect(indices).toEqual([
      { netAddress: '10.20.0.0/16', interfaceIndex: 0 },
      { netAddress: '10.3.0.0/16', interfaceIndex: 1 },
    ]);
  });
});
