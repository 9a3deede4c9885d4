// Names of IPPool objects: they follow from the network and the pod CIDR, so the same pool has the
// same name everywhere.
import { formatAddress, ipv6Groups } from '../ip/address.ts';
import type { Cidr } from '../ip/cidr.ts';

/**
 * `<network>-<address>-<length>`, like `net-192.168.0.0-24`. An IPv6 address has its eight groups
 * joined by `-`, because object names have no colons: `net-fd00-0-0-0-0-0-0-0-64`.
 */
export function poolName(network: string, podCidr: Cidr): string {
  const { family, base, prefix } = podCidr;
  const address =
    family === 4 ? formatAddress({ family, value: base }) : ipv6Groups(base).join('-');
  return `${network}-${address}-${prefix}`;
}
