// Whether a network may be served, and if not, why. Refusing early and in words is cheaper than an
// address given twice (design D5, D10).
import type { Refusal } from '../../shared/model/cni/attach-config.ts';
import { IPAM_TYPE } from '../../shared/model/names.ts';
import { type Division, isExtendedDivision } from '../../shared/model/plan/division.ts';
import type { Overlap } from './footprints.ts';
import type { NetworkFinding } from './network-status.ts';
import type { PluginOutcome } from './plugin-table.ts';
import { listNames } from './problem.ts';

export interface AcceptanceInput {
  /** What forbids use of the definition; empty when it can be read. */
  readonly issues: readonly string[];
  /** Why the ledger cannot be read; undefined when it can, or when there is none. */
  readonly ledgerIssue: string | undefined;
  /** What is odd about it. */
  readonly warnings: readonly string[];
  readonly plugin: PluginOutcome | undefined;
  /** Why the daemons would refuse every pod; empty when they would not. */
  readonly unserved: readonly Refusal[];
  /** What indices were given for, and where that is written; undefined while none are. */
  readonly given: { readonly division: Division; readonly source: string } | undefined;
  /** Undefined when addresses come from another IPAM. */
  readonly division: Division | undefined;
  readonly overlap: Overlap | undefined;
  /** True when hosts hold indices: then an overlap is too late to be prevented. */
  readonly isInUse: boolean;
}

export interface Acceptance {
  readonly finding: NetworkFinding;
  /**
   * `full`: serve it. `adopt`: keep what hosts have, give nothing new. `hold`: change nothing but
   * the status.
   */
  readonly mode: 'full' | 'adopt' | 'hold';
}

export function planAcceptance(input: AcceptanceInput): Acceptance {
  if (input.issues.length > 0) return refuse('InvalidDefinition', input.issues.join('; '));
  const { plugin, given, division, overlap, ledgerIssue } = input;
  if (plugin !== undefined && !plugin.ok) return refuse(plugin.reason, plugin.issues.join('; '));
  if (ledgerIssue !== undefined) {
    const wayOut = 'restore it, or delete it to have it made anew from what is published';
    return refuse('LedgerUnreadable', `the ledger cannot be read (${ledgerIssue}): ${wayOut}`);
  }
  if (given !== undefined && division === undefined) {
    const message = `ipam.type changed from ${IPAM_TYPE}${describeHolding(given)}`;
    return refuse('ImmutableChange', message);
  }
  if (
    given !== undefined &&
    division !== undefined &&
    !isExtendedDivision(given.division, division)
  ) {
    return refuse('ImmutableChange', describeChange(given, division));
  }
  const [unserved] = input.unserved;
  if (unserved !== undefined) {
    const refused = refuse(unserved.reason, input.unserved.map(({ text }) => text).join('; '));
    return input.isInUse ? { ...refused, mode: 'adopt' } : refused;
  }
  if (overlap !== undefined) {
    const message = `${overlap.block} is in use by network ${overlap.other}`;
    const refused = refuse('SubnetOverlap', message);
    return input.isInUse ? { ...refused, mode: 'adopt' } : refused;
  }
  const { warnings } = input;
  const accepted = { type: 'Accepted', status: 'True' } as const;
  const finding: NetworkFinding =
    warnings.length === 0
      ? { ...accepted, reason: 'Accepted', message: 'the definition is valid' }
      : { ...accepted, reason: 'AcceptedWithWarnings', message: warnings.join('; ') };
  return { finding, mode: 'full' };
}

/**
 * A network of another IPAM is accepted, for its definitions are as they always were, but pods are
 * refused: said apart, so that `Ready` is no lie.
 */
export function toServedFinding(unserved: readonly Refusal[]): NetworkFinding | undefined {
  const [first] = unserved;
  if (first === undefined) return undefined;
  const why = unserved.map(({ text }) => text).join('; ');
  const message = `definitions are written, but pods are refused: ${why}`;
  return { type: 'Served', status: 'False', reason: first.reason, message };
}

function refuse(reason: string, message: string): Acceptance {
  return { finding: { type: 'Accepted', status: 'False', reason, message }, mode: 'hold' };
}

/** A change that would move the blocks of running pods (W-20). */
function describeChange(
  given: { readonly division: Division; readonly source: string },
  wanted: Division,
): string {
  const changes = [
    change('subnet', given.division.subnet, wanted.subnet),
    change('interfaceBlock', given.division.interfaceBits, wanted.interfaceBits),
    change('hostBlock', given.division.hostBits, wanted.hostBits),
  ].filter((text) => text !== '');
  return `${listNames(changes)}${describeHolding(given)}`;
}

function describeHolding({ source }: { readonly source: string }): string {
  return (
    `: hosts have addresses by the former value (${source}); ` +
    'change it back, or delete the network and create it anew'
  );
}

function change(name: string, from: string | number, to: string | number): string {
  return from === to ? '' : `${name} changed from ${from === '' ? '""' : from} to ${to}`;
}
