// A list of what is wrong with a document, each with the path of the member to blame, so that all
// of it can be said at once instead of one per attempt.

/** Collects findings. Paths look like `spec.ipam.excludeCIDRs[2]`. */
export interface Findings {
  /** Something that forbids use. */
  issue(path: string, reason: string): void;
  /**
   * Something that is ignored, as it was before: what runs may go on, but nothing new is to be
   * built on it, for what is ignored looks as if it worked.
   */
  refusal(path: string, reason: string): void;
  /** Something that is ignored, as it was before, but should be corrected. */
  warning(path: string, reason: string): void;
  readonly issues: readonly string[];
  readonly refusals: readonly string[];
  readonly warnings: readonly string[];
}

/** An empty list. */
export function createFindings(): Findings {
  const issues: string[] = [];
  const refusals: string[] = [];
  const warnings: string[] = [];
  return {
    issues,
    refusals,
    warnings,
    issue: (path, reason) => void issues.push(`${path}: ${reason}`),
    refusal: (path, reason) => void refusals.push(`${path}: ${reason}`),
    warning: (path, reason) => void warnings.push(`${path}: ${reason}`),
  };
}

/** A value of unknown type as text for a finding, shortened. */
export function quote(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
