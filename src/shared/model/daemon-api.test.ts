// The socket protocol: requests are strict, answers may grow.
import { describe, expect, test } from 'bun:test';
import * as v from 'valibot';
import { CniReply, CniRequest, SpooledRequest, spoolFileName } from './daemon-api.ts';

const request = {
  requestId: '0f3c-9',
  command: 'DEL',
  containerId: 'a51debf7e1eb',
  netns: '/run/netns/x',
  ifName: 'net1',
  args: 'IgnoreUnknown=1;K8S_POD_NAME=w0',
  path: '/opt/cni/bin',
  config: { cniVersion: '0.3.0', name: 'net', plugin: { type: 'ipvlan' }, extra: { a: 1 } },
};

describe('a request', () => {
  test('is read as it is, with unknown members of the configuration', () => {
    expect<unknown>(v.parse(CniRequest, request)).toEqual(request);
  });

  test('of GC and STATUS has empty values', () => {
    const empty = { ...request, containerId: '', ifName: '', netns: '', args: '' };
    for (const command of ['GC', 'STATUS']) {
      expect(v.safeParse(CniRequest, { ...empty, command }).success).toBe(true);
    }
  });

  const refused: [says: string, change: Record<string, unknown>][] = [
    ['an unknown member', { ifname: 'net1' }],
    ['no request id', { requestId: undefined }],
    ['an odd request id', { requestId: 'a b' }],
    ['a long request id', { requestId: 'a'.repeat(65) }],
    ['an unknown verb', { command: 'VERSION' }],
    ['a verb in lower case', { command: 'add' }],
    ['a container ID that is a path', { containerId: '../../etc/passwd' }],
    ['an interface name that is a path', { ifName: 'a/b' }],
    ['a long interface name', { ifName: 'a'.repeat(16) }],
    ['a netns of 5000 characters', { netns: `/${'a'.repeat(5000)}` }],
    ['args that are a list', { args: [] }],
    ['no configuration', { config: undefined }],
    ['a configuration without plugin', { config: { name: 'net' } }],
    ['a configuration that is a list', { config: [] }],
  ];
  for (const [says, change] of refused) {
    test(`is refused with ${says}`, () => {
      expect(v.safeParse(CniRequest, { ...request, ...change }).success).toBe(false);
    });
  }
});

describe('a reply', () => {
  test('of ADD has a result and its pools', () => {
    const reply = {
      result: { cniVersion: '1.1.0', ips: [{ address: '192.168.0.65/18', interface: 0 }] },
      pools: [
        {
          name: 'net-192.168.0.64-26',
          podCidr: '192.168.0.64/26',
          excludes: ['192.168.0.70/32'],
          vlanCidr: '192.168.0.0/18',
          addresses: ['192.168.0.65/18'],
        },
      ],
      families: [4],
      later: 'kept',
    };
    expect<unknown>(v.parse(CniReply, reply)).toEqual(reply);
  });

  test('of DEL is empty', () => expect(v.parse(CniReply, {})).toEqual({}));

  const refused: [says: string, value: unknown][] = [
    [
      'an address without length',
      { result: { cniVersion: '1.1.0', ips: [{ address: '10.0.0.1' }] } },
    ],
    ['a family that does not exist', { families: [5] }],
    ['a pool without name', { pools: [{ podCidr: 'x' }] }],
    ['null', null],
    ['text', 'ok'],
  ];
  for (const [says, value] of refused) {
    test(`is refused: ${says}`, () => expect(v.safeParse(CniReply, value).success).toBe(false));
  }
});

describe('a spooled request', () => {
  const spooledAt = '2026-11-21T13:20:00.123Z';

  test('is a DEL with its time', () => {
    expect<unknown>(v.parse(SpooledRequest, { ...request, spooledAt })).toEqual({
      ...request,
      spooledAt,
    });
  });

  for (const change of [{ command: 'ADD' }, { spooledAt: 'yesterday' }, { spooledAt: undefined }]) {
    test(`is refused with ${JSON.stringify(change)}`, () => {
      const value = { ...request, spooledAt, ...change };
      expect(v.safeParse(SpooledRequest, value).success).toBe(false);
    });
  }

  test('has a file name of its own', () => {
    const name = spoolFileName({ containerId: 'abc', ifName: 'net1', random: 'r4nd' });
    expect(name).toBe('abc-net1-r4nd.json');
  });
});
