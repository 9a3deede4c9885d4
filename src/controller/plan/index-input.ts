// What planning of indices starts from, and the form in which one net address is worked on.
import type { Cidr } from '../../shared/model/ip/cidr.ts';
import type { Division } from '../../shared/model/plan/division.ts';
import type { IndexHost, IndexRecord } from './host-claims.ts';
import type { IndexSet } from './index-set.ts';
import type { InterfaceRecord } from './interface-indices.ts';
import type { Ledger, LedgerNet } from './ledger.ts';

/** The network's division in numbers, as its definition says. */
export interface IndexNetwork {
  readonly uid: string;
  /** None in host-subnet mode, where each net address is divided itself. */
  readonly subnets: readonly Cidr[];
  readonly interfaceBits: number;
  readonly hostBits: number;
  readonly excludes: readonly Cidr[];
  /** In the user's order; empty for "all that hosts have". */
  readonly masterNets: readonly string[];
  readonly division: Division;
}

export interface IndexInput {
  readonly network: IndexNetwork;
  readonly ledger: Ledger | undefined;
  readonly interfaceRecords: readonly InterfaceRecord[];
  /** Every HostInterface, sorted by name. */
  readonly hosts: readonly IndexHost[];
  readonly hostRecords: readonly IndexRecord[];
  readonly gone: ReadonlySet<string>;
  /**
   * Claimed in the ledger by this leader and perhaps not published: host -> net address -> index.
   */
  readonly pending: ReadonlyMap<string, ReadonlyMap<string, number>>;
  /** Bits (`toBitKey`) without owner that may be given back now. */
  readonly freeable: ReadonlySet<string>;
  /** `adopt` keeps and adopts but gives nothing new. */
  readonly mode: 'full' | 'adopt';
  /** At most so many hosts get new indices in one plan; the others follow in the next. */
  readonly assignHostsMax: number;
}

/**
 * One net address on its way to its next state. `net.hosts`, `owned` and `given` are filled in
 * place.
 */
export interface NetWork {
  readonly net: LedgerNet;
  /** Indices that somebody owns. */
  readonly owned: IndexSet;
  /** Hosts that must not get an index. */
  readonly blocked: ReadonlySet<string>;
  /** Host -> index that it gets in this plan. */
  readonly given: Map<string, number>;
}

/** Name of one ledger bit. */
export function toBitKey(netAddress: string, hostIndex: number): string {
  return `${netAddress}#${hostIndex}`;
}
