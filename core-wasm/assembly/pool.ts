// Pools: which indices of one pod CIDR are free, occupied or in quarantine. The state of an index:
//
//             occupy, take                  quarantine
//     free ───────────────────► occupied ─────────────────► quarantined      unusable, for ever
//      ▲ ▲                       │    ▲                       │   │
//      │ └───── release ─────────┘    └── occupy, lifted ─────┘   │
//      └───────────────────── endQuarantine ──────────────────────┘
//
// A pool of `size` indices, in a block of the arena:
//   +0  u32 magic        POOL_MAGIC while the pool exists
//   +4  u32 size         indices, a power of two, 1..65536
//   +8  u32 usable       indices that are in one of the three bitmaps
//   +12 u32 occupied     set bits of `occupied`, always
//   +16 u32 quarantined  set bits of `quarantined`, always
//   +20 u32 cursor       where the next `take` begins to look, 0..size - 1
//   +24 free             summarised bitmap (bits.ts): may be taken
//       occupied         plain bitmap
//       quarantined      plain bitmap
// Every usable index is in exactly one of the bitmaps, an unusable one in none.
import { covers, distance } from './address.ts';
import { ARENA, OUTPUT, OUTPUT_BYTES } from './layout.ts';
import { arenaBytes, arenaRelease, arenaTake } from './arena.ts';
import {
  NOT_FOUND,
  SIZE_MAX,
  bitsOf,
  clearBit,
  clearSummarised,
  hasBit,
  nextBit,
  nextSummarised,
  setBit,
  setSummarised,
  setWord,
  summarise,
  summaryCount,
  word,
  wordCount,
} from './bits.ts';
import {
  ERR_CORRUPT,
  ERR_INDEX,
  ERR_NONE,
  ERR_NO_ROOM,
  ERR_OTHER_POOL,
  ERR_STATE,
  ERR_UNUSABLE,
  OK,
} from './codes.ts';

const POOL_MAGIC: u32 = 0x4c4f4f50;
const HEADER_BYTES: usize = 24;
const WORD_BYTES: usize = 8;
const WIDTH: u32 = 128;

const AT_SIZE: usize = 4;
const AT_USABLE: usize = 8;
const AT_OCCUPIED: usize = 12;
const AT_QUARANTINED: usize = 16;
const AT_CURSOR: usize = 20;

/** What an index is: `poolState` answers one of these. */
export const STATE_UNUSABLE: i32 = 0;
export const STATE_FREE: i32 = 1;
export const STATE_OCCUPIED: i32 = 2;
export const STATE_QUARANTINED: i32 = 3;

function field(pool: usize, at: usize): u32 {
  return load<u32>(pool + at);
}

function setField(pool: usize, at: usize, value: u32): void {
  store<u32>(pool + at, value);
}

function addToField(pool: usize, at: usize, change: i32): void {
  const value = <i32>field(pool, at) + change;
  assert(value >= 0);
  assert(<u32>value <= field(pool, AT_USABLE));
  setField(pool, at, <u32>value);
}

/** Traps unless `pool` is the address of a living pool. */
function assertPool(pool: usize): void {
  assert(pool > ARENA);
  assert(pool < ARENA + arenaBytes());
  assert(field(pool, 0) == POOL_MAGIC);
}

function freeMap(pool: usize): usize {
  return pool + HEADER_BYTES;
}

function occupiedMap(pool: usize): usize {
  const size = field(pool, AT_SIZE);
  return bitsOf(freeMap(pool), size) + <usize>wordCount(size) * WORD_BYTES;
}

function quarantinedMap(pool: usize): usize {
  return occupiedMap(pool) + <usize>wordCount(field(pool, AT_SIZE)) * WORD_BYTES;
}

function poolBytes(size: u32): u32 {
  const words = summaryCount(size) + 3 * wordCount(size);
  return <u32>(HEADER_BYTES + <usize>words * WORD_BYTES);
}

/**
 * Makes a pool for a block with `prefix` in the 128-bit form; returns its address, or ERR_NO_ROOM.
 * All indices are usable but the first and, if `broadcast` and the block ends inside the pool, the
 * last.
 */
export function poolCreate(prefix: u32, broadcast: bool): i32 {
  assert(prefix <= WIDTH);
  const addressBits = WIDTH - prefix;
  const whole = addressBits <= 16;
  const size: u32 = whole ? 1 << addressBits : SIZE_MAX;
  const pool = arenaTake(poolBytes(size));
  if (pool == 0) return ERR_NO_ROOM;
  setField(pool, 0, POOL_MAGIC);
  setField(pool, AT_SIZE, size);
  const bits = bitsOf(freeMap(pool), size);
  for (let at: u32 = 0, count = wordCount(size); at < count; at++) {
    setWord(bits, at, size < 64 ? (<u64>1 << size) - 1 : u64.MAX_VALUE);
  }
  setField(pool, AT_USABLE, size);
  makeUnusable(pool, 0, 0);
  if (broadcast && whole) makeUnusable(pool, size - 1, size - 1);
  return <i32>pool;
}

