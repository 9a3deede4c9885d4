// Who owns which host index of one net address: what is published counts, then what other records
// say of hosts that have nothing published. Contradictions are named and resolved by nobody here
// (design D2, D5).
import { IndexSet } from './index-set.ts';
import { groupBy } from './multi-map.ts';
import type { Problem } from './problem.ts';

/** A host as far as indices matter. `published` is what its HostInterface status holds. */
export interface IndexHost {
  readonly name: string;
  /** Distinct net addresses of its NICs. */
  readonly netAddresses: readonly string[];
  /** net address -> host index, for the network at hand. */
  readonly published: ReadonlyMap<string, number>;
}

/** What something else than a HostInterface status of this network says of a host's index. */
export interface IndexRecord {
  readonly hostName: string;
  readonly netAddress: string;
  readonly hostIndex: number;
  /** For people, like `IPPool l3net-192.168.0.0-24`. */
  readonly source: string;
  /** Pods hold addresses of the block. */
  readonly isInUse?: boolean;
}

export interface HostClaims {
  /** Indices with one owner or more; none of them may be given to anybody else. */
  readonly owned: IndexSet;
  /** Host -> index that only records give it and nobody contests. */
  readonly adopted: ReadonlyMap<string, number>;
  /** Hosts that must get no index because records about them contradict something. */
  readonly blocked: ReadonlySet<string>;
  /** Indices that records give to hosts that are gone for good. */
  readonly left: IndexSet;
  readonly problems: readonly Problem[];
}

export interface HostClaimsInput {
  readonly netAddress: string;
  readonly hosts: readonly IndexHost[];
  /** Records of this net address. */
  readonly records: readonly IndexRecord[];
  /** Hosts of which Node and HostInterface were confirmed absent. */
  readonly gone: ReadonlySet<string>;
  readonly indexLast: number;
  readonly hostBits: number;
}

/** Collects the claims on one net address. */
export function collectHostClaims(input: HostClaimsInput): HostClaims {
  const { owned, problems } = collectPublished(input);
  const left = new IndexSet();
  for (const record of input.records) {
    if (input.gone.has(record.hostName)) addIndex(left, record.hostIndex);
  }
  const silent = recordsOfSilentHosts(input);
  const isPublished = owned.copy();
  for (const { hostIndex } of silent) addIndex(owned, hostIndex);
  problems.push(...reserveFormerBlocks(input, owned, isPublished));
  const blocked = new Set<string>();
  const agreed: IndexRecord[] = [];
  for (const [hostName, records] of groupBy(silent, (record) => record.hostName)) {
    const problem = judgeHost(input, hostName, records);
    if (problem === undefined) agreed.push(...records);
    else {
      problems.push(problem);
      blocked.add(hostName);
    }
  }
  const adopted = new Map<string, number>();
  for (const [hostIndex, records] of groupBy(agreed, (record) => record.hostIndex)) {
    const hosts = [...new Set(records.map((record) => record.hostName))];
    const [only] = hosts;
    if (hosts.length === 1 && only !== undefined && !isPublished.has(hostIndex)) {
      adopted.set(only, hostIndex);
      continue;
    }
    for (const host of hosts) blocked.add(host);
    problems.push(toConflict(input, hostIndex, records));
  }
  for (const index of owned) left.delete(index);
  return { owned, adopted, blocked, left, problems };
}

/** Records of hosts that are not gone and have no index published in this net address. */
function recordsOfSilentHosts(input: HostClaimsInput): readonly IndexRecord[] {
  if (input.records.length === 0) return [];
  const publishing = new Set(
    input.hosts.filter((host) => host.published.has(input.netAddress)).map((host) => host.name),
  );
  return input.records.filter(
    ({ hostName }) => !input.gone.has(hostName) && !publishing.has(hostName),
  );
}

/**
 * Keeps blocks from others that hosts had before the present one, as long as pods have addresses of
 * them; a block that another host has already is a problem.
 */
function reserveFormerBlocks(
  input: HostClaimsInput,
  owned: IndexSet,
  isPublished: IndexSet,
): Problem[] {
  const former = formerBlocks(input);
  for (const { hostIndex } of former) addIndex(owned, hostIndex);
  return former
    .filter(({ hostIndex }) => isPublished.has(hostIndex))
    .map((record) => toConflict(input, record.hostIndex, [record]));
}

function formerBlocks(input: HostClaimsInput): readonly IndexRecord[] {
  const records = input.records.filter(({ isInUse = false }) => isInUse);
  if (records.length === 0) return [];
  const published = new Map(
    input.hosts.map((host) => [host.name, host.published.get(input.netAddress)]),
  );
  return records.filter(({ hostName, hostIndex }) => {
    const present = published.get(hostName);
    return !input.gone.has(hostName) && present !== undefined && present !== hostIndex;
  });
}

/** Indices that are published, and problems with them. */
function collectPublished(input: HostClaimsInput): { owned: IndexSet; problems: Problem[] } {
  const { netAddress, indexLast } = input;
  const owned = new IndexSet();
  const problems: Problem[] = [];
  let isTwice = false;
  for (const host of input.hosts) {
    const hostIndex = host.published.get(netAddress);
    if (hostIndex === undefined) continue;
    if (!IndexSet.isIndex(hostIndex) || hostIndex > indexLast) {
      problems.push({ kind: 'index-outside', netAddress, hostName: host.name, hostIndex });
      continue;
    }
    isTwice ||= owned.has(hostIndex);
    owned.add(hostIndex);
  }
  if (isTwice) problems.push(...findSharedIndices(input));
  return { owned, problems };
}

function findSharedIndices({ netAddress, hosts }: HostClaimsInput): Problem[] {
  const publishing = hosts.filter((host) => host.published.has(netAddress));
  const byIndex = groupBy(publishing, (host) => host.published.get(netAddress) ?? 0);
  return [...byIndex]
    .filter(([, holders]) => holders.length > 1)
    .map(([hostIndex, holders]) => ({
      kind: 'index-held-twice',
      netAddress,
      hostIndex,
      hosts: holders.map(({ name }) => name),
    }));
}

function judgeHost(
  input: HostClaimsInput,
  hostName: string,
  records: readonly IndexRecord[],
): Problem | undefined {
  const { netAddress } = input;
  const indices = [...new Set(records.map((record) => record.hostIndex))].sort((a, b) => a - b);
  const outside = indices.find((index) => !IndexSet.isIndex(index) || index > input.indexLast);
  if (outside !== undefined) {
    return { kind: 'index-outside', netAddress, hostName, hostIndex: outside };
  }
  return indices.length > 1
    ? { kind: 'records-disagree', netAddress, hostName, indices }
    : undefined;
}

function toConflict(
  input: HostClaimsInput,
  hostIndex: number,
  records: readonly IndexRecord[],
): Problem {
  const holders = input.hosts.filter((host) => host.published.get(input.netAddress) === hostIndex);
  const names = new Set([
    ...records.map((record) => record.hostName),
    ...holders.map(({ name }) => name),
  ]);
  const hosts = [...names].sort();
  const { netAddress } = input;
  if (input.hostBits === 0) return { kind: 'host-block-zero', netAddress, hosts };
  const sources = [...new Set(records.map((record) => record.source))].sort();
  const isPublished = holders.length > 0;
  return { kind: 'index-conflict', netAddress, hostIndex, hosts, sources, isPublished };
}

function addIndex(set: IndexSet, index: number): void {
  if (IndexSet.isIndex(index)) set.add(index);
}
