// Single IP addresses, read strictly: what two programs could read differently is refused here.
// Values are integers, so they are compared as numbers and never as text.

/**
 * An address. `value` is an unsigned integer in host order: below 2^32 for IPv4, below 2^128 for
 * IPv6.
 */
export interface IpAddress {
  readonly family: 4 | 6;
  readonly value: bigint;
}

/** Bits of an address of the family. */
export const addressBits = { 4: 32, 6: 128 } as const;

/** 0.0.0.0 to 255.255.255.255: no leading zeros, which some readers take for octal. */
const ipv4Part = /^(0|[1-9][0-9]{0,2})$/;
const ipv6Group = /^[0-9a-fA-F]{1,4}$/;
/** ::ffff:0:0/96, IPv4 in IPv6 clothes (RFC 4291, section 2.5.5.2). */
const MAPPED_PREFIX = 0xffffn;

/**
 * Reads a four-part decimal IPv4 address or an IPv6 address in groups of hexadecimal digits (any
 * case, `::` allowed). Returns undefined for anything else, among them `010.0.0.1`, `10.1`, zones
 * (`fe80::1%eth0`), embedded IPv4 (`::1.2.3.4`) and IPv4-mapped IPv6.
 */
export function parseAddress(text: string): IpAddress | undefined {
  const value = text.includes(':') ? parseIpv6(text) : parseIpv4(text);
  if (value === undefined) return undefined;
  return { family: text.includes(':') ? 6 : 4, value };
}

/**
 * The canonical text: dotted decimal, or RFC 5952 for IPv6 (lower case, longest run of zeros as
 * `::`).
 */
export function formatAddress({ family, value }: IpAddress): string {
  return family === 4 ? formatIpv4(value) : formatIpv6(value);
}

/** The eight groups of an IPv6 address in hexadecimal without leading zeros. */
export function ipv6Groups(value: bigint): string[] {
  return Array.from({ length: 8 }, (_, index) =>
    ((value >> BigInt(16 * (7 - index))) & 0xffffn).toString(16),
  );
}

function parseIpv4(text: string): bigint | undefined {
  const parts = text.split('.');
  if (parts.length !== 4) return undefined;
  let value = 0;
  for (const part of parts) {
    const octet = ipv4Part.test(part) ? Number(part) : 256;
    if (octet > 255) return undefined;
    value = value * 256 + octet;
  }
  return BigInt(value);
}

function parseIpv6(text: string): bigint | undefined {
  const groups = expandGroups(text);
  if (groups?.length !== 8 || !groups.every((group) => ipv6Group.test(group))) return undefined;
  const value = groups.reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n);
  return value >> 32n === MAPPED_PREFIX ? undefined : value;
}

/** Replaces one `::` by as many zero groups as are missing, at least one. */
function expandGroups(text: string): string[] | undefined {
  const halves = text.split('::');
  if (halves.length === 1) return text.split(':');
  if (halves.length > 2) return undefined;
  const [head = [], tail = []] = halves.map((half) => (half === '' ? [] : half.split(':')));
  const missing = 8 - head.length - tail.length;
  return missing < 1 ? undefined : [...head, ...Array<string>(missing).fill('0'), ...tail];
}

function formatIpv4(value: bigint): string {
  const bits = Number(value);
  return `${bits >>> 24}.${(bits >>> 16) & 255}.${(bits >>> 8) & 255}.${bits & 255}`;
}

/** RFC 5952, section 4: the first of the longest runs of two or more zero groups becomes `::`. */
function formatIpv6(value: bigint): string {
  const groups = ipv6Groups(value);
  let best = { start: 0, count: 0 };
  for (let start = 0; start < 8; start++) {
    let count = 0;
    while (groups[start + count] === '0') count++;
    if (count > best.count) best = { start, count };
  }
  if (best.count < 2) return groups.join(':');
  const head = groups.slice(0, best.start).join(':');
  const tail = groups.slice(best.start + best.count).join(':');
  return `${head}::${tail}`;
}
