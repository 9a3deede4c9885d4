// CIDR division: which blocks a parent splits into, and which of them to give next. The parent of
// the block with index i is the block without its last `bits` bits; indices are u32.
import { covers, distance, hasHostBits, placedHigh, placedLow } from './address.ts';
import { ERR_HOST_BITS, ERR_INDEX, ERR_PREFIX, ERR_UNSORTED, OK } from './codes.ts';
import {
  EXCLUDES_MAX,
  INDICES_MAX,
  OUTPUT_BYTES,
  excludeHigh,
  excludeLow,
  excludePrefix,
  indexAt,
  rangeFirst,
  rangeLast,
  setOutput32,
  setOutput64,
  setRange,
} from './layout.ts';

const WIDTH: u32 = 128;

/** The greatest index among 2^bits. */
function lastIndex(bits: u32): u32 {
  return bits >= 32 ? u32.MAX_VALUE : (1 << bits) - 1;
}

/** OK if the parent can be divided into 2^bits blocks; otherwise why not. */
export function checkDivision(high: u64, low: u64, prefix: u32, bits: u32): i32 {
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

/**
 * Writes the blocks of the first `count` entries of the index list to the output: two u64 each,
 * high then low, or the low one alone if `narrow`. Nothing that was written counts if the answer is
 * not OK.
 */
export function divideMany(
  high: u64,
  low: u64,
  prefix: u32,
  bits: u32,
  count: u32,
  narrow: bool,
): i32 {
  const code = checkDivision(high, low, prefix, bits);
  if (code != OK) return code;
  assert(<usize>count * (narrow ? 8 : 16) <= OUTPUT_BYTES); // the host cuts its list into pieces
  const last = lastIndex(bits);
  for (let i: u32 = 0; i < count; i++) {
    const index = indexAt(i);
    if (index > last) return ERR_INDEX;
    const blockLow = low | placedLow(index, prefix + bits);
    if (narrow) {
      setOutput64(i, blockLow);
    } else {
      setOutput64(2 * i, high | placedHigh(index, prefix + bits));
      setOutput64(2 * i + 1, blockLow);
    }
  }
  return OK;
}

/**
 * Turns the excludes into ranges of indices that they cover whole; one that is smaller than a block
 * covers none. Returns the number of ranges.
 */
function coveredRanges(
  high: u64,
  low: u64,
  prefix: u32,
  bits: u32,
  excludeCount: u32,
  familyShift: u32,
): u32 {
  assert(excludeCount <= EXCLUDES_MAX);
  const unit = prefix + bits;
  const last = lastIndex(bits);
  let count: u32 = 0;
  for (let i: u32 = 0; i < excludeCount; i++) {
    const exHigh = excludeHigh(i);
    const exLow = excludeLow(i);
    const exPrefix = excludePrefix(i) + familyShift;
    if (covers(exHigh, exLow, exPrefix, high, low, prefix)) {
      setRange(count++, 0, last);
    } else if (exPrefix <= unit && covers(high, low, prefix, exHigh, exLow, exPrefix)) {
      const first = distance(high, low, exHigh, exLow, exPrefix, unit);
      const end = first + <u64>lastIndex(unit - exPrefix);
      if (first <= <u64>last) setRange(count++, <u32>first, <u32>min(end, <u64>last));
    }
  }
  return count;
}

/** True if each of the first `count` entries of the index list is not below the one before. */
function isAscending(count: u32): bool {
  let previous: u32 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const index = indexAt(i);
    if (index < previous) return false;
    previous = index;
  }
  return true;
}

/** The first place in the ascending index list whose entry is not below `index`. */
function lowerBound(index: u64, count: u32): u32 {
  let start: u32 = 0;
  let end = count;
  while (start < end) {
    const middle = (start + end) >> 1;
    if (<u64>indexAt(middle) < index) start = middle + 1;
    else end = middle;
  }
  return start;
}

/** The last index of the run of covered blocks that `index` is in, or -1 if it is not covered. */
function lastCovered(index: u64, rangeCount: u32): i64 {
  let last: i64 = -1;
  for (let i: u32 = 0; i < rangeCount; i++) {
    if (<u64>rangeFirst(i) <= index && index <= <u64>rangeLast(i)) last = max(last, rangeLast(i));
  }
  return last;
}

/** The first index at or after `index` at which a range begins; 2^32 if there is none. */
function nextCovered(index: u64, rangeCount: u32): u64 {
  let next: u64 = 0x100000000;
  for (let i: u32 = 0; i < rangeCount; i++) {
    if (<u64>rangeFirst(i) >= index) next = min(next, <u64>rangeFirst(i));
  }
  return next;
}

/**
 * Appends to the output the free indices from `first` to `last` (inclusive), ascending, until there
 * are `want` of them. Each round moves the candidate up past a used entry, past a covered range, or
 * past the index it took.
 */
function sweep(first: u64, last: u64, found: u32, want: u32, used: u32, ranges: u32): u32 {
  let count = found;
  let candidate = first;
  let clean = first; // candidates below it are known not to be covered
  let at = lowerBound(first, used);
  while (candidate <= last && count < want) {
    while (at < used && <u64>indexAt(at) < candidate) at++;
    if (at < used && <u64>indexAt(at) == candidate) {
      candidate++;
      continue;
    }
    if (candidate >= clean) {
      const covered = lastCovered(candidate, ranges);
      if (covered >= 0) {
        candidate = <u64>covered + 1;
        continue;
      }
      clean = nextCovered(candidate, ranges);
    }
    setOutput32(count++, <u32>candidate);
    candidate++;
  }
  return count;
}

/**
 * Writes up to `want` indices to give next to the output, in the order to give them, and returns
 * how many there are. Used ones are in the index list, ascending; excludes in theirs, prefixes
 * short of `familyShift`. With `afterHighest` the search begins above the greatest used index and
 * wraps once; otherwise it begins at 0.
 */
export function nextIndices(
  high: u64,
  low: u64,
  prefix: u32,
  bits: u32,
  usedCount: u32,
  excludeCount: u32,
  afterHighest: bool,
  want: u32,
  familyShift: u32,
): i32 {
  const code = checkDivision(high, low, prefix, bits);
  if (code != OK) return code;
  assert(usedCount <= INDICES_MAX);
  assert(<usize>want * sizeof<u32>() <= OUTPUT_BYTES);
  if (!isAscending(usedCount)) return ERR_UNSORTED;
  const ranges = coveredRanges(high, low, prefix, bits, excludeCount, familyShift);
  const last = <u64>lastIndex(bits);
  const first = afterHighest && usedCount > 0 ? <u64>indexAt(usedCount - 1) + 1 : 0;
  let count = sweep(first, last, 0, want, usedCount, ranges);
  if (first > 0) count = sweep(0, min(first - 1, last), count, want, usedCount, ranges);
  return count;
}
