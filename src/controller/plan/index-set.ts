// A set of small non-negative integers as a bitmap: the host indices of one net address that are
// given away. It knows nothing of addresses; base64 is its form in the ledger.

const INDEX_MAX = 2 ** 20;

/** A growing bitmap. Byte 0, bit 0 is index 0. Indices are 0 to 2^20 - 1. */
export class IndexSet implements Iterable<number> {
  #bytes: Uint8Array;

  constructor(bytes: Uint8Array = new Uint8Array(0)) {
    this.#bytes = bytes;
  }

  /** Reads the base64 form. Undefined when the text is not base64 or describes too many indices. */
  static parse(text: string): IndexSet | undefined {
    try {
      const bytes = Uint8Array.fromBase64(text);
      return bytes.length * 8 > INDEX_MAX ? undefined : new IndexSet(bytes);
    } catch (error) {
      if (error instanceof SyntaxError) return undefined;
      throw error;
    }
  }

  /** The base64 form: as many bytes as the greatest index needs, so equal sets have equal texts. */
  toString(): string {
    return this.#bytes.subarray(0, (this.last >> 3) + 1).toBase64();
  }

  /** True when `index` can be a member of any set. */
  static isIndex(index: number): boolean {
    return Number.isInteger(index) && index >= 0 && index < INDEX_MAX;
  }

  has(index: number): boolean {
    return ((this.#bytes[index >> 3] ?? 0) & (1 << (index & 7))) !== 0;
  }

  /** Adds `index`, which must satisfy `isIndex`. */
  add(index: number): void {
    if (!IndexSet.isIndex(index)) throw new RangeError(`index out of range: ${index}`);
    const byte = index >> 3;
    if (byte >= this.#bytes.length) this.#grow(byte + 1);
    this.#bytes[byte] = (this.#bytes[byte] ?? 0) | (1 << (index & 7));
  }

  delete(index: number): void {
    const byte = index >> 3;
    if (byte >= this.#bytes.length) return;
    this.#bytes[byte] = (this.#bytes[byte] ?? 0) & ~(1 << (index & 7));
  }

  copy(): IndexSet {
    return new IndexSet(this.#bytes.slice());
  }

  /** The greatest member, or -1. */
  get last(): number {
    for (let byte = this.#bytes.length - 1; byte >= 0; byte--) {
      const value = this.#bytes[byte] ?? 0;
      if (value !== 0) return byte * 8 + 31 - Math.clz32(value);
    }
    return -1;
  }

  get isEmpty(): boolean {
    return this.last === -1;
  }

  /** The members in ascending order. */
  *[Symbol.iterator](): IterableIterator<number> {
    for (let byte = 0; byte < this.#bytes.length; byte++) {
      let value = this.#bytes[byte] ?? 0;
      while (value !== 0) {
        yield byte * 8 + 31 - Math.clz32(value & -value);
        value &= value - 1;
      }
    }
  }

  #grow(length: number): void {
    const grown = new Uint8Array(Math.max(length, this.#bytes.length * 2, 8));
    grown.set(this.#bytes);
    this.#bytes = grown;
  }
}