/** Takes the indices from `first` to `last` (inclusive) out of use. */
function makeUnusable(pool: usize, first: u32, last: u32): void {
  const size = field(pool, AT_SIZE);
  assert(first <= last);
  assert(last < size);
  const bits = bitsOf(freeMap(pool), size);
  let gone: u32 = 0;
  for (let at = first >> 6; at <= last >> 6; at++) {
    const low = at == first >> 6 ? u64.MAX_VALUE << (first & 63) : u64.MAX_VALUE;
    const high = at == last >> 6 ? u64.MAX_VALUE >> (63 - (last & 63)) : u64.MAX_VALUE;
    const before = word(bits, at);
    gone += <u32>popcnt(before & low & high);
    setWord(bits, at, before & ~(low & high));
  }
  setField(pool, AT_USABLE, field(pool, AT_USABLE) - gone);
  summarise(freeMap(pool), size);
}

/**
 * Takes what a block and an exclude have in common out of use, both in the 128-bit form. Only for a
 * pool of which nothing is occupied or in quarantine.
 */
export function poolExclude(
  pool: usize,
  high: u64,
  low: u64,
  prefix: u32,
  excludeHigh: u64,
  excludeLow: u64,
  excludePrefix: u32,
): void {
  assertPool(pool);
  assert(field(pool, AT_OCCUPIED) == 0);
  assert(field(pool, AT_QUARANTINED) == 0);
  const last = field(pool, AT_SIZE) - 1;
  if (covers(excludeHigh, excludeLow, excludePrefix, high, low, prefix)) {
    makeUnusable(pool, 0, last);
  } else if (covers(high, low, prefix, excludeHigh, excludeLow, excludePrefix)) {
    const first = distance(high, low, excludeHigh, excludeLow, excludePrefix, WIDTH);
    if (first > <u64>last) return; // beyond the indices of a block with more than 65,536 addresses
    const hostBits = WIDTH - excludePrefix;
    const end = hostBits > 16 ? <u64>last : first + (<u64>1 << hostBits) - 1;
    makeUnusable(pool, <u32>first, <u32>min(end, <u64>last));
  }
}

/** Ends a pool; its address must not be used again. */
export function poolDispose(pool: usize): void {
  assertPool(pool);
  setField(pool, 0, 0);
  arenaRelease(pool);
}

/** Number of indices, 1..65536. */
export function poolSize(pool: usize): u32 {
  assertPool(pool);
  return field(pool, AT_SIZE);
}

/** Number of indices that can ever be handed out. */
export function poolUsable(pool: usize): u32 {
  assertPool(pool);
  return field(pool, AT_USABLE);
}

/** Number of occupied indices. */
export function poolOccupied(pool: usize): u32 {
  assertPool(pool);
  return field(pool, AT_OCCUPIED);
}

/** Number of indices in quarantine. */
export function poolQuarantined(pool: usize): u32 {
  assertPool(pool);
  return field(pool, AT_QUARANTINED);
}

/** Where the next `poolTake` begins to look. */
export function poolCursor(pool: usize): u32 {
  assertPool(pool);
  return field(pool, AT_CURSOR);
}

/** The state of an index, STATE_*; ERR_INDEX if the pool has no such index. */
export function poolState(pool: usize, index: u32): i32 {
  assertPool(pool);
  const size = field(pool, AT_SIZE);
  if (index >= size) return ERR_INDEX;
  if (hasBit(bitsOf(freeMap(pool), size), index)) return STATE_FREE;
  if (hasBit(occupiedMap(pool), index)) return STATE_OCCUPIED;
  return hasBit(quarantinedMap(pool), index) ? STATE_QUARANTINED : STATE_UNUSABLE;
}

function moveCursorPast(pool: usize, index: u32): void {
  setField(pool, AT_CURSOR, (index + 1) & (field(pool, AT_SIZE) - 1));
}

/**
 * Occupies this index: OK, ERR_STATE if it is already occupied, ERR_UNUSABLE, ERR_INDEX. The cursor
 * moves past it if it was not beyond: after a restart, in which everything in use is occupied
 * again, addresses freed before are not the first to be handed out.
 */
export function poolOccupy(pool: usize, index: u32): i32 {
  const state = poolState(pool, index);
  if (state < 0) return state;
  if (state == STATE_UNUSABLE) return ERR_UNUSABLE;
  if (state == STATE_OCCUPIED) return ERR_STATE;
  if (state == STATE_QUARANTINED) {
    clearBit(quarantinedMap(pool), index);
    addToField(pool, AT_QUARANTINED, -1);
  } else {
    clearSummarised(freeMap(pool), field(pool, AT_SIZE), index);
  }
  setBit(occupiedMap(pool), index);
  addToField(pool, AT_OCCUPIED, 1);
  if (index >= field(pool, AT_CURSOR)) moveCursorPast(pool, index);
  return OK;
}

