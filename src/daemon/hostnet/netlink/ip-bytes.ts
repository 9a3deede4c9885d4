// Addresses and blocks between their text and the network-order bytes that rtnetlink carries.
import { formatAddress, parseAddress } from '../../../shared/model/ip/address.ts';
import { parseCidr } from '../../../shared/model/ip/cidr.ts';
import { AF_INET, AF_INET6 } from './constants.ts';

/** An address as it goes into an attribute. */
export interface IpBytes {
  /** AF_INET or AF_INET6. */
  readonly family: number;
  readonly bytes: Uint8Array;
}

/** The kernel's number of an address family. */
export function familyNumber(family: 4 | 6): number {
  return family === 4 ? AF_INET : AF_INET6;
}

/** Bytes of an address; throws RangeError on text that is none (a bug of the caller). */
export function addressBytes(text: string): IpBytes {
  const parsed = parseAddress(text);
  if (parsed === undefined) throw new RangeError(`no IP address: ${text}`);
  return { family: familyNumber(parsed.family), bytes: toBytes(parsed.family, parsed.value) };
}

/** Bytes of a block's first address; throws RangeError if host bits are set. */
export function blockBytes(text: string): IpBytes & { readonly prefix: number } {
  const cidr = parseCidr(text);
  if (cidr === undefined) throw new RangeError(`no CIDR: ${text}`);
  const bytes = toBytes(cidr.family, cidr.base);
  return { family: familyNumber(cidr.family), bytes, prefix: cidr.prefix };
}

/** Text of 4 or 16 bytes in network order. */
export function addressText(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const value = (view.getBigUint64(0) << 64n) | view.getBigUint64(8);
  return formatAddress({ family: 6, value });
}

/** The unspecified block of a family: what a route dump leaves out for a default route. */
export function unspecified(family: number): string {
  return family === AF_INET ? '0.0.0.0' : '::';
}

/** Last address of an IPv4 block, for the broadcast attribute. */
export function broadcastOf(address: Uint8Array, prefix: number): Uint8Array {
  const view = new DataView(new Uint8Array(address).buffer);
  const hostMask = prefix === 0 ? 0xffff_ffff : 2 ** (32 - prefix) - 1;
  view.setUint32(0, view.getUint32(0) | hostMask);
  return new Uint8Array(view.buffer);
}

function toBytes(family: 4 | 6, value: bigint): Uint8Array {
  const view = new DataView(new ArrayBuffer(family === 4 ? 4 : 16));
  if (family === 4) {
    view.setUint32(0, Number(value));
  } else {
    view.setBigUint64(0, value >> 64n);
    view.setBigUint64(8, value & 0xffff_ffff_ffff_ffffn);
  }
  return new Uint8Array(view.buffer);
}
