// Conditions of an object: one per aspect, changed only when they say something new.
import type { Condition } from '../../shared/model/objects/meta.ts';

/** A condition before it is known when it last changed. */
export interface Finding {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  /** One CamelCase word. */
  readonly reason: string;
  readonly message: string;
}

const MESSAGE_CHARS_MAX = 4096;

/**
 * The conditions that `findings` make of the previous ones. A transition time stays while the
 * status stays; the result is in the order of `findings`, and conditions of other authors follow.
 */
export function mergeConditions(
  previous: readonly Condition[],
  findings: readonly Finding[],
  o: { nowText: string; generation: number; own: readonly string[] },
): Condition[] {
  const known = new Map(previous.map((condition) => [condition.type, condition]));
  const merged = findings.map((finding): Condition => {
    const before = known.get(finding.type);
    const isSame = before?.status === finding.status;
    return {
      type: finding.type,
      status: finding.status,
      reason: finding.reason,
      message: shorten(finding.message),
      lastTransitionTime: isSame ? before.lastTransitionTime : o.nowText,
      observedGeneration: o.generation,
    };
  });
  const foreign = previous.filter((condition) => !o.own.includes(condition.type));
  return [...merged, ...foreign];
}

/** Long lists of names must not make the status too large to be written. */
export function shorten(message: string): string {
  return message.length <= MESSAGE_CHARS_MAX
    ? message
    : `${message.slice(0, MESSAGE_CHARS_MAX - 1)}…`;
}
