// What is said on a network when one of its conditions begins or ceases to refuse something (design
// D10). Conditions say how it is now, events say that it changed.
import { API_VERSION } from '../../shared/model/names.ts';
import type { Condition } from '../../shared/model/objects/meta.ts';
import type { EventNote } from '../../shared/platform/kube/event-recorder.ts';
import { isWaiting } from './network-status.ts';

/** Follows from the others. */
const SUMMARY = 'Ready';

/** The events between two states of the conditions. Another reason is a new refusal. */
export function planConditionEvents(
  network: { readonly name: string; readonly uid: string },
  before: readonly Condition[],
  after: readonly Condition[],
): EventNote[] {
  const { name, uid } = network;
  const about = { apiVersion: API_VERSION, kind: 'MultiNicNetwork', name, uid };
  const refused = new Map(before.filter(isRefusing).map((one) => [one.type, one]));
  const appeared = after.filter(
    (one) => isRefusing(one) && refused.get(one.type)?.reason !== one.reason,
  );
  const still = new Set(after.filter(isRefusing).map(({ type }) => type));
  const cleared = [...refused.values()].filter(({ type }) => !still.has(type));
  return [
    ...appeared.map(
      ({ type, reason, message }): EventNote => ({
        about,
        type: 'Warning',
        reason,
        message: `${type}: ${message}`,
      }),
    ),
    ...cleared.map(
      ({ type, reason }): EventNote => ({
        about,
        type: 'Normal',
        reason: 'Cleared',
        message: `${type}: no longer ${reason}`,
      }),
    ),
  ];
}

function isRefusing({ type, status, reason }: Condition): boolean {
  return status === 'False' && type !== SUMMARY && !isWaiting(reason);
}
