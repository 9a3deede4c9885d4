// The calls of libc that the executable makes itself. Synchronous ones, because nothing else goes
// on in this process: a turn of the event loop costs up to 1 ms of a start that takes 5, a call
// here some 20 µs. Importing node:fs would cost 2 to 4 ms.

import { dlopen, read } from 'bun:ffi';
import { DomainError } from '../shared/model/errors.ts';

const SIGNATURES = {
  open: { args: ['ptr', 'i32', 'u32'], returns: 'i32' },
  openat: { args: ['i32', 'ptr', 'i32', 'u32'], returns: 'i32' },
  close: { args: ['i32'], returns: 'i32' },
  read: { args: ['i32', 'ptr', 'u64'], returns: 'i64' },
  write: { args: ['i32', 'ptr', 'u64'], returns: 'i64' },
  poll: { args: ['ptr', 'u64', 'i32'], returns: 'i32' },
  socket: { args: ['i32', 'i32', 'i32'], returns: 'i32' },
  connect: { args: ['i32', 'ptr', 'u32'], returns: 'i32' },
  send: { args: ['i32', 'ptr', 'u64', 'i32'], returns: 'i64' },
  fsync: { args: ['i32'], returns: 'i32' },
  fchmod: { args: ['i32', 'u32'], returns: 'i32' },
  mkdir: { args: ['ptr', 'u32'], returns: 'i32' },
  renameat: { args: ['i32', 'ptr', 'i32', 'ptr'], returns: 'i32' },
  unlinkat: { args: ['i32', 'ptr', 'i32'], returns: 'i32' },
  statx: { args: ['i32', 'ptr', 'i32', 'u32', 'ptr'], returns: 'i32' },
  geteuid: { args: [], returns: 'u32' },
  _exit: { args: ['i32'], returns: 'void' },
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
const AT_FDCWD = -100;
const AT_EMPTY_PATH = 0x1000;
const STATX_BASIC_STATS = 0x7ff;
/**
 * struct statx is the same on every architecture, 256 bytes: u32 stx_uid at 20, u16 stx_mode at 28,
 * u64 stx_ino at 32, u32 stx_dev_major and stx_dev_minor at 136.
 */
const STATX_BYTES = 256;
const STATX_UID_AT = 20;
const STATX_MODE_AT = 28;
const STATX_INO_AT = 32;
const STATX_DEV_AT = 136;

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const MSG_NOSIGNAL = 0x4000;
/** struct sockaddr_un: u16 family, then the path with its final zero. */
const SOCKADDR_UN_BYTES = 110;
const SUN_PATH_BYTES = 108;
const POLLIN = 1;
const POLLOUT = 4;
/** Longest time that poll(2) takes in one call, ms; INT_MAX. */
const POLL_MS_MAX = 2 ** 31 - 1;

/** Numbers of errno that callers decide on or errors name; the same on x86-64 and arm64. */
const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  EINTR: 4,
  EAGAIN: 11,
  EACCES: 13,
  EEXIST: 17,
  ENOTDIR: 20,
  EPIPE: 32,
  ENAMETOOLONG: 36,
  ELOOP: 40,
  ENOTSOCK: 88,
  EPROTOTYPE: 91,
  ECONNRESET: 104,
  ECONNREFUSED: 111,
} as const;

/** What `stat` says about an open directory. `mode` has the permission bits only. */
export interface Ownership {
  readonly uid: number;
  readonly mode: number;
}

/** A call of libc failed. `code` is the name of errno, or `errno N` for one without a name here. */
export class SystemError extends DomainError {
  readonly code: string;

  constructor(call: string, subject: string, errno: number) {
    const name = Object.entries(ERRNO).find(([, number]) => number === errno)?.[0];
    const code = name ?? `errno ${errno}`;
    super('io-failed', `${call} ${subject} failed with ${code}`, {
      details: { call, path: subject, errno },
    });
    this.code = code;
  }
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

/** Each call throws a SystemError unless it says otherwise; descriptors are the caller's. */
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
    throw new SystemError('mkdir', path, errno);
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

