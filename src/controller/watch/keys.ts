// Keys of the controller's work queue: one per thing that is reconciled as a whole.

export type WorkKind = 'network' | 'host' | 'pool' | 'config';

export interface WorkKey {
  readonly kind: WorkKind;
  readonly name: string;
}

export const WORK_KINDS: readonly WorkKind[] = ['network', 'host', 'pool', 'config'];

export function formatWorkKey(kind: WorkKind, name: string): string {
  return `${kind}/${name}`;
}

/** Throws on a text that `formatWorkKey` never makes. */
export function parseWorkKey(text: string): WorkKey {
  const slash = text.indexOf('/');
  const kind = WORK_KINDS.find((one) => one === text.slice(0, slash));
  if (kind === undefined) throw new RangeError(`not a work key: ${text}`);
  return { kind, name: text.slice(slash + 1) };
}
