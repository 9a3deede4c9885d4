// Planning of a network's indices: the ledger as it must be, and which hosts have to be told what.
// Pure and deterministic. An index once given is kept (design D5), new ones follow a fixed order,
// and what cannot be given is a named problem. The ledger is written before anything is published
// (D6).
import {
  collectHostClaims,
  type HostClaims,
  type IndexHost,
  type IndexRecord,
} from './host-claims.ts';
import { assignHosts } from './host-indices.ts';
import { type IndexCore, indexLast } from './index-core.ts';
import { type IndexInput, type NetWork, toBitKey } from './index-input.ts';
import { IndexSet } from './index-set.ts';
import { adoptInterfaces, assignInterfaces, type InterfaceRecord } from './interface-indices.ts';
import type { Ledger, LedgerNet } from './ledger.ts';
import { groupBy } from './multi-map.ts';
import { sortNetAddresses } from './net-order.ts';
import type { Problem } from './problem.ts';

export interface HostIndices {
  readonly hostName: string;
  readonly indices: readonly { readonly netAddress: string; readonly hostIndex: number }[];
}

export interface IndexPlan {
  readonly ledger: Ledger;
  /** Hosts whose published indices have to become these. */
  readonly publish: readonly HostIndices[];
  /** Net addresses in use by this network, in the order of the configuration. */
  readonly masterNets: readonly string[];
  /** Bits of the ledger without owner (`toBitKey`). */
  readonly orphans: readonly string[];
  readonly problems: readonly Problem[];
  /** True when hosts were left for the next plan. */
  readonly hasMore: boolean;
}

export function planIndices(core: IndexCore, input: IndexInput): IndexPlan {
  const { network } = input;
  const context = toContext(input);
  const previous = input.ledger?.nets ?? [];
  const adopted = adoptInterfaces(previous, recordsThatCount(input));
  const problems: Problem[] = [...adopted.problems];
  const works = adopted.nets.map((net) => claimNet(context, net, problems));
  const orphans = works.flatMap((work) => settleBits(input, work));
  const seen = new Set<string>();
  for (const host of input.hosts) for (const net of host.netAddresses) seen.add(net);
  const kept = works.filter(
    ({ net }) =>
      !net.hosts.isEmpty || seen.has(net.netAddress) || network.masterNets.includes(net.netAddress),
  );
  const masterNets = effectiveMasterNets(network.masterNets, seen, kept);
  const assigned = assignInterfaces(core, {
    ...network,
    nets: kept.map(({ net }) => net),
    wanted: input.mode === 'full' ? masterNets : [],
    blocked: adopted.blocked,
    reserved: adopted.reserved,
  });
  problems.push(...assigned.problems);
  for (const net of assigned.nets.slice(kept.length)) {
    kept.push({ net, owned: new IndexSet(), blocked: new Set(), given: new Map() });
  }
  const given = assignHosts(core, input, { works: kept, masterNets });
  problems.push(...given.problems);
  return {
    ledger: {
      networkUid: network.uid,
      division: network.division,
      nets: kept.map(({ net }) => net),
    },
    publish: toPublish(input.hosts, kept),
    masterNets,
    orphans,
    problems,
    hasMore: given.hasMore,
  };
}

/**
 * A ledger knows its net addresses; a record of another one counts only if a host has an index
 * there. Otherwise a copy that is out of date would bring back what was given up.
 */
function recordsThatCount(input: IndexInput): readonly InterfaceRecord[] {
  const { ledger, interfaceRecords, hostRecords, gone } = input;
  if (ledger === undefined) return interfaceRecords;
  const known = new Set(ledger.nets.map(({ netAddress }) => netAddress));
  const others = interfaceRecords.filter(({ netAddress }) => !known.has(netAddress));
  if (others.length === 0) return others;
  const inUse = new Set(
    hostRecords.filter(({ hostName }) => !gone.has(hostName)).map((record) => record.netAddress),
  );
  for (const host of input.hosts) for (const net of host.published.keys()) inUse.add(net);
  return others.filter(({ netAddress }) => inUse.has(netAddress));
}

