// Tells a write-ahead log that ended in a crash from one that was damaged later. SQLite stops
// silently at the first frame whose checksum is wrong; whatever was committed after it would be
// forgotten, and addresses of running pods with it. Layout:
// https://sqlite.org/fileformat2.html#walformat
//
//   header 32 bytes: magic, version, page size, sequence, salt 1, salt 2, checksum 1, checksum 2
//   frame 24 bytes + one page: page number, pages after commit (0: not a commit), salts, checksums

const HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
const MAGIC = 0x37_7f_06_82; // its lowest bit says that checksums are read as big-endian words

/** Says what is wrong with a log, or nothing if it is whole or only its last commit is torn. */
export function findWalDamage(bytes: Uint8Array): string | undefined {
  if (bytes.length < HEADER_BYTES || bytes.subarray(0, HEADER_BYTES).every((byte) => byte === 0)) {
    return undefined; // of a log that was lost, the count of commits tells
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const magic = view.getUint32(0);
  if ((magic & ~1) >>> 0 !== MAGIC) return 'its write-ahead log has a damaged header';
  const pageBytes = view.getUint32(8);
  if (pageBytes < 512 || pageBytes > 65_536) return 'its write-ahead log has a damaged header';
  const littleEndian = (magic & 1) === 0;
  const sums = new Uint32Array(2);
  addChecksum(sums, { view, start: 0, end: 24, littleEndian });
  if (sums[0] !== view.getUint32(24) || sums[1] !== view.getUint32(28)) {
    return 'its write-ahead log has a damaged header';
  }
  const frames = Math.floor((bytes.length - HEADER_BYTES) / (FRAME_HEADER_BYTES + pageBytes));
  const lost = countCommitsAfterDamage({ view, pageBytes, frames, littleEndian, sums });
  // Within one boot the page cache keeps every write, so the end of a process tears one at most.
  return lost > 1 ? `its write-ahead log is damaged before ${lost} commits` : undefined;
}

interface Frames {
  readonly view: DataView;
  readonly pageBytes: number;
  readonly frames: number;
  readonly littleEndian: boolean;
  /** Running checksum, starting with that of the header. */
  readonly sums: Uint32Array;
}

/** Commits of this log generation (its salts) at or after the first frame with a wrong checksum. */
function countCommitsAfterDamage(o: Frames): number {
  const { view, pageBytes, frames, littleEndian, sums } = o;
  let isDamaged = false;
  let lost = 0;
  for (let frame = 0; frame < frames; frame += 1) {
    const start = HEADER_BYTES + frame * (FRAME_HEADER_BYTES + pageBytes);
    const page = start + FRAME_HEADER_BYTES;
    const isOfThisLog =
      view.getUint32(start + 8) === view.getUint32(16) &&
      view.getUint32(start + 12) === view.getUint32(20);
    if (!isDamaged) {
      addChecksum(sums, { view, start, end: start + 8, littleEndian });
      addChecksum(sums, { view, start: page, end: page + pageBytes, littleEndian });
      isDamaged =
        !isOfThisLog ||
        sums[0] !== view.getUint32(start + 16) ||
        sums[1] !== view.getUint32(start + 20);
    }
    // Frames with other salts are left over from before the log was started again.
    if (isDamaged && isOfThisLog && view.getUint32(start + 4) !== 0) lost += 1;
  }
  return lost;
}

function addChecksum(
  sums: Uint32Array,
  o: { view: DataView; start: number; end: number; littleEndian: boolean },
): void {
  let first = sums[0] ?? 0;
  let second = sums[1] ?? 0;
  for (let at = o.start; at < o.end; at += 8) {
    first = (first + o.view.getUint32(at, o.littleEndian) + second) >>> 0;
    second = (second + o.view.getUint32(at + 4, o.littleEndian) + first) >>> 0;
  }
  sums[0] = first;
  sums[1] = second;
}
