// Address arithmetic on pairs of u64 (high, low) in host byte order. IPv4 comes in as (0, u32) with
// 96 added to its prefix, so that one set of functions serves both families. Prefixes are 0..128.

/** What an IPv4 prefix is short of in the 128-bit form. */
export const IPV4_SHIFT: u32 = 96;
const WIDTH: u32 = 128;

// WASM takes shift counts modulo 64, so each function below treats 0 and 64 by themselves.

function maskHigh(prefix: u32): u64 {
  if (prefix >= 64) return u64.MAX_VALUE;
  return prefix == 0 ? 0 : u64.MAX_VALUE << (64 - prefix);
}

function maskLow(prefix: u32): u64 {
  return prefix <= 64 ? 0 : u64.MAX_VALUE << (WIDTH - prefix);
}

/** True if a bit below the prefix is set. */
export function hasHostBits(high: u64, low: u64, prefix: u32): bool {
  assert(prefix <= WIDTH);
  return ((high & ~maskHigh(prefix)) | (low & ~maskLow(prefix))) != 0;
}

/** True if block A holds the whole of block B. Host bits of either do not count. */
export function covers(
  highA: u64,
  lowA: u64,
  prefixA: u32,
  highB: u64,
  lowB: u64,
  prefixB: u32,
): bool {
  assert(prefixA <= WIDTH);
  assert(prefixB <= WIDTH);
  if (prefixA > prefixB) return false;
  return (((highA ^ highB) & maskHigh(prefixA)) | ((lowA ^ lowB) & maskLow(prefixA))) == 0;
}

/** High half of `index` moved up to end at bit `prefix`. */
export function placedHigh(index: u32, prefix: u32): u64 {
  assert(prefix <= WIDTH);
  const shift = WIDTH - prefix;
  if (shift >= WIDTH) return 0;
  if (shift >= 64) return <u64>index << (shift - 64);
  return shift == 0 ? 0 : <u64>index >> (64 - shift);
}

/** Low half of `index` moved up to end at bit `prefix`. */
export function placedLow(index: u32, prefix: u32): u64 {
  assert(prefix <= WIDTH);
  const shift = WIDTH - prefix;
  return shift >= 64 ? 0 : <u64>index << shift;
}

/** The number that the bits above `prefix` form, or u64.MAX_VALUE if it is greater than that. */
function numberAbove(high: u64, low: u64, prefix: u32): u64 {
  assert(prefix <= WIDTH);
  const shift = WIDTH - prefix;
  if (shift >= WIDTH) return 0;
  if (shift >= 64) return high >> (shift - 64);
  if (shift == 0) return high == 0 ? low : u64.MAX_VALUE;
  return high >> shift == 0 ? (high << (64 - shift)) | (low >> shift) : u64.MAX_VALUE;
}

/**
 * How far inside block A the block B begins, counted in blocks with `unitPrefix`; u64.MAX_VALUE if
 * it is farther than that. A covers B and has no host bits; those of B do not count.
 */
export function distance(
  highA: u64,
  lowA: u64,
  highB: u64,
  lowB: u64,
  prefixB: u32,
  unitPrefix: u32,
): u64 {
  // XOR takes away the bits of A, which B begins with.
  const high = (highB ^ highA) & maskHigh(prefixB);
  const low = (lowB ^ lowA) & maskLow(prefixB);
  return numberAbove(high, low, unitPrefix);
}
