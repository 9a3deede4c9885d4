// Writes ustar archives whose bytes depend on their entries alone: sorted, owned by root, dated
// 1970.

/** One member of an archive; `path` is relative, without a leading or trailing slash. */
export type TarEntry =
  | {
      readonly kind: 'file';
      readonly path: string;
      readonly mode: number;
      readonly data: Uint8Array;
    }
  | { readonly kind: 'directory'; readonly path: string; readonly mode: number }
  | { readonly kind: 'symlink'; readonly path: string; readonly target: string }
  /** A second name of a file of the same archive; `target` is that file's path. */
  | { readonly kind: 'hardlink'; readonly path: string; readonly target: string };

const BLOCK = 512;
const TYPE_FLAG = { file: '0', hardlink: '1', symlink: '2', directory: '5' } as const;

/**
 * The archive as one buffer. Order: directories, files and symlinks, hard links, each by path, so
 * that a reader always has what an entry needs. Throws if two entries have one path, if a path does
 * not fit into a ustar header, or if a hard link leads to no file of the archive.
 */
export function writeTar(entries: readonly TarEntry[]): Uint8Array {
  const sorted = [...entries].sort(byRankThenPath);
  const seen = new Set<string>();
  const modes = new Map(
    entries.flatMap((entry) => (entry.kind === 'file' ? [[entry.path, entry.mode] as const] : [])),
  );
  const parts: Uint8Array[] = [];
  for (const entry of sorted) {
    if (seen.has(entry.path)) throw new Error(`two entries have the path ${entry.path}`);
    seen.add(entry.path);
    parts.push(header(entry, modeOf(entry, modes)));
    if (entry.kind === 'file') parts.push(entry.data, padding(entry.data.length));
  }
  parts.push(new Uint8Array(2 * BLOCK));
  return join(parts);
}

/** A hard link is its file, so it has that one's mode; of a symlink the mode means nothing. */
function modeOf(entry: TarEntry, fileModes: ReadonlyMap<string, number>): number {
  if (entry.kind === 'symlink') return 0o777;
  if (entry.kind !== 'hardlink') return entry.mode;
  const mode = fileModes.get(entry.target);
  if (mode === undefined)
    throw new Error(`${entry.path} leads to ${entry.target}, which is no file`);
  return mode;
}

/** The directories above `path`, outermost first: `a/b/c` gives `a`, `a/b`. */
export function parentsOf(path: string): string[] {
  const names = path.split('/').slice(0, -1);
  return names.map((_, index) => names.slice(0, index + 1).join('/'));
}

function byRankThenPath(a: TarEntry, b: TarEntry): number {
  const rank = { directory: 0, file: 1, symlink: 1, hardlink: 2 } as const;
  const byRank = rank[a.kind] - rank[b.kind];
  if (byRank !== 0) return byRank;
  return a.path < b.path ? -1 : Number(a.path > b.path);
}

/**
 * Layout of a ustar header, by offset: name 0, mode 100, uid 108, gid 116, size 124, mtime 136,
 * checksum 148, type 156, link 157, magic 257.
 */
function header(entry: TarEntry, mode: number): Uint8Array {
  const block = new Uint8Array(BLOCK);
  const text = (offset: number, length: number, value: string): void => {
    const bytes = new TextEncoder().encode(value);
    if (bytes.length > length) throw new Error(`does not fit into a tar header: ${value}`);
    block.set(bytes, offset);
  };
  const octal = (offset: number, length: number, value: number): void =>
    text(offset, length, `${value.toString(8).padStart(length - 1, '0')}\0`);
  text(0, 100, entry.kind === 'directory' ? `${entry.path}/` : entry.path);
  octal(100, 8, mode);
  octal(108, 8, 0);
  octal(116, 8, 0);
  octal(124, 12, entry.kind === 'file' ? entry.data.length : 0);
  octal(136, 12, 0);
  text(156, 1, TYPE_FLAG[entry.kind]);
  text(157, 100, 'target' in entry ? entry.target : '');
  text(257, 8, 'ustar\u000000');
  // The checksum is the sum of the header's bytes with its own field taken as spaces.
  text(148, 8, '        ');
  octal(
    148,
    7,
    block.reduce((sum, byte) => sum + byte, 0),
  );
  return block;
}

function padding(size: number): Uint8Array {
  return new Uint8Array((BLOCK - (size % BLOCK)) % BLOCK);
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}
