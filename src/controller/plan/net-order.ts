// The one order of net addresses: IPv4 before IPv6, then by number, then the shorter prefix first.
// The original's order was random (W-60).
import { type Cidr, parseCidr } from '../../shared/model/ip/cidr.ts';

/** Distinct net addresses in numeric order; texts that are none come last, by their characters. */
export function sortNetAddresses(netAddresses: Iterable<string>): string[] {
  const parsed = [...new Set(netAddresses)].map((text) => ({ text, cidr: parseCidr(text) }));
  return parsed
    .sort((a, b) => compareCidr(a.cidr, b.cidr) || compareText(a.text, b.text))
    .map(({ text }) => text);
}

function compareCidr(a: Cidr | undefined, b: Cidr | undefined): number {
  if (a === undefined || b === undefined) return Number(a === undefined) - Number(b === undefined);
  if (a.family !== b.family) return a.family - b.family;
  if (a.base !== b.base) return a.base < b.base ? -1 : 1;
  return a.prefix - b.prefix;
}

/** Order by code units: the same on every machine, unlike a locale's. */
export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
