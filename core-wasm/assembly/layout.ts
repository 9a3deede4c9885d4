// The map of linear memory, and the only loads and stores on its scratch region. The pool and arena
// files own theirs.
//
//   0 ............ static data of the module (the assert texts), up to __heap_base
//   SCRATCH ...... input and output of ONE call: the host fills it before and reads it after
//     excludes     EXCLUDES_MAX x { u64 high, u64 low, u64 prefix }
//                  IPv4: high is 0, low is the u32, prefix is 0..32
//     ranges       EXCLUDES_MAX x { u32 first, u32 last }
//                  the excludes as ranges of indices, inclusive; the core makes them
//     indices      INDICES_MAX x u32, used indices or the indices to divide
//     output       OUTPUT_BYTES, found indices, divided addresses, or the bits of a pool
//   ARENA ........ pool blocks, up to the end of memory (arena.ts)
//
// Memory is fixed at 512 pages, 32 MiB (asconfig.json): initial equals maximum, so views never
// detach. A pool of 65,536 indices takes 24,752 bytes, so 1,318 of the largest fit: 16 NICs x 2
// families x 41 networks. Pages that no pool has touched cost nothing. When the arena is full,
// creating a pool answers ERR_NO_ROOM.

const ALIGN: usize = 64;
const EXCLUDE_BYTES: usize = 24;
const RANGE_BYTES: usize = 8;

/** Most excludes in one call. */
export const EXCLUDES_MAX: u32 = 4096;
/** Most used indices, or indices to divide, in one call. */
export const INDICES_MAX: u32 = 131072;
/** Size of the output region: 65,536 found indices, or 16,384 IPv6 addresses. */
export const OUTPUT_BYTES: usize = 262144;

const SCRATCH: usize = (__heap_base + ALIGN - 1) & ~(ALIGN - 1);
/** First byte of the exclude records. */
export const EXCLUDES: usize = SCRATCH;
const RANGES: usize = EXCLUDES + <usize>EXCLUDES_MAX * EXCLUDE_BYTES;
/** First byte of the index list. */
export const INDICES: usize = RANGES + <usize>EXCLUDES_MAX * RANGE_BYTES;
/** First byte of the output. */
export const OUTPUT: usize = INDICES + <usize>INDICES_MAX * sizeof<u32>();
/** First byte of the arena. */
export const ARENA: usize = (OUTPUT + OUTPUT_BYTES + ALIGN - 1) & ~(ALIGN - 1);

/** High half of an exclude's address; 0 for IPv4. */
export function excludeHigh(at: u32): u64 {
  assert(at < EXCLUDES_MAX);
  return load<u64>(EXCLUDES + <usize>at * EXCLUDE_BYTES);
}

/** Low half of an exclude's address; the whole address for IPv4. */
export function excludeLow(at: u32): u64 {
  assert(at < EXCLUDES_MAX);
  return load<u64>(EXCLUDES + <usize>at * EXCLUDE_BYTES + 8);
}

/** An exclude's prefix length in its own family. */
export function excludePrefix(at: u32): u32 {
  assert(at < EXCLUDES_MAX);
  return <u32>load<u64>(EXCLUDES + <usize>at * EXCLUDE_BYTES + 16);
}

/** First index that range `at` covers. */
export function rangeFirst(at: u32): u32 {
  return load<u32>(RANGES + <usize>at * RANGE_BYTES);
}

/** Last index that range `at` covers, inclusive. */
export function rangeLast(at: u32): u32 {
  return load<u32>(RANGES + <usize>at * RANGE_BYTES + 4);
}

/** Writes range `at`; both ends are inclusive. */
export function setRange(at: u32, first: u32, last: u32): void {
  assert(at < EXCLUDES_MAX);
  assert(first <= last);
  store<u32>(RANGES + <usize>at * RANGE_BYTES, first);
  store<u32>(RANGES + <usize>at * RANGE_BYTES + 4, last);
}

/** Entry `at` of the index list. */
export function indexAt(at: u32): u32 {
  return load<u32>(INDICES + <usize>at * sizeof<u32>());
}

/** Writes word `at` of the output as u32. */
export function setOutput32(at: u32, value: u32): void {
  store<u32>(OUTPUT + <usize>at * sizeof<u32>(), value);
}

/** Writes word `at` of the output as u64. */
export function setOutput64(at: u32, value: u64): void {
  store<u64>(OUTPUT + <usize>at * sizeof<u64>(), value);
}
