// Where a DEL waits that could not be delivered: one file per request in a directory that only root
// can enter. The daemon works the files off; until then the addresses stay taken.

import type { CniRequest } from '../shared/model/daemon-api.ts';
import type { Libc } from './libc.ts';

/** Keeps requests for a daemon that cannot take them now. */
export interface Spool {
  /**
   * Stores the request durably and returns the path of its file. Throws a DomainError 'io-failed'
   * if it cannot; nothing of the request is left then.
   */
  record(request: CniRequest): Promise<string>;
}

/** A spool in this directory, which is made when it is needed. */
export function createSpool(libc: Libc, directory: string): Spool {
  return {
    record: async (request) => {
      const { writeSpoolFile } = await import('./spool-file.ts');
      return writeSpoolFile(libc, { directory, request, nowMs: Date.now() });
    },
  };
}
