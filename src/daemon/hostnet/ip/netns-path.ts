// A pod's namespace for the `ip` program: a path that stays valid while the handle is open, even
// when the runtime removes the one it gave. Works without the C library calls of netns-file.ts.
import { closeSync, openSync, statfsSync, statSync } from 'node:fs';
import { DomainError } from '../../../shared/model/errors.ts';
import { IpCommand } from './command.ts';

/** File system type of namespace files (linux/magic.h). */
const NSFS_MAGIC = 0x6e73_6673;
const goneCodes = new Set(['ENOENT', 'ENOTDIR', 'ESRCH']);

/** `<device>:<inode>` of a namespace; DomainError 'netns-gone' or 'netns-invalid'. */
export function namespaceId(path: string): string {
  try {
    if (statfsSync(path).type !== NSFS_MAGIC) throw invalid(path, 'is not a namespace');
    const { dev, ino } = statSync(path, { bigint: true });
    return `${dev}:${ino}`;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (!goneCodes.has(code)) throw error;
    const details = { netns: path, errno: code };
    const options = { details, cause: error };
    throw new DomainError('netns-gone', `there is no network namespace at ${path}`, options);
  }
}

/** An open namespace and the path under which other programs find it. */
export class OpenNetns implements Disposable {
  readonly id: string;
  readonly path: string;
  readonly #descriptor: number;
  #isOpen = true;

  /** `taken` are the namespaces that are the host's and so no pod's. */
  constructor(path: string, taken: readonly string[]) {
    this.id = namespaceId(path);
    if (taken.includes(this.id)) throw invalid(path, "is the host's own namespace");
    this.#descriptor = openSync(path, 'r');
    this.path = `/proc/${process.pid}/fd/${this.#descriptor}`;
    try {
      new IpCommand(this.path).list(['link', 'show', 'dev', 'lo']);
    } catch (error) {
      this[Symbol.dispose]();
      throw invalid(path, 'is not a network namespace', error);
    }
  }

  assertOpen(): void {
    if (!this.#isOpen) throw new Error('the namespace handle was disposed');
  }

  [Symbol.dispose](): void {
    if (this.#isOpen) closeSync(this.#descriptor);
    this.#isOpen = false;
  }
}

function invalid(path: string, what: string, cause?: unknown): DomainError {
  const details = { netns: path, errno: 'EINVAL' };
  return new DomainError('netns-invalid', `${path} ${what}`, { details, cause });
}
