// Standard input and output as a plugin needs them: read once to the end, written once.

import type { Libc } from './libc.ts';

const STDIN = 0;
const STDOUT = 1;
/** A larger buffer at once would bring on a collection of garbage, 1 ms. */
const BUFFER_BYTES = 4096;

/** The standard streams of this process. */
export interface Streams {
  /** Standard input to its end, or to some point behind the limit. */
  readonly readAll: (limitBytes: number) => Uint8Array;
  /** Writes all of it; throws a SystemError if nobody reads it. */
  readonly print: (text: string) => void;
}

/** The streams over this C library. */
export function createStreams(libc: Libc): Streams {
  return {
    readAll: (limitBytes) => {
      let buffer = new Uint8Array(BUFFER_BYTES);
      for (let length = 0; ; ) {
        if (length === buffer.length) {
          const larger = new Uint8Array(length * 2);
          larger.set(buffer);
          buffer = larger;
        }
        const count = libc.read(STDIN, 'standard input', buffer.subarray(length));
        length += count;
        if (count === 0 || length > limitBytes) return buffer.subarray(0, length);
      }
    },
    print: (text) => libc.writeAll(STDOUT, 'standard output', new TextEncoder().encode(text)),
  };
}
