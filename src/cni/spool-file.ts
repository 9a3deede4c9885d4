// Writes one spool file so that it is complete or absent, private to root, and on the disk before
// the runtime is told that its DEL is done.

import type { CniRequest } from '../shared/model/daemon-api.ts';
import { DomainError } from '../shared/model/errors.ts';
import type { Libc } from './libc.ts';

const DIRECTORY_MODE = 0o700;
const PARENT_MODE = 0o755;
const FILE_MODE = 0o600;
/**
 * A file name has at most 255 bytes; a container ID from a hand-made call can be longer and is then
 * cut.
 */
const CONTAINER_ID_CHARS_MAX = 128;

/** What to write where. `nowMs` is the wall clock. */
export interface SpoolEntry {
  readonly directory: string;
  readonly request: CniRequest;
  readonly nowMs: number;
}

/**
 * Writes `<containerId>-<ifName>-<random>.json`: the request with `spooledAt` (RFC 3339). Returns
 * its path. Throws a DomainError 'io-failed', also when the directory belongs to somebody else.
 */
export function writeSpoolFile(libc: Libc, { directory, request, nowMs }: SpoolEntry): string {
  const random = crypto.randomUUID().replaceAll('-', '').slice(0, 12);
  const containerId = request.containerId.slice(0, CONTAINER_ID_CHARS_MAX);
  const name = `${containerId}-${request.ifName}-${random}.json`;
  const entry = { ...request, spooledAt: new Date(nowMs).toISOString() };
  const bytes = new TextEncoder().encode(JSON.stringify(entry));
  const descriptor = openPrivateDirectory(libc, directory);
  try {
    writeByRename(libc, descriptor, name, bytes);
  } finally {
    libc.close(descriptor);
  }
  return `${directory}/${name}`;
}

/**
 * Opens the directory, making it and its parent if needed, and makes sure that nobody else can
 * enter it.
 */
function openPrivateDirectory(libc: Libc, path: string): number {
  if (libc.makeDirectory(path, DIRECTORY_MODE) === 'no-parent') {
    libc.makeDirectory(path.slice(0, Math.max(path.lastIndexOf('/'), 1)), PARENT_MODE);
    libc.makeDirectory(path, DIRECTORY_MODE);
  }
  const descriptor = libc.openDirectory(path);
  try {
    assertPrivate(libc, descriptor, path);
  } catch (error) {
    libc.close(descriptor);
    throw error;
  }
  return descriptor;
}

function assertPrivate(libc: Libc, descriptor: number, path: string): void {
  const { uid, mode } = libc.ownership(descriptor, path);
  if (uid !== libc.effectiveUser()) {
    const message = `the spool directory ${path} belongs to another user`;
    throw new DomainError('io-failed', message, { details: { path, uid } });
  }
  if ((mode & 0o077) !== 0) libc.changeMode(descriptor, path, DIRECTORY_MODE);
}

/**
 * The final name appears only when the bytes are on the disk; readers skip names that start with a
 * dot.
 */
function writeByRename(libc: Libc, directory: number, name: string, bytes: Uint8Array): void {
  const partial = `.${name}.partial`;
  const file = libc.createFile(directory, partial, FILE_MODE);
  try {
    try {
      libc.writeAll(file, partial, bytes);
      libc.sync(file, partial);
    } finally {
      libc.close(file);
    }
    libc.rename(directory, partial, name);
  } catch (error) {
    libc.remove(directory, partial);
    throw error;
  }
  libc.sync(directory, name);
}
