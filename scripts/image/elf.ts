// Finds the shared libraries that an executable needs, by reading its ELF headers; nothing is
// executed.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What the dynamic loader would read of one file. */
export interface ElfNeeds {
  /** ELF machine number (62 is x86-64, 183 is AArch64). */
  readonly machine: number;
  /** Path of the dynamic loader; undefined in static programs and in libraries. */
  readonly interpreter: string | undefined;
  /** Names of needed libraries, in order. */
  readonly needed: readonly string[];
}

const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const PT_INTERP = 3;
const DT_NULL = 0;
const DT_NEEDED = 1;
const DT_STRTAB = 5;

interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly address: number;
  readonly fileSize: number;
}

/**
 * Reads a 64-bit little-endian ELF file; undefined if it is none. Throws if its tables point
 * outside the file.
 */
export function readElf(bytes: Uint8Array): ElfNeeds | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // 0x7f 'E' 'L' 'F', class 2 (64 bit), data 1 (little-endian)
  if (bytes.length < 64 || view.getUint32(0) !== 0x7f454c46) return undefined;
  if (bytes[4] !== 2 || bytes[5] !== 1) return undefined;
  const segments = readSegments(view);
  const interpreter = segments.find((segment) => segment.type === PT_INTERP);
  const dynamic = segments.find((segment) => segment.type === PT_DYNAMIC);
  return {
    machine: view.getUint16(18, true),
    interpreter: interpreter && readText(bytes, interpreter.offset),
    needed: dynamic === undefined ? [] : readNeeded({ bytes, view, segments, dynamic }),
  };
}

/**
 * All libraries that the program at `path` loads, its loader among them, by the path each is to
 * have in an image. Found in the loader's standard folders and those of `ld.so.conf` under `root`;
 * throws with the name of one that is not there.
 */
export function librariesOf(path: string, root = '/'): Map<string, Uint8Array> {
  const program = readElf(readFileSync(path));
  if (program === undefined) throw new Error(`${path} is not a 64-bit little-endian ELF file`);
  const found = new Map<string, Uint8Array>();
  const names = new Set<string>();
  const folders = libraryFolders(root);
  const visit = (needs: ElfNeeds): void => {
    for (const name of needs.needed) {
      if (names.has(name)) continue;
      names.add(name);
      // Already there as the loader.
      if (program.interpreter?.endsWith(`/${name}`) === true) continue;
      const library = findLibrary({ name, machine: program.machine, folders, root });
      if (library === undefined) throw new Error(`${path} needs ${name}, which was not found`);
      found.set(library.path, library.data);
      visit(library.needs);
    }
  };
  if (program.interpreter !== undefined) {
    found.set(program.interpreter, readFileSync(join(root, program.interpreter)));
  }
  visit(program);
  return found;
}

function readSegments(view: DataView): Segment[] {
  const start = Number(view.getBigUint64(32, true));
  const size = view.getUint16(54, true);
  const count = view.getUint16(56, true);
  return Array.from({ length: count }, (_, index) => {
    const at = start + index * size;
    return {
      type: view.getUint32(at, true),
      offset: Number(view.getBigUint64(at + 8, true)),
      address: Number(view.getBigUint64(at + 16, true)),
      fileSize: Number(view.getBigUint64(at + 32, true)),
    };
  });
}

function readNeeded(o: {
  bytes: Uint8Array;
  view: DataView;
  segments: readonly Segment[];
  dynamic: Segment;
}): string[] {
  const names: number[] = [];
  let tableAddress: number | undefined;
  for (let at = o.dynamic.offset; at < o.dynamic.offset + o.dynamic.fileSize; at += 16) {
    const tag = Number(o.view.getBigInt64(at, true));
    const value = Number(o.view.getBigUint64(at + 8, true));
    if (tag === DT_NULL) break;
    if (tag === DT_NEEDED) names.push(value);
    if (tag === DT_STRTAB) tableAddress = value;
  }
  if (names.length === 0) return [];
  // The table is named by its address in memory; a loadable segment says where in the file that is.
  const address = tableAddress ?? -1;
  const holder = o.segments.find(
    (s) => s.type === PT_LOAD && address >= s.address && address < s.address + s.fileSize,
  );
  if (holder === undefined) throw new Error('the string table of an ELF file is not in the file');
  const table = address - holder.address + holder.offset;
  return names.map((name) => readText(o.bytes, table + name));
}

function readText(bytes: Uint8Array, offset: number): string {
  const end = bytes.indexOf(0, offset);
  if (end < 0) throw new Error('a name in an ELF file has no end');
  return new TextDecoder().decode(bytes.subarray(offset, end));
}

/**
 * The loader's search path: the multi-architecture folders first, as Debian's own loader has them.
 */
function libraryFolders(root: string): string[] {
  const configured = [...new Bun.Glob('etc/ld.so.conf{,.d/*.conf}').scanSync({ cwd: root })]
    .sort()
    .flatMap((file) => readFileSync(join(root, file), 'utf8').split('\n'))
    .map((line) => line.trim())
    .filter((line) => line.startsWith('/'));
  const triplets = ['x86_64-linux-gnu', 'aarch64-linux-gnu'].flatMap((triplet) => [
    `/lib/${triplet}`,
    `/usr/lib/${triplet}`,
  ]);
  return [...triplets, '/lib64', '/usr/lib64', '/lib', '/usr/lib', ...configured];
}

function findLibrary(o: {
  name: string;
  machine: number;
  folders: readonly string[];
  root: string;
}): { path: string; data: Uint8Array; needs: ElfNeeds } | undefined {
  for (const folder of o.folders) {
    const path = `${folder}/${o.name}`;
    if (!existsSync(join(o.root, path))) continue;
    const data = readFileSync(join(o.root, path));
    const needs = readElf(data);
    if (needs?.machine === o.machine) return { path, data, needs };
  }
  return undefined;
}
