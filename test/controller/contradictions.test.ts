// Records that contradict each other, end to end: what is out of date is put right, what is of
// equal rank is kept for whoever decides, and nobody gets an index meanwhile (design D2, D5).
import { describe, expect, test } from 'bun:test';
import { formatWorkKey } from '../../src/controller/watch/keys.ts';
import type { CidrObject } from '../../src/shared/model/objects/cidr-object.ts';
import * as kinds from '../../src/shared/platform/kube/resource.ts';
import { eventually } from '../helpers/eventually.ts';
import { type Lab, startLab, toSpec } from './harness.ts';
import { addPool } from './pools.ts';

const A = '10.1.0.0/16';

/** A CIDR object as the original leaves it, with these host indices in one net address. */
function cidrOf(indices: Record<string, number>): unknown {
  return {
    metadata: { name: 'net' },
    spec: {
      config: {
        name: 'net',
        type: 'ipvlan',
        subnet: '192.168.0.0/16',
        masterNets: [A],
        hostBlock: 6,
        interfaceBlock: 2,
        vlanMode: 'l3',
      },
      cidr: [
        {
          netAddress: A,
          interfaceIndex: 0,
          vlanCIDR: '192.168.0.0/18',
          hosts: Object.entries(indices).map(([hostName, hostIndex]) => ({
            hostIndex,
            hostName,
            interfaceName: 'eth1',
            hostIP: '10.1.0.10',
            podCIDR: `192.168.${hostIndex}.0/24`,
            ippool: `net-192.168.${hostIndex}.0-24`,
          })),
        },
      ],
    },
  };
}

async function writeCidr(lab: Lab, indices: Record<string, number>): Promise<void> {
  const stored = await lab.cidr('net');
  const wanted = Object(cidrOf(indices));
  if (stored === undefined) await lab.client.create(kinds.CIDRS, wanted);
  else await lab.client.replace(kinds.CIDRS, { ...stored, spec: wanted.spec });
}

const hostsOf = (object: CidrObject | undefined): string[] =>
  (object?.spec.cidr[0]?.hosts ?? []).map(({ hostName, hostIndex }) => `${hostName}=${hostIndex}`);

