// What the indices of a network were given for, as its ledger says or, without a ledger, its CIDR
// object.
import { canonicalCidr } from '../../shared/model/ip/cidr.ts';
import type { Division } from '../../shared/model/plan/division.ts';
import type { CidrView, LedgerView } from './views.ts';

/** What indices of a network were given for. */
export interface GivenDivision {
  readonly division: Division;
  /** Where that is written, for people. */
  readonly source: string;
  /** Net addresses in which a host holds an index. */
  readonly netAddresses: readonly string[];
}

/** Undefined while no host holds an index. */
export function readGivenDivision(o: {
  readonly ledger: LedgerView | undefined;
  readonly cidr: CidrView | undefined;
}): GivenDivision | undefined {
  const reading = o.ledger?.reading;
  if (reading?.ok !== true) return fromCidrObject(o.cidr);
  const { division, nets } = reading.ledger;
  const netAddresses = nets.flatMap((net) => (net.hosts.isEmpty ? [] : net.netAddress));
  if (netAddresses.length === 0 || division === undefined) return undefined;
  return { division, source: 'the ledger', netAddresses };
}

function fromCidrObject(view: CidrView | undefined): GivenDivision | undefined {
  if (view === undefined) return undefined;
  const { config, cidr } = view.object.spec;
  const netAddresses = cidr.flatMap((entry) => (entry.hosts.length === 0 ? [] : entry.netAddress));
  if (netAddresses.length === 0) return undefined;
  const { subnet, interfaceBlock, hostBlock } = config;
  const canonical = subnet.split(',').map((part) => canonicalCidr(part) ?? part);
  const division = {
    subnet: canonical.join(','),
    interfaceBits: subnet === '' ? 0 : interfaceBlock,
    hostBits: hostBlock,
  };
  return { division, source: 'the CIDR object', netAddresses };
}
