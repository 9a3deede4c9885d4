// The patterns of admission: what Go will accept and refuse, tried here with the same texts.
import { describe, expect, test } from 'bun:test';
import { parseAddress } from '../ip/address.ts';
import { parseCidr } from '../ip/cidr.ts';
import * as patterns from './patterns.ts';

const byName = new Map<string, string>(Object.entries(patterns));

const table: [pattern: string, accepted: string[], refused: string[]][] = [
  [
    'SUBNET_PATTERN',
    ['', '10.0.0.0/8', 'fd00::/48', '10.0.0.0/8,fd00::/48', 'fd00::/48,10.0.0.0/8'],
    [
      ' ',
      '10.0.0.0',
      '10.0.0.0/33',
      '10.0.0.0/08',
      '010.0.0.0/8',
      '10.0.0.0/8,',
      '10.0.0.0/8, fd00::/48',
      '10.0.0.0/8,11.0.0.0/8',
      'fd00::/48,fd01::/48',
      '10.0.0.0/8,fd00::/48,fd01::/48',
      'fd00::/129',
      '::ffff:10.0.0.0/104',
      '10.0.0.0/8\n',
      'x',
    ],
  ],
  ['CIDR_PATTERN', ['0.0.0.0/0', '10.0.0.7/32', '::/0', 'FD00::/64'], ['', '10.0.0.0', '1.2/8']],
  ['CIDR_OR_EMPTY_PATTERN', ['', '10.0.0.0/8'], ['10.0.0.0', ' ']],
  ['CIDR_OR_ADDRESS_PATTERN', ['10.0.0.9', '10.0.0.0/8', 'fd00::1'], ['', '10.0.0.9/', 'bad/26']],
  ['ADDRESS_PATTERN', ['10.0.0.1', '::1', 'fe80::1'], ['', '10.0.0.1/24', '256.0.0.1', '10.1']],
  ['ADDRESS_OR_EMPTY_PATTERN', ['', '10.0.0.1'], ['host', '10.0.0.1 ']],
  [
    'JSON_OBJECT_PATTERN',
    ['', ' ', '{}', '{"type": "x"}', '\n{\n  "a": {}\n}\n', '{broken}'],
    ['type: multi-nic-ipam', '[]', 'null', '5', '"x"', '{', '}', '{} x', 'x {}'],
  ],
  ['INTERFACE_NAME_PATTERN', ['eth1', 'ens1f0np0', 'eth1.100', 'br-ex'], ['', 'a b', 'a/b', 'a:b']],
  ['NAMESPACE_PATTERN', ['default', 'a', 'team-a', '1'], ['', 'Team', '-a', 'a-', 'a.b', 'a_b']],
  ['PCI_ADDRESS_PATTERN', ['', '0000:00:04.0', '10000:0a:FF.7'], ['00:04.0', '0000:00:04.8', 'x']],
  ['PCI_ID_PATTERN', ['15b3', 'efa0', '0x15b3'], ['', '15b3 ', '15-b3']],
  ['EXECUTABLE_PATTERN', ['ipvlan', 'host-device', 'a.b_c'], ['', '../x', 'a/b', '-a', '.a']],
  ['URL_PATH_PATTERN', ['/join', '/', '/v1/add-l3'], ['', 'join', '/a?b', '/a b']],
];

for (const [name, accepted, refused] of table) {
  describe(name, () => {
    const pattern = new RegExp(byName.get(name) ?? 'no such pattern', 'u');
    for (const text of accepted) {
      test(`accepts ${JSON.stringify(text)}`, () => expect(pattern.test(text)).toBe(true));
    }
    for (const text of refused) {
      test(`refuses ${JSON.stringify(text)}`, () => expect(pattern.test(text)).toBe(false));
    }
  });
}

test('patterns use nothing that Go lacks', () => {
  for (const pattern of byName.values()) {
    expect(pattern).not.toMatch(/\(\?[=!<]|\\[1-9]|\\p/);
    expect(pattern).toStartWith('^');
    expect(pattern).toEndWith('$');
  }
});

test('what our own reading accepts, admission accepts', () => {
  for (const text of [
    '10.0.0.1',
    '0.0.0.0',
    '255.255.255.255',
    '::',
    'fd00::1',
    '1:2:3:4:5:6:7:8',
  ]) {
    expect(parseAddress(text)).toBeDefined();
    expect(new RegExp(patterns.ADDRESS_PATTERN).test(text)).toBe(true);
  }
  for (const text of ['0.0.0.0/0', '10.0.0.0/9', '10.0.0.7/32', '::/0', 'fd00::/109', '::1/128']) {
    expect(parseCidr(text)).toBeDefined();
    expect(new RegExp(patterns.CIDR_PATTERN).test(text)).toBe(true);
  }
});
