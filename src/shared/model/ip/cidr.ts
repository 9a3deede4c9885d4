// Address blocks in CIDR notation (RFC 4632, RFC 4291), read strictly. Division of blocks is the
// WASM core's part; only the few comparisons that plans and checks need are here.
import { addressBits, formatAddress, type IpAddress, parseAddress } from './address.ts';

/**
 * A block of addresses. `base` is its first address as an unsigned integer in host order; no host
 * bits are set.
 */
export interface Cidr {
  readonly family: 4 | 6;
  readonly base: bigint;
  readonly prefix: number;
}

/** An address together with the block it lives in, like `10.0.1.5/24`. */
export interface AddressInCidr {
  readonly address: IpAddress;
  readonly cidr: Cidr;
}

const decimal = /^(0|[1-9][0-9]{0,2})$/;

/**
 * Reads `address/length` with host bits kept. Undefined unless both parts are strict and the length
 * fits.
 */
export function parseAddressInCidr(text: string): AddressInCidr | undefined {
  const slash = text.indexOf('/');
  const length = text.slice(slash + 1);
  if (slash < 0 || !decimal.test(length)) return undefined;
  const address = parseAddress(text.slice(0, slash));
  const prefix = Number(length);
  if (address === undefined || prefix > addressBits[address.family]) return undefined;
  return { address, cidr: cidrOf(address, prefix) };
}

/**
 * Reads a block. Host bits are refused, because `192.168.64.0/16` is as likely a wrong length as a
 * wrong address; with `allowHostBits` they are cleared.
 */
export function parseCidr(text: string, o: { allowHostBits?: boolean } = {}): Cidr | undefined {
  const parsed = parseAddressInCidr(text);
  if (parsed === undefined) return undefined;
  const { address, cidr } = parsed;
  return o.allowHostBits === true || address.value === cidr.base ? cidr : undefined;
}

/** The canonical text, `10.0.0.0/8` or `fd00::/48`. */
export function formatCidr(cidr: Cidr): string {
  return `${formatAddress({ family: cidr.family, value: cidr.base })}/${cidr.prefix}`;
}

/** The block of that prefix length which holds the address. */
export function cidrOf(address: IpAddress, prefix: number): Cidr {
  const hostBits = BigInt(addressBits[address.family] - prefix);
  return { family: address.family, base: (address.value >> hostBits) << hostBits, prefix };
}

/**
 * The canonical text of what one block is written as, or undefined if it is none; the key of maps
 * by net address.
 */
export function canonicalCidr(text: string): string | undefined {
  const cidr = parseCidr(text, { allowHostBits: true });
  return cidr === undefined ? undefined : formatCidr(cidr);
}

/** The last address of the block. */
export function lastAddress(cidr: Cidr): bigint {
  return cidr.base + (1n << BigInt(addressBits[cidr.family] - cidr.prefix)) - 1n;
}

/** Whether the address is one of the block's. */
export function containsAddress(cidr: Cidr, address: IpAddress): boolean {
  return (
    cidr.family === address.family &&
    cidr.base <= address.value &&
    address.value <= lastAddress(cidr)
  );
}

/** Whether all addresses of `inner` belong to `outer`; a block contains itself. */
export function containsCidr(outer: Cidr, inner: Cidr): boolean {
  return (
    outer.prefix <= inner.prefix &&
    containsAddress(outer, { family: inner.family, value: inner.base })
  );
}

/** Whether two blocks share an address, which for CIDR means that one contains the other. */
export function overlapsCidr(a: Cidr, b: Cidr): boolean {
  return containsCidr(a, b) || containsCidr(b, a);
}

/** Whether two blocks are the same. */
export function equalsCidr(a: Cidr, b: Cidr): boolean {
  return a.family === b.family && a.base === b.base && a.prefix === b.prefix;
}
