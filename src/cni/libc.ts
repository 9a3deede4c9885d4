// The file-system calls of libc that Bun's own API lacks and that a durable, private file needs.
// Importing node:fs instead would cost 2 to 4 ms at every start; this file is loaded only by the
// rare call that must write to the spool.

import { dlopen, read } from 'bun:ffi';
import { DomainError } from '../shared/model/errors.ts';

const SIGNATURES = {
  open: { args: ['ptr', 'i32', 'u32'], returns: 'i32' },
  openat: { args: ['i32', 'ptr', 'i32', 'u32'], returns: 'i32' },
  close: { args: ['i32'], returns: 'i32' },
  write: { args: ['i32', 'ptr', 'u64'], returns: 'i64' },
  fsync: { args: ['i32'], returns: 'i32' },
  fchmod: { args: ['i32', 'u32'], returns: 'i32' },
  mkdir: { args: ['ptr', 'u32'], returns: 'i32' },
  renameat: { args: ['i32', 'ptr', 'i32', 'ptr'], returns: 'i32' },
  unlinkat: { args: ['i32', 'ptr', 'i32'], returns: 'i32' },
  statx: { args: ['i32', 'ptr', 'i32', 'u32', 'ptr'], returns: 'i32' },
  geteuid: { args: [], returns: 'u32' },
  __errno_location: { args: [], returns: 'ptr' },
} as const;

// The same numbers on x86-64 and arm64, except the two that differ by architecture below.
const O_WRONLY = 0o1;
const O_CREAT = 0o100;
const O_EXCL = 0o200;
const O_CLOEXEC = 0o2000000;
const isArm64 = process.arch === 'arm64';
const O_DIRECTORY = isArm64 ? 0o40000 : 0o200000;
const O_NOFOLLOW = isArm64 ? 0o100000 : 0o400000;
const AT_EMPTY_PATH = 0x1000;
const STATX_BASIC_STATS = 0x7ff;
/**
 * struct statx is the same on every architecture: u32 stx_uid at byte 20, u16 stx_mode at byte 28,
 * 256 bytes.
 */
const STATX_BYTES = 256;
const STATX_UID_AT = 20;
const STATX_MODE_AT = 28;

/** Numbers of errno that callers decide on. */
export const ERRNO = { ENOENT: 2, EEXIST: 17 } as const;

/** What `stat` says about an open directory. `mode` has the permission bits only. */
export interface Ownership {
  readonly uid: number;
  readonly mode: number;
}

/** Opens libc. Throws a DomainError 'io-failed' if this system has none that is known. */
export function openLibc(): Libc {
  const musl = `libc.musl-${isArm64 ? 'aarch64' : 'x86_64'}.so.1`;
  const failures: unknown[] = [];
  for (const name of ['libc.so.6', musl]) {
    try {
      return new Libc(dlopen(name, SIGNATURES).symbols);
    } catch (error) {
      failures.push(error);
    }
  }
  throw new DomainError('io-failed', 'the C library cannot be opened', { cause: failures[0] });
}

type Symbols = ReturnType<typeof dlopen<typeof SIGNATURES>>['symbols'];

/**
 * Each call throws a DomainError 'io-failed' that names the call, the path and errno; descriptors
 * are the caller's.
 */
export class Libc {
  readonly #symbols: Symbols;

  constructor(symbols: Symbols) {
    this.#symbols = symbols;
  }

  /**
   * Makes a directory unless there is one of that name already. Its parent must exist: ENOENT is
   * returned.
   */
  makeDirectory(path: string, mode: number): 'made' | 'exists' | 'no-parent' {
    if (this.#symbols.mkdir(toCString(path), mode) === 0) return 'made';
    const errno = this.#errno();
    if (errno === ERRNO.EEXIST) return 'exists';
    if (errno === ERRNO.ENOENT) return 'no-parent';
    throw failure('mkdir', path, errno);
  }

  /** Opens a directory, not a symbolic link to one. */
  openDirectory(path: string): number {
    const flags = O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    return this.#check('open', path, this.#symbols.open(toCString(path), flags, 0));
  }

  ownership(fd: number, path: string): Ownership {
    const stat = new Uint8Array(STATX_BYTES);
    const empty = toCString('');
    this.#check(
      'statx',
      path,
      this.#symbols.statx(fd, empty, AT_EMPTY_PATH, STATX_BASIC_STATS, stat),
    );
    const view = new DataView(stat.buffer);
    const mode = view.getUint16(STATX_MODE_AT, true) & 0o7777;
    return { uid: view.getUint32(STATX_UID_AT, true), mode };
  }

  /** The user that this process acts as. */
  effectiveUser(): number {
    return this.#symbols.geteuid();
  }

  changeMode(fd: number, path: string, mode: number): void {
    this.#check('fchmod', path, this.#symbols.fchmod(fd, mode));
  }

  /** Creates a file that must not exist yet in an open directory, for writing. */
  createFile(directory: number, name: string, mode: number): number {
    const flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    return this.#check('open', name, this.#symbols.openat(directory, toCString(name), flags, mode));
  }

  /** Writes all bytes, in as many calls as the kernel wants. */
  writeAll(fd: number, name: string, bytes: Uint8Array): void {
    let written = 0;
    while (written < bytes.length) {
      const rest = bytes.subarray(written);
      const count = Number(this.#symbols.write(fd, rest, rest.length));
      if (count <= 0) throw failure('write', name, this.#errno());
      written += count;
    }
  }

  sync(fd: number, name: string): void {
    this.#check('fsync', name, this.#symbols.fsync(fd));
  }

  /** Renames within an open directory, replacing what has the new name. */
  rename(directory: number, from: string, to: string): void {
    const result = this.#symbols.renameat(directory, toCString(from), directory, toCString(to));
    this.#check('rename', to, result);
  }

  /** Removes a file of an open directory; one that is not there is no failure. */
  remove(directory: number, name: string): void {
    if (this.#symbols.unlinkat(directory, toCString(name), 0) === 0) return;
    const errno = this.#errno();
    if (errno !== ERRNO.ENOENT) throw failure('unlink', name, errno);
  }

  close(fd: number): void {
    this.#symbols.close(fd);
  }

  #check(call: string, path: string, result: number): number {
    if (result < 0) throw failure(call, path, this.#errno());
    return result;
  }

  #errno(): number {
    const location = this.#symbols.__errno_location();
    return location === null ? 0 : read.i32(Number(location), 0);
  }
}

function failure(call: string, path: string, errno: number): DomainError {
  const message = `${call} ${path} failed with errno ${errno}`;
  return new DomainError('io-failed', message, { details: { call, path, errno } });
}

function toCString(text: string): Uint8Array {
  return new TextEncoder().encode(`${text}\0`);
}
