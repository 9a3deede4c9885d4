// CHECK against the result of the ADD, as a runtime passes it: what it says of our interfaces has to
// be what the journal and the pod have, and what it says of others' interfaces is not our business.
import { describe, expect, setDefaultTimeout, test } from 'bun:test';
import type { CniResult } from '../../src/shared/model/cni/result.ts';
import { cniRequest, createFakeHost, type Harness, send, startHarness } from './harness.ts';

setDefaultTimeout(120_000);

async function attached(): Promise<{ h: Harness; result: CniResult }> {
  const hostNet = createFakeHost();
  hostNet.addNetns('/run/netns/c1');
  const h = await startHarness({ hostNet });
  const { reply } = await send(h.socket, cniRequest('ADD'));
  if (reply.result === undefined) throw new Error('no result');
  return { h, result: reply.result };
}

const check = (h: Harness, prevResult: unknown, cniVersion = '1.1.0') =>
  send(h.socket, cniRequest('CHECK', { config: { cniVersion, prevResult } }));

/** The same result with one interface or address changed. */
function change(
  result: CniResult,
  o: { interface?: Record<string, unknown>; ip?: Record<string, unknown> },
): CniResult {
  const { interfaces = [], ips = [] } = result;
  const replaceFirst = <T>(list: T[], members: Record<string, unknown> = {}): T[] =>
    list.map((entry, index) => (index === 0 ? { ...entry, ...members } : entry));
  return {
    ...result,
    interfaces: replaceFirst(interfaces, o.interface),
    ips: replaceFirst(ips, o.ip),
  };
}

describe('CHECK with the result of the ADD', () => {
  test('succeeds with the result itself, and behind plugins that had added theirs', async () => {
    const { h, result } = await attached();
    await using _ = h;
    expect((await check(h, result)).status).toBe(200);
    const chained = {
      ...result,
      interfaces: [{ name: 'eth0', sandbox: '/run/netns/c1' }, ...(result.interfaces ?? [])],
      ips: [
        { address: '10.244.0.7/24', interface: 0 },
        ...(result.ips ?? []).map((ip) => ({ ...ip, interface: (ip.interface ?? 0) + 1 })),
      ],
    };
    expect((await check(h, chained)).status).toBe(200);
  });

  test('of an old version that has no MTU and no MAC succeeds', async () => {
    const { h, result } = await attached();
    await using _ = h;
    const old = {
      cniVersion: '0.4.0',
      interfaces: (result.interfaces ?? []).map(({ name, sandbox }) => ({ name, sandbox })),
      ips: (result.ips ?? []).map((ip) => ({ ...ip, version: '4' })),
    };
    expect((await check(h, old, '0.4.0')).status).toBe(200);
  });

  const changes: [string, (result: CniResult) => CniResult, string][] = [
    [
      'another MTU',
      (result) => change(result, { interface: { mtu: 1300 } }),
      'net1-0 has MTU 1500, not 1300',
    ],
    [
      'another MAC',
      (result) => change(result, { interface: { mac: '02:00:00:00:00:77' } }),
      'not 02:00:00:00:00:77',
    ],
    [
      'another address',
      (result) => change(result, { ip: { address: '192.168.0.77/18' } }),
      'net1-0 holds 192.168.0.1/18, not 192.168.0.77/18',
    ],
    [
      'an address without its own',
      (result) => ({ ...result, ips: (result.ips ?? []).slice(1) }),
      'net1-0 holds 192.168.0.1/18, not nothing',
    ],
    [
      'an interface less',
      (result) => ({ ...result, interfaces: (result.interfaces ?? []).slice(0, -1) }),
      'the result has no interface net1-3',
    ],
    [
      'the interface outside of the pod',
      (result) => change(result, { interface: { sandbox: '' } }),
      'the result has no interface net1-0',
    ],
  ];
  test.each(changes)('that has %s fails', async (_title, changed, text) => {
    const { h, result } = await attached();
    await using _ = h;
    const answer = await check(h, changed(result));
    expect(answer.problem.type).toBe('urn:multi-nic:problem:check-failed');
    expect(answer.problem.detail).toContain(text);
  });

  test('that cannot be read is refused as undecodable', async () => {
    const { h } = await attached();
    await using _ = h;
    const answer = await check(h, { cniVersion: '1.1.0', ips: [{ address: 'here' }] });
    expect(answer.problem.type).toBe('urn:multi-nic:problem:decode-failed');
  });
});