describe('contradictions', () => {
  test('two hosts with one index in the CIDR object wait until somebody decides', async () => {
    await using embedded = await startLab();
    const { lab } = embedded;
    for (const name of ['node-0', 'node-1', 'node-2']) await lab.addHost(name, A);
    await writeCidr(lab, { 'node-0': 3, 'node-1': 3 });
    await lab.addNetwork('net', toSpec());
    await lab.startController();
    const reason = 'IndexConflict';
    const { message } = await lab.untilCondition('net', 'IndicesAllocated', 'False', reason);
    expect(message).toContain('node-0, node-1');
    expect(await lab.untilIndices('node-2', 'net', 1)).toEqual({ [A]: 4 });
    await lab.untilCondition('net', 'CidrWritten', 'False', 'HeldForConflicts');
    expect(hostsOf(await lab.cidr('net'))).toEqual(['node-0=3', 'node-1=3']);
    await writeCidr(lab, { 'node-0': 3 });
    await lab.untilCondition('net', 'Ready', 'True');
    expect(await lab.indices('node-0', 'net')).toEqual({ [A]: 3 });
    expect(await lab.indices('node-1', 'net')).toEqual({ [A]: 5 });
  });

  test('a CIDR object and a pool that disagree about a host are both named', async () => {
    await using embedded = await startLab();
    const { lab } = embedded;
    await lab.addHost('node-0', A);
    await writeCidr(lab, { 'node-0': 3 });
    await addPool(lab, { name: 'net-192.168.5.0-24', network: 'net', host: 'node-0', pods: ['p'] });
    await lab.addNetwork('net', toSpec());
    await lab.startController();
    const reason = 'RecordsDisagree';
    const { message } = await lab.untilCondition('net', 'IndicesAllocated', 'False', reason);
    expect(message).toContain('3 and 5');
    expect(await lab.indices('node-0', 'net')).toEqual({});
  });

  test('a record against a published index is out of date and is put right', async () => {
    await using embedded = await startLab();
    const { lab } = embedded;
    const first = await lab.serve(A);
    await first.stop();
    await writeCidr(lab, { 'node-0': 0, 'node-9': 0 });
    await lab.addHost('node-9', A);
    await lab.startController();
    expect(await lab.untilIndices('node-9', 'net', 1)).toEqual({ [A]: 1 });
    await eventually('the CIDR object is right', async () => {
      return `${hostsOf(await lab.cidr('net'))}` === 'node-0=0,node-9=1';
    });
    await lab.untilCondition('net', 'Ready', 'True');
  });

  test('a CIDR object of another division stops everything (W-20)', async () => {
    await using embedded = await startLab();
    const { lab } = embedded;
    await lab.addHost('node-0', A);
    await writeCidr(lab, { 'node-0': 3 });
    await lab.addNetwork('net', toSpec({ hostBlock: 7 }));
    await lab.startController();
    const { message } = await lab.untilCondition('net', 'Accepted', 'False', 'ImmutableChange');
    expect(message).toContain('hostBlock changed from 6 to 7');
    expect(message).toContain('the CIDR object');
    expect(await lab.indices('node-0', 'net')).toEqual({});
  });

  test('a ledger that cannot be read is never overwritten', async () => {
    await using embedded = await startLab();
    const { lab, server } = embedded;
    const first = await lab.serve(A);
    await first.stop();
    const [ledger] = server.objects('configmaps');
    const damaged = { ...ledger, data: { 'ledger.json': '{"networkUid":' } };
    await lab.client.replace(kinds.CONFIG_MAPS, damaged);
    await lab.addHost('node-1', A);
    await lab.startController();
    const { message } = await lab.untilCondition('net', 'Accepted', 'False', 'LedgerUnreadable');
    expect(message).toContain('the ledger cannot be read');
    expect(await lab.indices('node-1', 'net')).toEqual({});
    expect(await lab.indices('node-0', 'net')).toEqual({ [A]: 0 });
    // The way out: without the ledger the indices are read from what was published.
    const { name, namespace } = Object(ledger).metadata;
    await lab.client.delete(kinds.CONFIG_MAPS, { name, namespace });
    await lab.untilCondition('net', 'Ready', 'True');
    expect(await lab.untilIndices('node-1', 'net', 1)).toEqual({ [A]: 1 });
  });

  test('a ledger that is spoilt before a claim is published late is not overwritten', async () => {
    await using embedded = await startLab();
    const { lab, server } = embedded;
    // The watch shows the ledger as it was made, and nothing that becomes of it.
    const match = { plural: 'configmaps', isWatch: true };
    server.faults.add({ action: 'reset-watch', afterEvents: 1, how: 'end', times: 1, match });
    const blind = server.faults.add({ action: 'hang', skip: 1, match });
    using publishing = server.faults.add({
      action: 'status',
      code: 500,
      match: { method: 'PATCH', plural: 'hostinterfaces' },
    });
    await lab.addHost('node-0', A);
    await lab.addNetwork('net', toSpec());
    const { running } = await lab.startController();
    await lab.untilCondition('net', 'IndicesAllocated', 'False', 'WriteFailed');
    await eventually('the watch is silent', () => blind.hits > 0);
    const [ledger] = server.objects('configmaps');
    const data = { 'ledger.json': '{"networkUid":' };
    await lab.client.replace(kinds.CONFIG_MAPS, { ...ledger, data });
    await eventually('the reason is said', async () => {
      const { message } = (await lab.network('net')).status ?? {};
      return message?.includes('the ledger of net cannot be read');
    });
    publishing[Symbol.dispose](); // not before: a run that has read the ledger would go on
    running.queue.add(formatWorkKey('network', 'net'));
    await running.queue.idle();
    expect(Object(server.objects('configmaps')[0]).data).toEqual(data);
    expect(await lab.indices('node-0', 'net')).toEqual({});
  });

  test('a ledger whose label was taken away is found all the same', async () => {
    await using embedded = await startLab();
    const { lab, server } = embedded;
    const first = await lab.serve(A);
    await first.stop();
    const { name, namespace } = Object(server.objects('configmaps')[0]).metadata;
    const body = { metadata: { labels: { 'multinic.fms.io/ledger': null } } };
    await lab.client.patch(kinds.CONFIG_MAPS, { name, namespace }, { type: 'merge', body });
    await lab.startController();
    await lab.addHost('node-1', A);
    expect(await lab.untilIndices('node-1', 'net', 1)).toEqual({ [A]: 1 });
    expect(server.objects('configmaps')).toHaveLength(1);
  });
});