/** The user's list, or all net addresses that hosts have or hold an index in, in numeric order. */
function effectiveMasterNets(
  masterNets: readonly string[],
  seen: ReadonlySet<string>,
  works: readonly NetWork[],
): readonly string[] {
  if (masterNets.length > 0) return [...new Set(masterNets)];
  const held = works.filter(({ net }) => !net.hosts.isEmpty).map(({ net }) => net.netAddress);
  return sortNetAddresses([...seen, ...held]);
}

/** The input with the look-ups that every net address needs. */
interface Context {
  readonly input: IndexInput;
  readonly present: ReadonlyMap<string, IndexHost>;
  readonly records: ReadonlyMap<string, readonly IndexRecord[]>;
}

function toContext(input: IndexInput): Context {
  return {
    input,
    present: new Map(input.hosts.map((host) => [host.name, host])),
    records: groupBy(input.hostRecords, (record) => record.netAddress),
  };
}

/** Sets the bits of all owners and gives hosts what records or this leader's own claims say. */
function claimNet(context: Context, net: LedgerNet, problems: Problem[]): NetWork {
  const { input, present } = context;
  const claims = collectHostClaims({
    netAddress: net.netAddress,
    hosts: input.hosts,
    records: context.records.get(net.netAddress) ?? [],
    gone: input.gone,
    hostBits: input.network.hostBits,
    indexLast: indexLast(input.network.hostBits),
  });
  problems.push(...claims.problems);
  const { owned, blocked } = claims;
  for (const index of owned) net.hosts.add(index);
  // A write that timed out may still have published a pending index: its bit stays whatever records
  // say.
  const pendingIndices = new Set(
    [...input.pending.values()].map((indices) => indices.get(net.netAddress)),
  );
  for (const index of claims.left) {
    if (!pendingIndices.has(index)) net.hosts.delete(index);
  }
  const given = new Map([...claims.adopted].filter(([hostName]) => present.has(hostName)));
  for (const [hostName, index] of pendingIn(context, net, claims)) {
    if (owned.has(index)) continue;
    given.set(hostName, index);
    owned.add(index);
  }
  return { net, owned, blocked, given };
}

/**
 * Claims of this leader that are still good: the host is there, without an index, and the bit is
 * set.
 */
function pendingIn(context: Context, net: LedgerNet, claims: HostClaims): [string, number][] {
  const pending: [string, number][] = [];
  for (const [hostName, indices] of context.input.pending) {
    const index = indices.get(net.netAddress);
    const host = context.present.get(hostName);
    if (index === undefined || host === undefined || !net.hosts.has(index)) continue;
    const isServed =
      host.published.has(net.netAddress) ||
      claims.adopted.has(hostName) ||
      claims.blocked.has(hostName);
    if (!isServed) pending.push([hostName, index]);
  }
  return pending;
}

/** Gives back the bits that may be given back and returns the names of the other ownerless ones. */
function settleBits(input: IndexInput, { net, owned }: NetWork): string[] {
  const orphans: string[] = [];
  for (const index of net.hosts) {
    if (owned.has(index)) continue;
    const key = toBitKey(net.netAddress, index);
    if (input.freeable.has(key)) net.hosts.delete(index);
    else orphans.push(key);
  }
  return orphans;
}

function toPublish(hosts: readonly IndexHost[], works: readonly NetWork[]): HostIndices[] {
  const changed = new Set(works.flatMap(({ given }) => [...given.keys()]));
  const publishing = hosts.filter((host) => changed.has(host.name));
  const order = sortNetAddresses([
    ...works.map(({ net }) => net.netAddress),
    ...publishing.flatMap((host) => [...host.published.keys()]),
  ]);
  const given = new Map(works.map((work) => [work.net.netAddress, work.given]));
  return publishing.map((host) => ({
    hostName: host.name,
    indices: order.flatMap((netAddress) => {
      const own = host.published.get(netAddress) ?? given.get(netAddress)?.get(host.name);
      return own === undefined ? [] : [{ netAddress, hostIndex: own }];
    }),
  }));
}
