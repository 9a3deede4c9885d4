// What a run decided on can change while it waits for an answer of the API server. Each test holds
// one answer back until it has.
import { describe, expect, setDefaultTimeout, test } from 'bun:test';
import { LEDGER_KEY, LEDGER_LABEL, LEDGER_NAME_PREFIX } from '../../src/shared/model/names.ts';
import * as kinds from '../../src/shared/platform/kube/resource.ts';
import { eventually } from '../helpers/eventually.ts';
import { type Lab, NAMESPACE, startLab, toSpec } from './harness.ts';

setDefaultTimeout(120_000);

const A = '10.1.0.0/16';
const userAgent = 'controller';

async function untilObserved(lab: Lab, name: string): Promise<void> {
  await eventually(`the controller has looked at ${name}`, async () => {
    const { metadata, status } = await lab.network(name);
    return status?.observedGeneration === metadata.generation;
  });
}

describe('while a ledger is being written', () => {
  test('another network over the same addresses is not accepted as well', async () => {
    // Both are of the same second: then the name decides, and the later one has the better name.
    const nowMs = Date.parse('2026-01-01T00:00:00Z');
    await using embedded = await startLab({ now: () => nowMs });
    const { lab, server } = embedded;
    await lab.addHost('node-0', A);
    const { running } = await lab.startController();
    using writing = server.faults.add({
      action: 'delay',
      delayMs: 1_000,
      times: 1,
      match: { method: 'POST', plural: 'configmaps', userAgent },
    });
    await lab.addNetwork('net-b', toSpec());
    await eventually('it is being written', () => writing.hits === 1);
    await lab.addNetwork('net-a', toSpec());
    for (const name of ['net-a', 'net-b']) await untilObserved(lab, name);
    await running.queue.idle();
    expect(await lab.indices('node-0', 'net-b')).toEqual({ [A]: 0 });
    expect(await lab.indices('node-0', 'net-a')).toEqual({});
    await lab.untilCondition('net-a', 'Accepted', 'False', 'SubnetOverlap');
  });

  test('one that comes for other addresses is not written over', async () => {
    await using embedded = await startLab();
    const { lab, server } = embedded;
    await lab.addHost('node-0', A);
    await lab.startController();
    using writing = server.faults.add({
      action: 'delay',
      delayMs: 1_000,
      times: 1,
      match: { method: 'POST', plural: 'configmaps', userAgent },
    });
    const { metadata } = await lab.addNetwork('net', toSpec({ subnet: '172.16.0.0/16' }));
    await eventually('it is being written', () => writing.hits === 1);
    // As the leader before, which saw the network before its subnet was changed.
    const ledger = JSON.stringify({
      networkUid: metadata.uid,
      division: { subnet: '192.168.0.0/16', interfaceBits: 2, hostBits: 6 },
      nets: [{ netAddress: A, interfaceIndex: 0, hosts: 'AQ==' }],
    });
    const key = { name: `${LEDGER_NAME_PREFIX}net`, namespace: NAMESPACE };
    await lab.client.create(kinds.CONFIG_MAPS, {
      metadata: { ...key, labels: { [LEDGER_LABEL]: 'true' } },
      data: { [LEDGER_KEY]: ledger },
    });
    const { message } = await lab.untilCondition('net', 'Accepted', 'False', 'ImmutableChange');
    expect(message).toContain('subnet changed from 192.168.0.0/16 to 172.16.0.0/16');
    const stored = kinds.parseNamed(await lab.client.get(kinds.CONFIG_MAPS, key));
    expect(stored).toMatchObject({ data: { [LEDGER_KEY]: ledger } });
    expect(await lab.indices('node-0', 'net')).toEqual({});
  });
});

test('no host has an index before the status says what it stands for', async () => {
  await using embedded = await startLab();
  const { lab, server } = embedded;
  const first = await lab.startController();
  await lab.addNetwork('net', toSpec({ masterNets: [A] }));
  const subnet = async (): Promise<string | undefined> =>
    (await lab.network('net')).status?.division?.subnet;
  await eventually('the division is published', async () => {
    return (await subnet()) === '192.168.0.0/16';
  });
  await first.stop();
  // Nobody holds an index, so both may change.
  const patch = { type: 'merge', body: { spec: { subnet: '172.16.0.0/16' } } } as const;
  await lab.client.patch(kinds.MULTI_NIC_NETWORKS, { name: 'net' }, patch);
  await lab.addHost('node-0', A);
  const refused = server.faults.add({
    action: 'status',
    code: 500,
    match: { method: 'PATCH', plural: 'multinicnetworks', subresource: 'status', userAgent },
  });
  await lab.startController();
  await eventually('it was tried twice', () => refused.hits >= 2);
  expect(await lab.indices('node-0', 'net')).toEqual({});
  refused[Symbol.dispose]();
  await lab.untilIndices('node-0', 'net', 1);
  expect(await subnet()).toBe('172.16.0.0/16');
});
