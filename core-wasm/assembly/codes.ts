// Result codes that cross the border: expected outcomes only. Zero and above is success or a value.

/** Done. */
export const OK: i32 = 0;
/** The base address has bits set below its prefix. */
export const ERR_HOST_BITS: i32 = -1;
/** Prefix plus bits is longer than an address of the family. */
export const ERR_PREFIX: i32 = -2;
/** The index is not below 2^bits, or not below the size of the pool. */
export const ERR_INDEX: i32 = -3;
/** The arena has no free block that is large enough. */
export const ERR_NO_ROOM: i32 = -4;
/** Nothing (more) to find: the pool is full, or no occupied index follows. */
export const ERR_NONE: i32 = -5;
/** The index is not in the state that the verb starts from. */
export const ERR_STATE: i32 = -6;
/** The index is reserved or excluded. */
export const ERR_UNUSABLE: i32 = -7;
/** A snapshot with other usable indices than this pool's. */
export const ERR_OTHER_POOL: i32 = -8;
/** A snapshot that no pool can have written. */
export const ERR_CORRUPT: i32 = -9;
