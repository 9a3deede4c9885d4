// The arena: blocks for pools, first fit, neighbours joined when a block comes back. It knows
// nothing of what is in a block.
//
// A block, 16-byte aligned:
//   +0 u32 bytes    whole block with this header, a multiple of 16
//   +4 u32 next     in use: IN_USE; free: the next free block in address order, 0 = none
//   +8 u64          unused, keeps the payload aligned
//   +16 payload
// Free blocks never touch each other: two that would are joined. So an arena without blocks in use
// is one free block.
import { ARENA } from './layout.ts';

const HEADER_BYTES: usize = 16;
const IN_USE: u32 = 0x55534544;
/** A rest smaller than this stays with the block that it was cut from. */
const BLOCK_BYTES_MIN: u32 = 128;

function blockBytes(block: usize): u32 {
  return load<u32>(block);
}

function setBlockBytes(block: usize, bytes: u32): void {
  store<u32>(block, bytes);
}

function blockNext(block: usize): u32 {
  return load<u32>(block, 4);
}

function setBlockNext(block: usize, next: u32): void {
  store<u32>(block, next, 4);
}

/** Makes all of the arena one free block and returns it; runs once, when the instance starts. */
function format(): usize {
  setBlockBytes(ARENA, arenaBytes());
  setBlockNext(ARENA, 0);
  return ARENA;
}

/** Size of the arena, headers included. */
export function arenaBytes(): u32 {
  return <u32>((<usize>memory.size() << 16) - ARENA);
}

let firstFree: usize = format();
let freeBytes: u32 = arenaBytes();

/** Bytes in free blocks, headers included; equals `arenaBytes` when nothing is in use. */
export function arenaFreeBytes(): u32 {
  return freeBytes;
}

function setNextFree(previous: usize, next: usize): void {
  if (previous == 0) firstFree = next;
  else setBlockNext(previous, <u32>next);
}

/**
 * Returns the address of `bytes` zero bytes, 16-byte aligned, or 0 if no free block is large
 * enough.
 */
export function arenaTake(bytes: u32): usize {
  const need = <u32>((HEADER_BYTES + bytes + 15) & ~15);
  let previous: usize = 0;
  let block = firstFree;
  while (block != 0 && blockBytes(block) < need) {
    previous = block;
    block = blockNext(block);
  }
  if (block == 0) return 0;
  const rest = blockBytes(block) - need;
  if (rest >= BLOCK_BYTES_MIN) {
    const remainder = block + need;
    setBlockBytes(remainder, rest);
    setBlockNext(remainder, blockNext(block));
    setNextFree(previous, remainder);
    setBlockBytes(block, need);
  } else {
    setNextFree(previous, blockNext(block));
  }
  setBlockNext(block, IN_USE);
  freeBytes -= blockBytes(block);
  memory.fill(block + HEADER_BYTES, 0, <usize>blockBytes(block) - HEADER_BYTES);
  return block + HEADER_BYTES;
}

/** Gives back what `arenaTake` returned. */
export function arenaRelease(payload: usize): void {
  const block = payload - HEADER_BYTES;
  assert(blockNext(block) == IN_USE); // released twice, or never taken
  freeBytes += blockBytes(block);
  let previous: usize = 0;
  let next = firstFree;
  while (next != 0 && next < block) {
    previous = next;
    next = blockNext(next);
  }
  setBlockNext(block, <u32>next);
  setNextFree(previous, block);
  joinNext(block);
  if (previous != 0) joinNext(previous);
  assert(freeBytes <= arenaBytes());
}

/** Joins a free block with the free block that follows it, if they touch. */
function joinNext(block: usize): void {
  const next = <usize>blockNext(block);
  const end = block + blockBytes(block);
  assert(next == 0 || end <= next); // free blocks never overlap
  if (next != end || next == 0) return;
  setBlockBytes(block, blockBytes(block) + blockBytes(next));
  setBlockNext(block, blockNext(next));
}
