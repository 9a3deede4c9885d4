// Blocks as text and their comparisons; both families and the odd ends.
import { describe, expect, test } from 'bun:test';
import { Random, seedTitle } from '../../../../core-wasm/test/random.ts';
import { addressBits, formatAddress, parseAddress } from './address.ts';
import {
  type Cidr,
  canonicalCidr,
  cidrOf,
  containsAddress,
  containsCidr,
  equalsCidr,
  formatCidr,
  lastAddress,
  overlapsCidr,
  parseAddressInCidr,
  parseCidr,
} from './cidr.ts';

function cidr(text: string): Cidr {
  const parsed = parseCidr(text);
  if (parsed === undefined) throw new Error(`${text} is no CIDR`);
  return parsed;
}

describe('blocks that are read', () => {
  const rows = [
    '0.0.0.0/0',
    '10.0.0.0/8',
    '192.168.0.64/26',
    '10.0.0.7/32',
    '10.0.0.6/31',
    '::/0',
    'fd00::/48',
    '2001:db8::/126',
    '2001:db8::1/128',
  ];
  for (const text of rows) {
    test(text, () => expect(formatCidr(cidr(text))).toBe(text));
  }
});

describe('blocks that are refused', () => {
  const rows: [text: string, why: string][] = [
    ['', 'nothing'],
    ['10.0.0.0', 'no length'],
    ['10.0.0.0/', 'an empty length'],
    ['/8', 'no address'],
    ['10.0.0.0/33', 'a length above 32'],
    ['fd00::/129', 'a length above 128'],
    ['10.0.0.0/08', 'a leading zero'],
    ['10.0.0.0/+8', 'a sign'],
    ['10.0.0.0/-1', 'a negative length'],
    ['10.0.0.0/8.0', 'a fraction'],
    ['10.0.0.0/255.0.0.0', 'a mask'],
    ['10.0.0.0/8/8', 'two lengths'],
    ['10.0.0.0 /8', 'a space'],
    ['192.168.64.0/16', 'host bits (W-16)'],
    ['10.0.0.1/31', 'a host bit'],
    ['fd00::1/64', 'host bits'],
    ['10.0/16', 'a short address'],
    ['::ffff:10.0.0.0/104', 'IPv4-mapped'],
  ];
  for (const [text, why] of rows) {
    test(`${JSON.stringify(text)}: ${why}`, () => expect(parseCidr(text)).toBeUndefined());
  }
});

describe('host bits', () => {
  test('are cleared where they are allowed', () => {
    const parsed = parseCidr('192.168.64.0/16', { allowHostBits: true });
    expect(parsed && formatCidr(parsed)).toBe('192.168.0.0/16');
  });

  test('are kept beside the block where an address is meant', () => {
    const parsed = parseAddressInCidr('10.0.1.5/24');
    expect(parsed && formatAddress(parsed.address)).toBe('10.0.1.5');
    expect(parsed && formatCidr(parsed.cidr)).toBe('10.0.1.0/24');
  });

  test('do not make two keys of one net address', () => {
    expect(canonicalCidr('FD00:0:0:1::5/64')).toBe('fd00:0:0:1::/64');
    expect(canonicalCidr('10.0.1.5/24')).toBe('10.0.1.0/24');
    expect(canonicalCidr('10.0.1.5')).toBeUndefined();
  });
});

describe('comparisons', () => {
  const rows: [a: string, b: string, relation: 'contains' | 'inside' | 'same' | 'apart'][] = [
    ['10.0.0.0/8', '10.255.0.0/16', 'contains'],
    ['10.0.0.0/8', '10.0.0.0/8', 'same'],
    ['10.1.0.0/16', '10.0.0.0/8', 'inside'],
    ['10.0.0.0/8', '11.0.0.0/8', 'apart'],
    ['0.0.0.0/0', '::/0', 'apart'],
    ['::/0', 'fd00::1/128', 'contains'],
    ['2001:db8::/64', '2001:db8:0:1::/64', 'apart'],
    ['255.255.255.255/32', '255.255.255.254/31', 'inside'],
  ];
  for (const [left, right, relation] of rows) {
    test(`${left} and ${right}: ${relation}`, () => {
      const [a, b] = [cidr(left), cidr(right)];
      const isSame = relation === 'same';
      expect(containsCidr(a, b)).toBe(isSame || relation === 'contains');
      expect(containsCidr(b, a)).toBe(isSame || relation === 'inside');
      expect(overlapsCidr(a, b)).toBe(relation !== 'apart');
      expect(equalsCidr(a, b)).toBe(isSame);
    });
  }

  test('an address of the other family is in no block', () => {
    const address = parseAddress('::1');
    expect(address && containsAddress(cidr('0.0.0.0/0'), address)).toBe(false);
  });

  test('the last address ends the block', () => {
    expect(lastAddress(cidr('10.0.0.0/30'))).toBe(0x0a000003n);
    expect(lastAddress(cidr('::/0'))).toBe((1n << 128n) - 1n);
  });
});

test(`a block holds exactly its addresses (${seedTitle})`, () => {
  const random = new Random(502);
  for (let round = 0; round < 2000; round++) {
    const family = random.oneIn(2) ? 4 : 6;
    const bits = addressBits[family];
    const value = random.bits(bits);
    const block = cidrOf({ family, value }, random.between(0, bits));
    expect(containsAddress(block, { family, value })).toBe(true);
    const [before, after] = [block.base - 1n, lastAddress(block) + 1n];
    if (before >= 0n) expect(containsAddress(block, { family, value: before })).toBe(false);
    if (after < 1n << BigInt(bits)) {
      expect(containsAddress(block, { family, value: after })).toBe(false);
    }
  }
});
