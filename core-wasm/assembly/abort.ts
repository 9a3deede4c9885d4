// What a failed assert does: it traps. No text crosses the border; the host gets a RuntimeError and
// drops the instance.

/** Called by `assert`; the arguments are the compiler's convention and are not used. */
export function abort(
  _message: string | null,
  _fileName: string | null,
  _line: u32,
  _column: u32,
): void {
  unreachable();
}
