// What a run decided on has changed since: the whole run is repeated on what is true now.
import { isKubeError } from '../../shared/platform/kube/errors.ts';

/** Thrown before a write that would rest on it. */
export class OutdatedError extends Error {
  override readonly name = 'OutdatedError';
}

/** Whether the API server or we ourselves found it out. */
export function isOutdated(error: unknown): boolean {
  return error instanceof OutdatedError || isKubeError(error, 'conflict');
}
