// Writes the archive format that the kernel unpacks as its first root file system ("newc", as in
// the kernel's documentation driver-api/early-userspace/buffer-format): per entry a header of the
// magic 070701 and 13 fields of 8 hexadecimal digits, the name with a zero byte, padding to 4
// bytes, the content, padding to 4 bytes; at the end an entry named TRAILER!!!.

/** A file, or a folder if `content` is undefined. Folders come before what they hold. */
export interface ArchiveEntry {
  readonly name: string;
  readonly mode: number;
  readonly content?: Uint8Array;
}

const FOLDER_TYPE = 0o040000;
const FILE_TYPE = 0o100000;

/** The whole archive. */
export function writeCpio(entries: readonly ArchiveEntry[]): Uint8Array {
  const trailer = encodeEntry({ name: 'TRAILER!!!', mode: 0, content: new Uint8Array() }, 0);
  return Buffer.concat([...entries.map((entry, n) => encodeEntry(entry, n + 1)), trailer]);
}

function encodeEntry({ name, mode, content }: ArchiveEntry, inode: number): Buffer {
  const type = content === undefined ? FOLDER_TYPE : FILE_TYPE;
  const data = content ?? new Uint8Array();
  const fields = {
    inode,
    mode: inode === 0 ? 0 : type | mode,
    owner: 0,
    group: 0,
    links: 1,
    time: 0,
    sizeBytes: data.length,
    device: [0, 0],
    specialDevice: [0, 0],
    nameBytes: Buffer.byteLength(name) + 1,
    checksum: 0,
  };
  const digits = Object.values(fields)
    .flat()
    .map((value) => value.toString(16).padStart(8, '0'));
  return Buffer.concat([padded(Buffer.from(`070701${digits.join('')}${name}\0`)), padded(data)]);
}

function padded(bytes: Uint8Array): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)]);
}
