// More than the objects of the API can hold, and what a network says then.
import { describe, expect, test } from 'bun:test';
import { startLab, toSpec } from './harness.ts';

/** Every NIC has a subnet of its own, as in fabrics that are routed down to the host. */
function ownNets(host: number, count: number): string[] {
  return Array.from({ length: count }, (_, nic) => `10.${host}.${nic}.0/24`);
}

describe('limits', () => {
  test('net addresses beyond those that a status can hold are named, the others served', async () => {
    await using embedded = await startLab();
    const { lab } = embedded;
    for (let host = 0; host < 5; host++) {
      await lab.addHost(`node-${host}`, ...ownNets(host, 250));
    }
    await lab.addNetwork(
      'net',
      toSpec({ subnet: '172.16.0.0/12', interfaceBlock: 11, hostBlock: 3 }),
    );
    await lab.startController();
    const reason = 'TooManyNetAddresses';
    const { message } = await lab.untilCondition('net', 'IndicesAllocated', 'False', reason);
    expect(message).toContain('a network can have 1024 net addresses');
    await lab.untilIndices('node-0', 'net', 250);
    await lab.untilIndices('node-4', 'net', 24);
    expect((await lab.network('net')).status?.interfaceIndices).toHaveLength(1024);
  });

  test('a CIDR object lists more net addresses than a user could', async () => {
    await using embedded = await startLab();
    const { lab } = embedded;
    for (let host = 0; host < 2; host++) {
      await lab.addHost(`node-${host}`, ...ownNets(host, 200));
    }
    await lab.addNetwork(
      'net',
      toSpec({ subnet: '172.16.0.0/12', interfaceBlock: 9, hostBlock: 3 }),
    );
    const { running } = await lab.startController();
    await lab.untilCondition('net', 'CidrWritten', 'True');
    await lab.untilCondition('net', 'Ready', 'True');
    expect((await lab.cidr('net'))?.spec.config.masterNets).toHaveLength(400);
    await running.queue.idle();
    expect(lab.log.filter((line) => line.includes('reconcile failed'))).toEqual([]);
  });
});
