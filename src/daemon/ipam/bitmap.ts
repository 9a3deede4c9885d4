// Which addresses of a pool are free: a bitmap of the core, or what stands for one while the core
// has no room for it. Such a pool gives nothing; all others are as they were.
import { ArenaExhaustedError, type Core, type Pool } from '../../../core-wasm/index.ts';
import type { PoolPlan } from './pool-plan.ts';

/** What this node does with the bitmap of a pool. */
export type Bitmap = Pick<
  Pool,
  | 'usable'
  | 'occupied'
  | 'quarantined'
  | 'free'
  | 'take'
  | 'occupy'
  | 'release'
  | 'quarantine'
  | 'endQuarantine'
  | 'isOccupied'
  | 'isQuarantined'
  | 'indexOf'
  | 'addressAt'
  | typeof Symbol.dispose
>;

/** No address, and so none that could be given or held. */
const NO_ROOM: Bitmap = {
  usable: 0,
  occupied: 0,
  quarantined: 0,
  free: 0,
  take: () => undefined,
  occupy: () => 'out-of-range',
  release: () => 'not-occupied',
  quarantine: () => 'not-occupied',
  endQuarantine: () => 'not-quarantined',
  isOccupied: () => false,
  isQuarantined: () => false,
  indexOf: () => undefined,
  addressAt: (index) => {
    throw new RangeError(`index ${index} of a pool without a bitmap`);
  },
  [Symbol.dispose]: () => undefined,
};

/** A bitmap for the pool; `whyNoRoom` says if it is none. */
export function createBitmap(core: Core, plan: PoolPlan): Bitmap {
  try {
    return core.createPool(plan);
  } catch (error) {
    if (error instanceof ArenaExhaustedError) return NO_ROOM;
    throw error;
  }
}

/** Why the pool cannot give addresses, or undefined if it has a bitmap. */
export function whyNoRoom(core: Core, bitmap: Bitmap): string | undefined {
  if (bitmap !== NO_ROOM) return undefined;
  const { bytes, freeBytes } = core.arena;
  return `the pools of this node are too large together: ${freeBytes} of ${bytes} bytes are free`;
}
