// Network namespaces as open files, and the one place where a thread changes its namespace.
//
// setns moves only the calling thread, and a thread that is started meanwhile inherits the
// namespace for ever. So between entering and returning nothing may run but synchronous calls
// into the C library: no await, no fetch, no timer, no file API of the runtime. Bun starts its
// HTTP thread at the first fetch; `warmHttpThread` gets that over with before the first entry.
import { fstatSync, writeSync } from 'node:fs';
import { DomainError } from '../../shared/model/errors.ts';
import { checked, closeFile, lastErrno, libc, openFile, SystemCallError } from './libc.ts';

const CLONE_NEWNET = 0x4000_0000;
/** ioctl on a namespace file: the CLONE_NEW... constant of its kind (ioctl_ns(2)). */
const NS_GET_NSTYPE = 0xb703;
const STDERR = 2;

/** The namespace of the calling thread; /proc/self would be that of the process's main thread. */
export const OWN_NETNS_PATH = '/proc/thread-self/ns/net';

/** errno values of open() that say that the path leads nowhere (any more). */
const goneErrnos = new Set(['ENOENT', 'ENOTDIR', 'ESRCH']);

/** An open network namespace. It stays alive and usable until disposed, whatever its path does. */
export class NetnsFile implements Disposable {
  readonly descriptor: number;
  /** `<device>:<inode>`, equal for every path that leads to the same namespace. */
  readonly id: string;
  #isOpen = true;

  private constructor(descriptor: number) {
    this.descriptor = descriptor;
    const { dev, ino } = fstatSync(descriptor); // both exact: nsfs numbers with 32 bits
    this.id = `${dev}:${ino}`;
  }

  /** Opens the namespace at `path`; DomainError 'netns-gone' or 'netns-invalid'. */
  static open(path: string): NetnsFile {
    let descriptor: number;
    try {
      descriptor = openFile(path);
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      const details = { netns: path, errno: error.errno };
      const options = { details, cause: error };
      if (goneErrnos.has(error.errno)) {
        throw new DomainError('netns-gone', `there is no network namespace at ${path}`, options);
      }
      throw new DomainError('netns-invalid', `cannot open the namespace at ${path}`, options);
    }
    if (libc().ioctl(descriptor, NS_GET_NSTYPE, 0) !== CLONE_NEWNET) {
      closeFile(descriptor);
      const details = { netns: path, errno: 'EINVAL' };
      throw new DomainError('netns-invalid', `${path} is not a network namespace`, { details });
    }
    return new NetnsFile(descriptor);
  }

  [Symbol.dispose](): void {
    if (this.#isOpen) closeFile(this.descriptor);
    this.#isOpen = false;
  }
}

/**
 * Runs `work` with the calling thread in `target`. `work` may only make synchronous C library
 * calls. Ends the process if the thread cannot be brought back: a daemon that sits in a pod's
 * namespace without knowing would configure the pod instead of the host.
 */
export function inNetns<T>(o: { target: NetnsFile; home: NetnsFile }, work: () => T): T {
  checked('setns', libc().setns(o.target.descriptor, CLONE_NEWNET));
  try {
    return work();
  } finally {
    if (libc().setns(o.home.descriptor, CLONE_NEWNET) !== 0) {
      writeSync(STDERR, `cannot return to the host's network namespace: ${lastErrno()}\n`);
      process.abort();
    }
  }
}

/**
 * Makes Bun start its HTTP thread now, in the host's namespace. Call once before the first
 * `openNetns` of a process that will ever use `fetch`.
 */
export async function warmHttpThread(): Promise<void> {
  const unix = '/proc/self/no-such-socket';
  await fetch('http://localhost/', { unix }).then(
    () => undefined,
    () => undefined, // The refusal is expected; the thread exists now.
  );
}