/** Occupies the first free index at or after the cursor, wrapping once; returns it, or ERR_NONE. */
export function poolTake(pool: usize): i32 {
  assertPool(pool);
  const size = field(pool, AT_SIZE);
  const cursor = field(pool, AT_CURSOR);
  assert(cursor < size);
  let index = nextSummarised(freeMap(pool), size, cursor);
  if (index == NOT_FOUND && cursor > 0) index = nextSummarised(freeMap(pool), size, 0);
  if (index == NOT_FOUND) {
    assert(field(pool, AT_OCCUPIED) + field(pool, AT_QUARANTINED) == field(pool, AT_USABLE));
    return ERR_NONE;
  }
  clearSummarised(freeMap(pool), size, index);
  setBit(occupiedMap(pool), index);
  addToField(pool, AT_OCCUPIED, 1);
  moveCursorPast(pool, index);
  return <i32>index;
}

/** Occupied to free: OK, or ERR_STATE if it was not occupied. */
export function poolRelease(pool: usize, index: u32): i32 {
  if (poolState(pool, index) != STATE_OCCUPIED) return ERR_STATE;
  clearBit(occupiedMap(pool), index);
  addToField(pool, AT_OCCUPIED, -1);
  setSummarised(freeMap(pool), field(pool, AT_SIZE), index);
  return OK;
}

/** Occupied to quarantined: OK, or ERR_STATE if it was not occupied. */
export function poolQuarantine(pool: usize, index: u32): i32 {
  if (poolState(pool, index) != STATE_OCCUPIED) return ERR_STATE;
  clearBit(occupiedMap(pool), index);
  addToField(pool, AT_OCCUPIED, -1);
  setBit(quarantinedMap(pool), index);
  addToField(pool, AT_QUARANTINED, 1);
  return OK;
}

/** Quarantined to free: OK, or ERR_STATE if it was not in quarantine. */
export function poolEndQuarantine(pool: usize, index: u32): i32 {
  if (poolState(pool, index) != STATE_QUARANTINED) return ERR_STATE;
  clearBit(quarantinedMap(pool), index);
  addToField(pool, AT_QUARANTINED, -1);
  setSummarised(freeMap(pool), field(pool, AT_SIZE), index);
  return OK;
}

/** The first occupied index at or after `from`, or ERR_NONE. */
export function poolNextOccupied(pool: usize, from: u32): i32 {
  assertPool(pool);
  const index = nextBit(occupiedMap(pool), field(pool, AT_SIZE), from);
  return index == NOT_FOUND ? ERR_NONE : <i32>index;
}

/**
 * Copies the free, occupied and quarantined bits to the output, one after the other; returns the
 * bytes.
 */
export function poolSave(pool: usize): u32 {
  assertPool(pool);
  const size = field(pool, AT_SIZE);
  const bytes: usize = <usize>(3 * wordCount(size)) * WORD_BYTES;
  assert(bytes <= OUTPUT_BYTES);
  memory.copy(OUTPUT, bitsOf(freeMap(pool), size), bytes); // the three lie next to each other
  return <u32>bytes;
}

/**
 * Replaces a pool's state by what the host wrote to the output in the form of `poolSave`: OK,
 * ERR_CORRUPT if no pool can have that state, ERR_OTHER_POOL if other indices are usable in it.
 * Nothing changes unless OK.
 */
export function poolLoad(pool: usize, cursor: u32): i32 {
  assertPool(pool);
  const size = field(pool, AT_SIZE);
  if (cursor >= size) return ERR_CORRUPT;
  const count = wordCount(size);
  const bits = bitsOf(freeMap(pool), size);
  let occupied: u32 = 0;
  let quarantined: u32 = 0;
  for (let at: u32 = 0; at < count; at++) {
    const f = word(OUTPUT, at);
    const o = word(OUTPUT, count + at);
    const q = word(OUTPUT, 2 * count + at);
    if (((f & o) | (f & q) | (o & q)) != 0) return ERR_CORRUPT;
    const usable = word(bits, at) | word(bits, count + at) | word(bits, 2 * count + at);
    if ((f | o | q) != usable) return ERR_OTHER_POOL;
    occupied += <u32>popcnt(o);
    quarantined += <u32>popcnt(q);
  }
  memory.copy(bits, OUTPUT, <usize>(3 * count) * WORD_BYTES);
  summarise(freeMap(pool), size);
  setField(pool, AT_OCCUPIED, occupied);
  setField(pool, AT_QUARANTINED, quarantined);
  setField(pool, AT_CURSOR, cursor);
  return OK;
}
