// The map of linear memory, and the only stores on its output region. The pool and arena
// files own theirs.
//
//   0 ............ static data of the module (the assert texts), up to __heap_base
//   OUTPUT ....... what ONE call found: a divided block (u64 high, u64 low), or the bits of a pool;
//                  the host reads it after the call, and writes it before a pool is loaded
//   ARENA ........ pool blocks, up to the end of memory (arena.ts)
//
// Memory is fixed at 512 pages, 32 MiB (asconfig.json): initial equals maximum, so views never
// detach. A pool of 65,536 indices takes 24,752 bytes, so 1,354 of the largest fit: 16 NICs x 2
// families x 42 networks. Pages that no pool has touched cost nothing. When the arena is full,
// creating a pool answers ERR_NO_ROOM.

const ALIGN: usize = 64;
/** Size of the output region: three bitmaps of 65,536 bits. */
export const OUTPUT_BYTES: usize = 24576;

/** First byte of the output. */
export const OUTPUT: usize = (__heap_base + ALIGN - 1) & ~(ALIGN - 1);
/** First byte of the arena. */
export const ARENA: usize = (OUTPUT + OUTPUT_BYTES + ALIGN - 1) & ~(ALIGN - 1);

/** Writes word `at` of the output as u64. */
export function setOutput64(at: u32, value: u64): void {
  store<u64>(OUTPUT + <usize>at * sizeof<u64>(), value);
}
