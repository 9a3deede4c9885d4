// How a network's subnet is divided among NICs and hosts. Once indices are given it must not
// change: another division would move the blocks of running pods (W-20).
import { formatCidr, parseCidr } from '../ip/cidr.ts';
import type { NetworkDefinition } from './network-definition.ts';

/** What indices are given for. */
export interface Division {
  /**
   * `spec.subnet` in canonical text, blocks of two families joined by a comma; '' is host-subnet
   * mode.
   */
  readonly subnet: string;
  /** Address bits that tell NICs apart; 0 in host-subnet mode. */
  readonly interfaceBits: number;
  readonly hostBits: number;
}

/** The division that a definition asks for. */
export function divisionOf(definition: NetworkDefinition): Division {
  const { subnets, hostSubnetMode, hostBits } = definition;
  const interfaceBits = hostSubnetMode ? 0 : definition.interfaceBits;
  return { subnet: subnets.map(formatCidr).join(','), interfaceBits, hostBits };
}

/** The definition with another division than it asks for. Only for our own pools. */
export function withDivision(definition: NetworkDefinition, division: Division): NetworkDefinition {
  const { subnet, interfaceBits, hostBits } = division;
  const subnets = subnet.split(',').flatMap((part) => parseCidr(part) ?? []);
  return { ...definition, subnets, hostSubnetMode: subnet === '', interfaceBits, hostBits };
}

export function isSameDivision(a: Division, b: Division): boolean {
  return a.subnet === b.subnet && a.interfaceBits === b.interfaceBits && a.hostBits === b.hostBits;
}

/**
 * Whether indices given for `from` mean the same addresses in `to`. A second family may be added.
 */
export function isExtendedDivision(from: Division, to: Division): boolean {
  const isExtended = from.subnet !== '' && to.subnet.startsWith(`${from.subnet},`);
  return isSameDivision(isExtended ? { ...from, subnet: to.subnet } : from, to);
}
