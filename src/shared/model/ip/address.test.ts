// Addresses as text: what is read, what is refused, and that writing and reading agree.
import { describe, expect, test } from 'bun:test';
import { Random, seedTitle } from '../../../../core-wasm/test/random.ts';
import { formatAddress, ipv6Groups, parseAddress } from './address.ts';

describe('addresses that are read', () => {
  const rows: [text: string, family: 4 | 6, value: bigint, canonical: string][] = [
    ['0.0.0.0', 4, 0n, '0.0.0.0'],
    ['10.0.0.1', 4, 0x0a000001n, '10.0.0.1'],
    ['255.255.255.255', 4, 0xffffffffn, '255.255.255.255'],
    ['192.168.100.20', 4, 0xc0a86414n, '192.168.100.20'],
    ['::', 6, 0n, '::'],
    ['::1', 6, 1n, '::1'],
    ['fd00::', 6, 0xfd00n << 112n, 'fd00::'],
    ['FD00::ABCD', 6, (0xfd00n << 112n) | 0xabcdn, 'fd00::abcd'],
    ['2001:0db8:0000:0000:0001:0000:0000:0001', 6, 0x20010db8000000000001000000000001n, ''],
    ['2001:db8::1:0:0:1', 6, 0x20010db8000000000001000000000001n, '2001:db8::1:0:0:1'],
    ['ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', 6, (1n << 128n) - 1n, ''],
    ['1:2:3:4:5:6:7::', 6, 0x00010002000300040005000600070000n, '1:2:3:4:5:6:7:0'],
    ['::2:3:4:5:6:7:8', 6, 0x00000002000300040005000600070008n, '0:2:3:4:5:6:7:8'],
    ['::fffe:102:304', 6, 0xfffe01020304n, '::fffe:102:304'],
  ];
  for (const [text, family, value, canonical] of rows) {
    test(text, () => {
      expect(parseAddress(text)).toEqual({ family, value });
      if (canonical !== '') expect(formatAddress({ family, value })).toBe(canonical);
    });
  }
});

describe('addresses that are refused', () => {
  const rows: [text: string, why: string][] = [
    ['', 'nothing'],
    ['10.1', 'two parts, which some read as 10.0.0.1'],
    ['10.0.0', 'three parts'],
    ['10.0.0.1.2', 'five parts'],
    ['010.0.0.1', 'a leading zero, which some read as octal'],
    ['10.0.0.00', 'a leading zero'],
    ['0x0a.0.0.1', 'hexadecimal'],
    ['167772161', 'one number'],
    ['256.0.0.1', 'a part above 255'],
    ['10.0.0.1000', 'four digits'],
    ['-1.0.0.0', 'a sign'],
    ['+1.0.0.0', 'a sign'],
    ['1e1.0.0.0', 'an exponent'],
    [' 10.0.0.1', 'a space'],
    ['10.0.0.1 ', 'a space'],
    ['10.0.0.1\n', 'a line end'],
    ['10.0.0.', 'an empty part'],
    ['１０.0.0.1', 'digits of another script'],
    ['10.0.0.1/24', 'a prefix length'],
    [':', 'no group'],
    [':::', 'three colons'],
    ['1::2::3', 'two gaps'],
    ['1:2:3:4:5:6:7', 'seven groups'],
    ['1:2:3:4:5:6:7:8:9', 'nine groups'],
    ['1:2:3:4::5:6:7:8', 'a gap for nothing'],
    ['12345::', 'a group of five digits'],
    ['g::', 'not hexadecimal'],
    [':1:2:3:4:5:6:7', 'an empty first group'],
    ['1:2:3:4:5:6:7:', 'an empty last group'],
    ['fe80::1%eth0', 'a zone'],
    ['::1.2.3.4', 'IPv4 inside'],
    ['::ffff:1.2.3.4', 'IPv4-mapped'],
    ['::ffff:102:304', 'IPv4-mapped, spelled in hexadecimal'],
    ['0:0:0:0:0:FFFF:0102:0304', 'IPv4-mapped, spelled in full'],
    ['[::1]', 'brackets'],
    ['2001:db8::/32', 'a prefix length'],
  ];
  for (const [text, why] of rows) {
    test(`${JSON.stringify(text)}: ${why}`, () => {
      expect(parseAddress(text)).toBeUndefined();
    });
  }
});

describe('text of IPv6 addresses (RFC 5952)', () => {
  const rows: [value: bigint, text: string, why: string][] = [
    [0x20010db8000000010000000000000001n, '2001:db8:0:1::1', 'the longest run'],
    [0x20010000000000010000000000010001n, '2001::1:0:0:1:1', 'the first of equal runs'],
    [0x20010db8000100010001000100010000n, '2001:db8:1:1:1:1:1:0', 'a single zero stays'],
    [0x00010000000000000000000000000000n, '1::', 'a run at the end'],
    [0x20010db80000000000000000abcd0000n, '2001:db8::abcd:0', 'lower case'],
  ];
  for (const [value, text, why] of rows) {
    test(`${text}: ${why}`, () => expect(formatAddress({ family: 6, value })).toBe(text));
  }

  test('the eight groups have no leading zeros', () => {
    expect(ipv6Groups((0xfdn << 120n) | 0x0an)).toEqual('fd00 0 0 0 0 0 0 a'.split(' '));
  });
});

test(`what is written is read again as the same address (${seedTitle})`, () => {
  const random = new Random(501);
  for (let round = 0; round < 3000; round++) {
    const family = random.oneIn(2) ? 4 : 6;
    const mask = random.bits(128) | (random.oneIn(2) ? (1n << 128n) - 1n : 0n);
    const value = random.bits(family === 4 ? 32 : 128) & mask;
    if (family === 6 && value >> 32n === 0xffffn) continue;
    const text = formatAddress({ family, value });
    expect(parseAddress(text)).toEqual({ family, value });
    expect(parseAddress(text.toUpperCase())).toEqual({ family, value });
  }
});
