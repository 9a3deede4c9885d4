// The address block as it crosses the border of the core, and the checks on it. Text is not parsed
// here.

/**
 * An address block. `base` is the first address as an unsigned integer in host order (IPv4 below
 * 2^32, IPv6 below 2^128); no host bits are set.
 */
export interface Cidr {
  readonly family: 4 | 6;
  readonly base: bigint;
  readonly prefix: number;
}

/** Bits of an address of the family. */
export function addressBits(family: 4 | 6): 32 | 128 {
  return family === 4 ? 32 : 128;
}

/**
 * The high half of an IPv6 address. The low half needs no function: the border takes a bigint
 * modulo 2^64.
 */
export function highHalf(base: bigint): bigint {
  return base >> 64n;
}

/** Throws a RangeError unless family, base and prefix fit together. Host bits may be set. */
export function assertCidr(cidr: Cidr): void {
  if (cidr.family !== 4 && cidr.family !== 6) {
    throw new RangeError(`address family must be 4 or 6, not ${String(cidr.family)}`);
  }
  const width = addressBits(cidr.family);
  if (!Number.isInteger(cidr.prefix) || cidr.prefix < 0 || cidr.prefix > width) {
    throw new RangeError(`prefix must be an integer from 0 to ${width}, not ${cidr.prefix}`);
  }
  if (!isAddress(cidr.family, cidr.base)) {
    throw new RangeError(`address does not fit into ${width} bits`);
  }
}

/** True if `value` is an address of the family. */
export function isAddress(family: 4 | 6, value: bigint): boolean {
  return value >= 0n && value >> BigInt(addressBits(family)) === 0n;
}

/** True if a bit below the prefix is set. */
export function hasHostBits(cidr: Cidr): boolean {
  const hostBits = addressBits(cidr.family) - cidr.prefix;
  return BigInt.asUintN(hostBits, cidr.base) !== 0n;
}

/**
 * Throws a RangeError unless `value` is an integer; what range it must lie in is the caller's
 * business.
 */
export function assertInteger(name: string, value: number): void {
  if (!Number.isInteger(value)) throw new RangeError(`${name} must be an integer, not ${value}`);
}

/** The greatest index there is: indices are u32. */
export const INDEX_MAX = 0xffffffff;

/** True if `value` is an integer that fits into u32. */
export function isIndex(value: number): boolean {
  return value >>> 0 === value;
}
