// Standard input and output as a plugin needs them: read once to the end, written once.

import { GrowingBytes } from './growing-bytes.ts';
import type { Libc } from './libc.ts';

const STDIN = 0;
const STDOUT = 1;

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
      const input = new GrowingBytes();
      for (;;) {
        const count = input.append((into) => libc.read(STDIN, 'standard input', into));
        if (count === 0 || input.bytes.length > limitBytes) return input.bytes;
      }
    },
    print: (text) => libc.writeAll(STDOUT, 'standard output', new TextEncoder().encode(text)),
  };
}
