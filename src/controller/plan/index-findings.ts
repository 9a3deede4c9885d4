// What the planned indices mean for the status of a network.
import type { NetworkFinding } from './network-status.ts';
import { describeProblem, type Problem } from './problem.ts';

/** The kinds that only inform; every other one leaves somebody without addresses. */
const INFORMING: ReadonlySet<Problem['kind']> = new Set(['block-excluded']);

const REASONS: Readonly<Record<Problem['kind'], string>> = {
  'interface-indices-exhausted': 'InterfaceIndicesExhausted',
  'too-many-net-addresses': 'TooManyNetAddresses',
  'host-indices-exhausted': 'HostIndicesExhausted',
  'host-block-zero': 'HostBlockZero',
  'index-conflict': 'IndexConflict',
  'records-disagree': 'RecordsDisagree',
  'index-held-twice': 'IndexHeldTwice',
  'index-outside': 'IndexOutside',
  'interface-conflict': 'InterfaceConflict',
  'block-excluded': 'BlockExcluded',
  'net-too-small': 'NetTooSmall',
  'record-unreadable': 'RecordUnreadable',
};

/**
 * Problems that records of equal rank have with each other: the records are kept for whoever
 * decides.
 */
const CONTRADICTIONS: ReadonlySet<Problem['kind']> = new Set([
  'index-conflict',
  'records-disagree',
  'index-outside',
  'interface-conflict',
  'record-unreadable',
]);

/**
 * True when the CIDR object must stay as it is, because it is evidence. Against a published index
 * it is none: it is only late, and writing it anew settles the matter.
 */
export function isEvidence(problem: Problem): boolean {
  if (problem.kind === 'index-conflict' && problem.isPublished) return false;
  return CONTRADICTIONS.has(problem.kind);
}

export interface IndexSummary {
  readonly problems: readonly Problem[];
  /** Hosts were left for the next round. */
  readonly hasMore: boolean;
  /** Hosts that have a NIC in the network, and those of them that have all their indices. */
  readonly hostCount: number;
  readonly completeCount: number;
}

export function toIndexFinding(summary: IndexSummary): NetworkFinding {
  const type = 'IndicesAllocated';
  const { problems, hostCount, completeCount } = summary;
  const decisive = problems.find(({ kind }) => !INFORMING.has(kind));
  const texts = problems.map(describeProblem);
  if (decisive !== undefined) {
    return { type, status: 'False', reason: REASONS[decisive.kind], message: texts.join('; ') };
  }
  if (summary.hasMore) {
    const message = `${completeCount} of ${hostCount} hosts have their indices so far`;
    return { type, status: 'False', reason: 'Assigning', message };
  }
  if (hostCount === 0) {
    const message = 'no host has a NIC in this network yet';
    return { type, status: 'False', reason: 'WaitingForHosts', message };
  }
  const message = [`${completeCount} hosts have their indices`, ...texts].join('; ');
  return { type, status: 'True', reason: 'Allocated', message };
}
