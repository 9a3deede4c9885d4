// What the module exports: integers in, integers out; negative results are the codes of codes.ts.
// Addresses come as u32 (IPv4) or as two u64, high and low (IPv6), in host byte order.
// core-wasm/index.ts is the only caller.
import './abort.ts';
import { IPV4_SHIFT, covers } from './address.ts';
import { arenaBytes, arenaFreeBytes } from './arena.ts';
import { subnet as block } from './division.ts';
import { OUTPUT, OUTPUT_BYTES } from './layout.ts';
import {
  poolCreate,
  poolCursor,
  poolDispose,
  poolEndQuarantine,
  poolExclude,
  poolLoad,
  poolNextOccupied,
  poolOccupied,
  poolOccupy,
  poolQuarantine,
  poolQuarantined,
  poolRelease,
  poolSave,
  poolSize,
  poolState,
  poolTake,
  poolUsable,
} from './pool.ts';

// The compiler wants an import and an export apart where the path carries its extension.
export {
  arenaBytes,
  arenaFreeBytes,
  poolCursor,
  poolDispose,
  poolEndQuarantine,
  poolLoad,
  poolNextOccupied,
  poolOccupied,
  poolOccupy,
  poolQuarantine,
  poolQuarantined,
  poolRelease,
  poolSave,
  poolSize,
  poolState,
  poolTake,
  poolUsable,
};

/** Where the host reads what a call found. */
export function outputBase(): usize {
  return OUTPUT;
}

/** Bytes of the output region. */
export function outputBytes(): u32 {
  return <u32>OUTPUT_BYTES;
}

/**
 * Writes block `index` of 2^bits to the output, u64 high and low. OK, ERR_HOST_BITS, ERR_PREFIX,
 * ERR_INDEX.
 */
export function subnet4(base: u32, prefix: u32, index: u32, bits: u32): i32 {
  return block(0, base, prefix + IPV4_SHIFT, index, bits);
}

/** `subnet4` for IPv6. */
export function subnet6(high: u64, low: u64, prefix: u32, index: u32, bits: u32): i32 {
  return block(high, low, prefix, index, bits);
}

/** 1 if block A holds the whole of block B; host bits do not count. */
export function covers4(baseA: u32, prefixA: u32, baseB: u32, prefixB: u32): i32 {
  return i32(covers(0, baseA, prefixA + IPV4_SHIFT, 0, baseB, prefixB + IPV4_SHIFT));
}

/** `covers4` for IPv6. */
export function covers6(
  highA: u64,
  lowA: u64,
  prefixA: u32,
  highB: u64,
  lowB: u64,
  prefixB: u32,
): i32 {
  return i32(covers(highA, lowA, prefixA, highB, lowB, prefixB));
}

/**
 * Makes a pool for an IPv4 block and returns its address, or ERR_NO_ROOM. Network and broadcast are
 * not usable.
 */
export function poolCreate4(prefix: u32): i32 {
  return poolCreate(prefix + IPV4_SHIFT, true);
}

/**
 * Makes a pool for an IPv6 block and returns its address, or ERR_NO_ROOM. The first address is not
 * usable.
 */
export function poolCreate6(prefix: u32): i32 {
  return poolCreate(prefix, false);
}

/**
 * Takes what the pool's block and an exclude have in common out of use; only while nothing is
 * occupied.
 */
export function poolExclude4(
  pool: usize,
  base: u32,
  prefix: u32,
  excludeBase: u32,
  excludePrefix: u32,
): void {
  const exPrefix = excludePrefix + IPV4_SHIFT;
  poolExclude(pool, 0, base, prefix + IPV4_SHIFT, 0, excludeBase, exPrefix);
}

/** `poolExclude4` for IPv6. */
export function poolExclude6(
  pool: usize,
  high: u64,
  low: u64,
  prefix: u32,
  excludeHigh: u64,
  excludeLow: u64,
  excludePrefix: u32,
): void {
  poolExclude(pool, high, low, prefix, excludeHigh, excludeLow, excludePrefix);
}
