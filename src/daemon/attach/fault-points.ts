// Named places between two effects where a test can have the process killed, to prove that a
// restart cleans up after a crash at each of them. Inert unless one is named at start.
import { LINK_FAULT_POINTS } from '../hostnet/link-faults.ts';

/** Every pair of consecutive effects of an ADD, of its undoing and of a DEL has a point between. */
export const FAULT_POINTS = [
  'add-addresses-taken',
  'add-intent-written',
  'add-half-the-links-made',
  ...LINK_FAULT_POINTS,
  'add-links-made',
  'add-shared-routes-made',
  'add-intent-on-disk',
  'add-attached-written',
  'undo-links-deleted',
  'undo-row-removed',
  'del-releasing-written',
  'del-links-deleted',
  'del-row-removed',
  'spool-released',
] as const;
export type FaultPoint = (typeof FAULT_POINTS)[number];

/** Where the process dies, if anywhere. */
export interface FaultPoints {
  /** True if the process dies at `point`: lets a caller do the half of an effect first. */
  isActive(point: FaultPoint): boolean;
  /** Returns unless `point` is the active one; then it does not return. */
  reach(point: FaultPoint): void;
}

/**
 * `active` is the name of a point, or undefined for none. Throws RangeError for an unknown name.
 */
export function createFaultPoints(o: {
  active: string | undefined;
  kill: () => void;
}): FaultPoints {
  const point = FAULT_POINTS.find((name) => name === o.active);
  if (o.active !== undefined && point === undefined) {
    throw new RangeError(`unknown fault point ${o.active}`);
  }
  return {
    isActive: (name) => name === point,
    reach: (name) => {
      if (name === point) o.kill();
    },
  };
}

/** No point is active. */
export const noFaults: FaultPoints = { isActive: () => false, reach: () => undefined };
