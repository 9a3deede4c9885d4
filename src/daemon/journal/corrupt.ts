// What is said of a journal that cannot be trusted.
import { DomainError } from '../../shared/model/errors.ts';

/** The refusal names the file, the reason and the steps that work. */
export function corrupt(path: string, reason: string, cause?: unknown): DomainError {
  return new DomainError(
    'journal-corrupt',
    `the journal ${path} cannot be trusted: ${reason}. ` +
      `To recover, move ${path}, ${path}-wal and ${path}-shm to another folder (keep them for ` +
      'analysis) and start the daemon again: before it becomes ready it takes over all ' +
      "allocations that this node's IPPool objects record; soon after, it releases those whose " +
      'pods are gone',
    { cause, details: { file: path, reason } },
  );
}
