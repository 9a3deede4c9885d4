// Bitmaps in linear memory: plain ones, and one with summary words in which the next set bit is
// found in a few steps. The caller owns the bytes. Sizes are powers of two up to 2^16, so a bitmap
// has 1..1024 words of 64 bits.
//
// Plain bitmap: u64[words]; bit b of word w is index 64 * w + b; bits at or above the size are 0.
//
// Summarised bitmap: three levels; a bit says that a word of the level below is not 0.
//   +0                u64            top: bit i belongs to middle word i
//   +8                u64[middles]   middle: bit b of word i belongs to word 64 * i + b
//   +8 + 8 * middles  u64[words]     the bits themselves, a plain bitmap
const WORD_BYTES: usize = 8;

/** Most indices in a bitmap: three levels could hold four times more, a pool never does. */
export const SIZE_MAX: u32 = 65536;

/** The answer of a search that found nothing. */
export const NOT_FOUND: u32 = u32.MAX_VALUE;

/** Words of a plain bitmap. */
export function wordCount(size: u32): u32 {
  assert(size > 0);
  assert(size <= SIZE_MAX);
  return (size + 63) >> 6;
}

/** Words of a summarised bitmap that come before its bits. */
export function summaryCount(size: u32): u32 {
  return 1 + ((wordCount(size) + 63) >> 6);
}

/** Word `at` of the words that begin at `words`. */
export function word(words: usize, at: u32): u64 {
  return load<u64>(words + <usize>at * WORD_BYTES);
}

/** Writes word `at` of the words that begin at `words`. */
export function setWord(words: usize, at: u32, value: u64): void {
  store<u64>(words + <usize>at * WORD_BYTES, value);
}

/** The one bit of an index within its word. */
function bitOf(index: u32): u64 {
  return <u64>1 << (index & 63);
}

/** The bits of a word at and above position `from` (0..63). */
function atOrAbove(from: u32): u64 {
  return u64.MAX_VALUE << from;
}

/** True if the bit is set in a plain bitmap. */
export function hasBit(words: usize, index: u32): bool {
  return (word(words, index >> 6) & bitOf(index)) != 0;
}

/** Sets a clear bit of a plain bitmap. */
export function setBit(words: usize, index: u32): void {
  const before = word(words, index >> 6);
  assert((before & bitOf(index)) == 0);
  setWord(words, index >> 6, before | bitOf(index));
}

/** Clears a set bit of a plain bitmap. */
export function clearBit(words: usize, index: u32): void {
  const before = word(words, index >> 6);
  assert((before & bitOf(index)) != 0);
  setWord(words, index >> 6, before & ~bitOf(index));
}

/** The first set bit at or after `from` in a plain bitmap, or NOT_FOUND; reads word by word. */
export function nextBit(words: usize, size: u32, from: u32): u32 {
  if (from >= size) return NOT_FOUND;
  const count = wordCount(size);
  let at = from >> 6;
  let rest = word(words, at) & atOrAbove(from & 63);
  while (rest == 0) {
    if (++at == count) return NOT_FOUND;
    rest = word(words, at);
  }
  return (at << 6) + <u32>ctz(rest);
}

/** The plain bitmap inside a summarised one. */
export function bitsOf(summary: usize, size: u32): usize {
  return summary + <usize>summaryCount(size) * WORD_BYTES;
}

function middleOf(summary: usize): usize {
  return summary + WORD_BYTES;
}

/** Sets a clear bit and its summary bits. */
export function setSummarised(summary: usize, size: u32, index: u32): void {
  setBit(bitsOf(summary, size), index);
  noteWordSet(summary, index >> 6);
}

/** Clears a set bit, and the summary bits of what became 0. */
export function clearSummarised(summary: usize, size: u32, index: u32): void {
  const bits = bitsOf(summary, size);
  clearBit(bits, index);
  if (word(bits, index >> 6) != 0) return;
  const at = index >> 6;
  clearBit(middleOf(summary), at);
  if (word(middleOf(summary), at >> 6) == 0) clearBit(summary, at >> 6);
}

function noteWordSet(summary: usize, at: u32): void {
  setWord(middleOf(summary), at >> 6, word(middleOf(summary), at >> 6) | bitOf(at));
  setWord(summary, 0, word(summary, 0) | bitOf(at >> 6));
}

/** Writes all summary words anew from the bits. */
export function summarise(summary: usize, size: u32): void {
  memory.fill(summary, 0, <usize>summaryCount(size) * WORD_BYTES);
  const bits = bitsOf(summary, size);
  for (let at: u32 = 0, count = wordCount(size); at < count; at++) {
    if (word(bits, at) != 0) noteWordSet(summary, at);
  }
}

/** The first set bit at or after `from`, or NOT_FOUND; reads at most five words. */
export function nextSummarised(summary: usize, size: u32, from: u32): u32 {
  if (from >= size) return NOT_FOUND;
  const bits = bitsOf(summary, size);
  let at = from >> 6;
  const here = word(bits, at) & atOrAbove(from & 63);
  if (here != 0) return (at << 6) + <u32>ctz(here);
  at = nextWord(summary, at + 1, wordCount(size));
  if (at == NOT_FOUND) return NOT_FOUND;
  const found = word(bits, at);
  assert(found != 0); // the summary says so
  return (at << 6) + <u32>ctz(found);
}

/** The first word at or after `from` that is not 0, or NOT_FOUND. */
function nextWord(summary: usize, from: u32, count: u32): u32 {
  if (from >= count) return NOT_FOUND;
  const middle = middleOf(summary);
  let at = from >> 6;
  let found = word(middle, at) & atOrAbove(from & 63);
  if (found == 0) {
    assert(at < 63); // there are at most 16 middle words
    const top = word(summary, 0) & atOrAbove(at + 1);
    if (top == 0) return NOT_FOUND;
    at = <u32>ctz(top);
    found = word(middle, at);
    assert(found != 0); // the top says so
  }
  return (at << 6) + <u32>ctz(found);
}
