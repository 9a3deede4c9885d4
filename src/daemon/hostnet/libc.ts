// The handful of C library calls that the netlink back end needs, over bun:ffi. Only integers and
// buffers cross; the library is opened on first use, so importing this file loads nothing.
import { dlopen, type FFIFunction, FFIType, ptr, read } from 'bun:ffi';
import { errnoName } from './errno.ts';

const { i32, u32, u64_fast: u64, i64_fast: i64, ptr: pointer } = FFIType;

const signatures = {
  socket: { args: [i32, i32, i32], returns: i32 },
  bind: { args: [i32, pointer, u32], returns: i32 },
  setsockopt: { args: [i32, i32, i32, pointer, u32], returns: i32 },
  send: { args: [i32, pointer, u64, i32], returns: i64 },
  recv: { args: [i32, pointer, u64, i32], returns: i64 },
  open: { args: [pointer, i32], returns: i32 },
  close: { args: [i32], returns: i32 },
  ioctl: { args: [i32, u64, u64], returns: i32 },
  setns: { args: [i32, i32], returns: i32 },
  __errno_location: { args: [], returns: pointer },
} as const;

/** glibc, then musl on the two architectures Bun runs on. */
const libraryNames = ['libc.so.6', 'libc.musl-x86_64.so.1', 'libc.musl-aarch64.so.1'];

type Calls<Signatures extends Record<string, FFIFunction>> = ReturnType<
  typeof dlopen<Signatures>
>['symbols'];
type Symbols = Calls<typeof signatures>;

let symbols: Symbols | undefined;

/** The C library; throws if none of the known names can be opened. */
export function libc(): Symbols {
  if (symbols === undefined) symbols = openLibrary(signatures);
  return symbols;
}

/** Whether the C library can be called in this process at all. */
export function canCallLibc(): boolean {
  try {
    return libc() !== undefined;
  } catch (error) {
    if (error instanceof AggregateError) return false;
    throw error;
  }
}

/** Calls of the C library by their signatures; AggregateError if no known name can be opened. */
export function openLibrary<Signatures extends Record<string, FFIFunction>>(
  signatures: Signatures,
): Calls<Signatures> {
  const causes: unknown[] = [];
  for (const name of libraryNames) {
    try {
      return dlopen(name, signatures).symbols;
    } catch (error) {
      causes.push(error);
    }
  }
  throw new AggregateError(causes, `cannot open the C library (${libraryNames.join(', ')})`);
}

/** A failed system call. `errno` is its name. */
export class SystemCallError extends Error {
  readonly errno: string;

  constructor(call: string, errno: string) {
    super(`${call}: ${errno}`);
    this.name = 'SystemCallError';
    this.errno = errno;
  }
}

/** Passes a result through, or throws SystemCallError when it is negative. Call it at once. */
export function checked(call: string, result: number | bigint): number {
  if (result >= 0) return Number(result);
  throw new SystemCallError(call, lastErrno());
}

/** Name of the calling thread's errno; only meaningful directly after a failed call. */
export function lastErrno(): string {
  const location = libc().__errno_location();
  return location === null ? 'EUNKNOWN' : errnoName(read.i32(location, 0));
}

const O_RDONLY_NONBLOCK_CLOEXEC = 0o2004000;

/** Opens a file for reading, never blocking (a FIFO at the path must not hang us). */
export function openFile(path: string): number {
  const bytes = new TextEncoder().encode(`${path}\0`);
  return checked(`open ${path}`, libc().open(ptr(bytes), O_RDONLY_NONBLOCK_CLOEXEC));
}

/** Closes a descriptor; an error there leaves nothing to do. */
export function closeFile(descriptor: number): void {
  libc().close(descriptor);
}
