// What must be taken back when a step of an ADD fails: a stack of undo steps, run last to first.
import type { DomainError } from '../../shared/model/errors.ts';

interface UndoStep {
  readonly name: string;
  readonly run: () => void | Promise<void>;
}

/** Undo steps in the order in which their effects happened. */
export class UndoStack {
  readonly #steps: UndoStep[] = [];

  /** Registers how to take the effect back that happens next. */
  push(name: string, run: () => void | Promise<void>): void {
    this.#steps.push({ name, run });
  }

  /**
   * Takes everything back, newest first. A step that fails ends it, because the ones below it rely
   * on it (an address must stay taken while its link may exist). Returns what failed, if anything.
   */
  async unwind(): Promise<{ step: string; error: unknown } | undefined> {
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await step.run();
      } catch (error) {
        return { step: step.name, error };
      }
    }
    return undefined;
  }
}

/** Adds to the first error what could not be undone; the first error stays the one reported. */
export function addUndoFailure(
  first: DomainError,
  failure: { step: string; error: unknown },
): DomainError {
  const text = failure.error instanceof Error ? failure.error.message : String(failure.error);
  first.details.undoFailed = `${failure.step}: ${text}`;
  return first;
}