  /** Device and inode of what a path names, or undefined where it cannot be looked at. */
  identity(path: string): string | undefined {
    const stat = new Uint8Array(STATX_BYTES);
    const { statx } = this.#symbols;
    if (statx(AT_FDCWD, toCString(path), 0, STATX_BASIC_STATS, stat) !== 0) return undefined;
    const view = new DataView(stat.buffer);
    return `${view.getBigUint64(STATX_DEV_AT, true)}:${view.getBigUint64(STATX_INO_AT, true)}`;
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

  /** Writes all bytes, in as many calls as the kernel wants, and waits for a full pipe. */
  writeAll(fd: number, name: string, bytes: Uint8Array): void {
    let written = 0;
    while (written < bytes.length) {
      const rest = bytes.subarray(written);
      const count = Number(this.#symbols.write(fd, rest, rest.length));
      written += Math.max(count, 0);
      if (count <= 0) this.#waitOrThrow('write', name, { fd, events: POLLOUT });
    }
  }

  /** Reads at least one byte, or 0 at the end; waits for it. */
  read(fd: number, name: string, into: Uint8Array): number {
    for (;;) {
      const count = Number(this.#symbols.read(fd, into, into.length));
      if (count >= 0) return count;
      this.#waitOrThrow('read', name, { fd, events: POLLIN });
    }
  }

  /** A stream socket to whoever listens at the path. EAGAIN: its backlog is full. */
  connect(path: string): number {
    const name = new TextEncoder().encode(path);
    if (name.length >= SUN_PATH_BYTES) {
      throw new SystemError('connect', path, ERRNO.ENAMETOOLONG);
    }
    const address = new Uint8Array(SOCKADDR_UN_BYTES);
    address[0] = AF_UNIX; // u16 in the byte order of all machines that Bun runs on
    address.set(name, 2);
    const type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
    const fd = this.#check('socket', path, this.#symbols.socket(AF_UNIX, type, 0));
    if (this.#symbols.connect(fd, address, address.length) === 0) return fd;
    const errno = this.#errno();
    this.close(fd);
    throw new SystemError('connect', path, errno);
  }

  /** Bytes that a socket took, or undefined if it takes none now. */
  sendSome(fd: number, path: string, bytes: Uint8Array): number | undefined {
    const count = Number(this.#symbols.send(fd, bytes, bytes.length, MSG_NOSIGNAL));
    return count >= 0 ? count : this.#nothingYet('send', path);
  }

  /** Bytes that a socket had, 0 at its end, or undefined if it has none now. */
  receiveSome(fd: number, path: string, into: Uint8Array): number | undefined {
    const count = Number(this.#symbols.read(fd, into, into.length));
    return count >= 0 ? count : this.#nothingYet('read', path);
  }

  /** Waits until something can be done, an error among them. False when the time is up first. */
  wait(fd: number, what: 'send' | 'receive', timeoutMs: number): boolean {
    const events = what === 'send' ? POLLOUT : POLLIN;
    const limitMs = Math.min(Math.max(Math.ceil(timeoutMs), 0), POLL_MS_MAX);
    return this.#symbols.poll(new Int32Array([fd, events]), 1, limitMs) > 0;
  }

  /** Ends the process at once, without the 0.4 ms in which the runtime is torn down. */
  exit(status: number): never {
    this.#symbols._exit(status);
    throw new Error('_exit came back');
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
    if (errno !== ERRNO.ENOENT) throw new SystemError('unlink', name, errno);
  }

  close(fd: number): void {
    this.#symbols.close(fd);
  }

  /** After a call on a descriptor failed: waits if that helps. */
  #waitOrThrow(call: string, name: string, o: { fd: number; events: number }): void {
    const errno = this.#errno();
    if (errno === ERRNO.EINTR) return;
    if (errno !== ERRNO.EAGAIN) throw new SystemError(call, name, errno);
    this.#symbols.poll(new Int32Array([o.fd, o.events]), 1, -1);
  }

  #nothingYet(call: string, path: string): undefined {
    const errno = this.#errno();
    if (errno !== ERRNO.EAGAIN && errno !== ERRNO.EINTR) throw new SystemError(call, path, errno);
  }

  #check(call: string, path: string, result: number): number {
    if (result < 0) throw new SystemError(call, path, this.#errno());
    return result;
  }

  #errno(): number {
    const location = this.#symbols.__errno_location();
    return location === null ? 0 : read.i32(Number(location), 0);
  }
}

function toCString(text: string): Uint8Array {
  return new TextEncoder().encode(`${text}\0`);
}
