// The file `boot-id` beside the journal: the kernel boot in which the journal was written last, and
// how many commits were made at least. Leaves to others what follows from it.
//
//   3f9c1a52-…\n        kernel boot
//   00000000000123\n    commits, of fixed width: written over in place, inside one disk sector
//   89abcdef\n          CRC-32 of the lines above
//
// Daemons that do not count write the boot alone, without an end of line.
import {
  closeSync,
  existsSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';

const FILE = 'boot-id';
const COUNT_DIGITS = 14;
/** Eight hexadecimal digits and the end of the line. */
const SUM_LINE_BYTES = 9;
const COUNTED = new RegExp(`^([\\w-]{1,64})\\n([0-9]{${COUNT_DIGITS}})\\n([0-9a-f]{8})\\n$`);
const UNCOUNTED = /^[\w-]{1,64}$/;

/** What the file says. `damaged`: it is missing, or was not written like this by any daemon. */
export type BootRecord =
  | { readonly kind: 'counted'; readonly bootId: string; readonly commits: number }
  | { readonly kind: 'uncounted'; readonly bootId: string }
  | { readonly kind: 'damaged' };

/** Reads the record in `directory`. */
export function readBootRecord(directory: string): BootRecord {
  const path = join(directory, FILE);
  const text = existsSync(path) ? readFileSync(path, 'latin1') : '';
  if (UNCOUNTED.test(text)) return { kind: 'uncounted', bootId: text };
  const [, bootId = '', digits = ''] = COUNTED.exec(text) ?? [];
  const commits = Number(digits);
  if (bootId === '' || text !== format(bootId, commits)) return { kind: 'damaged' };
  return { kind: 'counted', bootId, commits };
}

/** Whether the kernel was another one then; one that cannot be told counts as this one. */
export function isOtherBoot(record: BootRecord, bootId: string): boolean {
  return record.kind !== 'damaged' && record.bootId !== bootId;
}

/** The record of a journal that is open. Only who has the journal's lock may have one. */
export class BootRecordFile implements Disposable {
  readonly #descriptor: number;
  readonly #bytes: Buffer;

  /** Writes the record, on the disk before this returns: from here on the boot is this one. */
  constructor(o: { directory: string; bootId: string; commits: number }) {
    const path = join(o.directory, FILE);
    this.#bytes = Buffer.from(format(o.bootId, o.commits), 'latin1');
    this.#descriptor = openSync(path, existsSync(path) ? 'r+' : 'w', 0o600);
    try {
      this.write(o.commits);
      ftruncateSync(this.#descriptor, this.#bytes.length);
      fsyncSync(this.#descriptor);
    } catch (error) {
      closeSync(this.#descriptor);
      throw error;
    }
  }

  /**
   * Says how many commits were made. Not synced: it counts within this boot only, in which the page
   * cache keeps it.
   */
  write(commits: number): void {
    const bytes = this.#bytes;
    const sumAt = bytes.length - SUM_LINE_BYTES;
    bytes.write(toCount(commits), sumAt - COUNT_DIGITS - 1, 'latin1');
    bytes.write(toSum(bytes.subarray(0, sumAt)), sumAt, 'latin1');
    writeSync(this.#descriptor, bytes, 0, bytes.length, 0);
  }

  [Symbol.dispose](): void {
    closeSync(this.#descriptor);
  }
}

function format(bootId: string, commits: number): string {
  const said = `${bootId}\n${toCount(commits)}\n`;
  return `${said}${toSum(Buffer.from(said, 'latin1'))}\n`;
}

function toCount(commits: number): string {
  return String(commits).padStart(COUNT_DIGITS, '0');
}

function toSum(said: Uint8Array): string {
  return Bun.hash.crc32(said).toString(16).padStart(8, '0');
}
