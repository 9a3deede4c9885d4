// Address text in one spelling, so that it can be compared with what the kernel reports.
import { formatAddress, parseAddress } from '../../shared/model/ip/address.ts';

/** The canonical spelling of an address; other text, such as '' for no gateway, as it is. */
export function canonicalAddress(text: string): string {
  const address = parseAddress(text);
  return address === undefined ? text : formatAddress(address);
}
