// Addresses and blocks as text, for the tests of the core, which itself knows no text. Written
// apart from the product's parser, so that the two do not share a mistake.
import type { Cidr } from '../index.ts';

/** The number that an address in text form is, or undefined if it is not one. */
export function addressOf(text: string): { family: 4 | 6; value: bigint } | undefined {
  const value = text.includes(':') ? ipv6(text) : ipv4(text);
  return value === undefined ? undefined : { family: text.includes(':') ? 6 : 4, value };
}

function ipv4(text: string): bigint | undefined {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((p) => /^(0|[1-9]\d{0,2})$/.test(p) && Number(p) < 256)) {
    return undefined;
  }
  return parts.reduce((value, part) => value * 256n + BigInt(part), 0n);
}

function ipv6(text: string): bigint | undefined {
  const halves = text.split('::').map((half) => (half === '' ? [] : half.split(':')));
  const [left = [], right = []] = halves;
  const zeros = 8 - left.length - right.length;
  if (halves.length > 2 || (halves.length === 1 ? zeros !== 0 : zeros < 1)) return undefined;
  const groups = [...left, ...Array<string>(zeros).fill('0'), ...right];
  if (!groups.every((group) => /^[0-9a-f]{1,4}$/.test(group))) return undefined;
  return groups.reduce((value, group) => value * 65536n + BigInt(`0x${group}`), 0n);
}

/** A block in text form, host bits as written; undefined if it is not one. */
export function blockOf(text: string): Cidr | undefined {
  const [addressText = '', prefixText = '', ...rest] = text.split('/');
  const address = addressOf(addressText);
  if (address === undefined || rest.length > 0 || !/^\d{1,3}$/.test(prefixText)) return undefined;
  const prefix = Number(prefixText);
  if (prefix > (address.family === 4 ? 32 : 128)) return undefined;
  return { family: address.family, base: address.value, prefix };
}

/** A block that must be one. */
export function cidr(text: string): Cidr {
  const block = blockOf(text);
  if (block === undefined) throw new Error(`the test itself is wrong: ${text} is not a block`);
  return block;
}

/** An exclude: one without a prefix is one address, and host bits are cleared. */
export function excludeOf(text: string): Cidr | undefined {
  const width = text.includes(':') ? 128 : 32;
  const block = blockOf(text.includes('/') ? text : `${text}/${width}`);
  if (block === undefined) return undefined;
  const hostBits = BigInt(width - block.prefix);
  return { ...block, base: (block.base >> hostBits) << hostBits };
}

/** Excludes that must be some. */
export function excludes(texts: readonly string[]): Cidr[] {
  return texts.map((text) => {
    const exclude = excludeOf(text);
    if (exclude === undefined) throw new Error(`the test itself is wrong: ${text}`);
    return exclude;
  });
}
