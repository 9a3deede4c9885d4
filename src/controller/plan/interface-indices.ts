// Which interface index each net address has. Indices once given stay while a host has the net
// address or an index in it; new ones are the lowest that are free (spec api 2.4, 2.7; W-24, W-25).
import type { Cidr } from '../../shared/model/ip/cidr.ts';
import { NET_ADDRESSES_MAX } from '../../shared/model/objects/network-rules.ts';
import { createIndexCheck, type IndexCore, indexLast, takeFirstGap } from './index-core.ts';
import { IndexSet } from './index-set.ts';
import type { LedgerNet } from './ledger.ts';
import { groupBy } from './multi-map.ts';
import { compareText } from './net-order.ts';
import type { Problem } from './problem.ts';

/** What something else than the ledger says of a net address. */
export interface InterfaceRecord {
  readonly netAddress: string;
  readonly interfaceIndex: number;
}

export interface InterfaceClaims {
  readonly nets: readonly LedgerNet[];
  /** Net addresses that records contradict each other about; they get no index. */
  readonly blocked: ReadonlySet<string>;
  /** Interface indices that records outside the ledger name; none may be given anew. */
  readonly reserved: IndexSet;
  readonly problems: readonly Problem[];
}

/** Joins the ledger's entries (copied) with what records say of net addresses it does not have. */
export function adoptInterfaces(
  ledgerNets: readonly LedgerNet[],
  records: readonly InterfaceRecord[],
): InterfaceClaims {
  const known = new Set(ledgerNets.map((net) => net.netAddress));
  const taken = new IndexSet();
  for (const net of ledgerNets) taken.add(net.interfaceIndex);
  const unknown = records.filter(
    (record) => !known.has(record.netAddress) && IndexSet.isIndex(record.interfaceIndex),
  );
  const byIndex = groupBy(unknown, (record) => record.interfaceIndex);
  const adopted: LedgerNet[] = [];
  const blocked = new Set<string>();
  const problems: Problem[] = [];
  for (const [netAddress, own] of groupBy(unknown, (record) => record.netAddress)) {
    const indices = distinct(own.map((record) => record.interfaceIndex));
    const takers = distinct(
      indices.flatMap((index) => (byIndex.get(index) ?? []).map((record) => record.netAddress)),
    );
    const [interfaceIndex] = indices;
    const isClear = indices.length === 1 && takers.length === 1;
    if (isClear && interfaceIndex !== undefined && !taken.has(interfaceIndex)) {
      adopted.push({ netAddress, interfaceIndex, hosts: new IndexSet() });
      continue;
    }
    blocked.add(netAddress);
    problems.push({
      kind: 'interface-conflict',
      netAddresses: takers.sort(compareText),
      interfaceIndices: indices,
    });
  }
  const reserved = new IndexSet();
  for (const index of byIndex.keys()) reserved.add(index);
  adopted.sort((a, b) => a.interfaceIndex - b.interfaceIndex);
  const copies = ledgerNets.map((net) => ({ ...net, hosts: net.hosts.copy() }));
  return { nets: [...copies, ...adopted], blocked, reserved, problems };
}

function distinct<T>(values: readonly T[]): T[] {
  return [...new Set(values)];
}

/**
 * Gives an interface index to each of `wanted` that has none yet. Returns the nets with the new
 * ones.
 */
export function assignInterfaces(
  core: IndexCore,
  o: {
    nets: readonly LedgerNet[];
    wanted: readonly string[];
    blocked: ReadonlySet<string>;
    reserved: IndexSet;
    subnets: readonly Cidr[];
    interfaceBits: number;
    excludes: readonly Cidr[];
  },
): { nets: readonly LedgerNet[]; problems: readonly Problem[] } {
  const nets = [...o.nets];
  const used = o.reserved.copy();
  const known = new Set<string>();
  for (const net of nets) {
    used.add(net.interfaceIndex);
    known.add(net.netAddress);
  }
  const isHostSubnetMode = o.subnets.length === 0;
  const last = isHostSubnetMode ? indexLast(20) : indexLast(o.interfaceBits);
  const { subnets: parents, interfaceBits: bits, excludes } = o;
  const check = createIndexCheck(core, { parents, bits, excludes });
  const isUsable = isHostSubnetMode ? () => true : check.isUsable;
  const without: string[] = [];
  for (const netAddress of o.wanted) {
    if (known.has(netAddress) || o.blocked.has(netAddress)) continue;
    const isFull = nets.length >= NET_ADDRESSES_MAX;
    const interfaceIndex = isFull ? undefined : takeFirstGap(used, last, isUsable);
    if (interfaceIndex === undefined) without.push(netAddress);
    else nets.push({ netAddress, interfaceIndex, hosts: new IndexSet() });
    known.add(netAddress);
  }
  if (without.length === 0) return { nets, problems: [] };
  const isFull = nets.length >= NET_ADDRESSES_MAX;
  const kind = isFull ? 'too-many-net-addresses' : 'interface-indices-exhausted';
  return { nets, problems: [{ kind, netAddresses: without }] };
}
