// `multi-nicd install --to DIR`: puts the CNI executables that the image carries into the node's
// CNI directory. A file that a runtime may be executing is never written to: each name changes from
// the old file to the complete new one at once.
import { constants } from 'node:fs';
import { access, copyFile, open, rename, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { DomainError } from '../shared/model/errors.ts';

/** The program and the further names that it goes by; it looks at its own name when it runs. */
const PROGRAM = 'multi-nic';
const FURTHER_NAMES = ['multi-nic-ipam', 'aws-ipvlan'];

export interface InstallOptions {
  /** Folder with the executable `multi-nic`. */
  from: string;
  /** The CNI directory of the node, as mounted here. It must exist. */
  to: string;
}

/**
 * Installs the program and the links for its other names; repeating it is harmless. Throws
 * `io-failed` with the path that could not be written; a file of the same name that was there
 * before is then still whole.
 */
export async function installExecutables(options: InstallOptions): Promise<string[]> {
  const source = join(options.from, PROGRAM);
  const target = join(options.to, PROGRAM);
  await replace(target, async (temporary) => {
    await access(source, constants.R_OK);
    await copyFile(source, temporary);
    const file = await open(temporary, 'r+');
    try {
      await file.chmod(0o755);
      await file.sync();
    } finally {
      await file.close();
    }
  });
  const installed = [target];
  for (const name of FURTHER_NAMES) {
    const link = join(options.to, name);
    await replace(link, (temporary) => symlink(PROGRAM, temporary));
    installed.push(link);
  }
  return installed;
}

/** Makes the new file under a name that no runtime looks for, then renames it over the old one. */
async function replace(path: string, make: (temporary: string) => Promise<void>): Promise<void> {
  const temporary = `${path}.${process.pid}.partial`;
  try {
    await rm(temporary, { force: true });
    await make(temporary);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw new DomainError('io-failed', `install ${path}: ${String(error)}`, { cause: error });
  }
}
