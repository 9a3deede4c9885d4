// CIDR division: which blocks a parent splits into. The parent of the block with index i is the
// block without its last `bits` bits; indices are u32. Which index is next is left to the callers.
import { hasHostBits, placedHigh, placedLow } from './address.ts';
import { ERR_HOST_BITS, ERR_INDEX, ERR_PREFIX, OK } from './codes.ts';
import { setOutput64 } from './layout.ts';

const WIDTH: u32 = 128;

/** The greatest index among 2^bits. */
function lastIndex(bits: u32): u32 {
  return bits >= 32 ? u32.MAX_VALUE : (1 << bits) - 1;
}

/** OK if the parent can be divided into 2^bits blocks; otherwise why not. */
function checkDivision(high: u64, low: u64, prefix: u32, bits: u32): i32 {
  if (hasHostBits(high, low, prefix)) return ERR_HOST_BITS;
  return bits > WIDTH - prefix ? ERR_PREFIX : OK;
}

/** Writes block `index` of the parent to the output as two u64, high then low. */
export function subnet(high: u64, low: u64, prefix: u32, index: u32, bits: u32): i32 {
  const code = checkDivision(high, low, prefix, bits);
  if (code != OK) return code;
  if (index > lastIndex(bits)) return ERR_INDEX;
  setOutput64(0, high | placedHigh(index, prefix + bits));
  setOutput64(1, low | placedLow(index, prefix + bits));
  return OK;
}
