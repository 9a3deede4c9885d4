// Bytes of unknown number, as they come. Begins small: 64 KiB at once would bring on a collection
// of garbage, 1 ms of a process that lives for ten.

const FIRST_BYTES = 4096;

/** What has come so far, and room for more. */
export class GrowingBytes {
  #buffer = new Uint8Array(FIRST_BYTES);
  #length = 0;

  get bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  /** Lets `read` fill the room that there is; it returns how many bytes it put in. So does this. */
  append(read: (into: Uint8Array) => number): number {
    if (this.#length === this.#buffer.length) {
      const larger = new Uint8Array(this.#length * 2);
      larger.set(this.#buffer);
      this.#buffer = larger;
    }
    const count = read(this.#buffer.subarray(this.#length));
    this.#length += count;
    return count;
  }
}
