// Reads what others send, up to a limit: neither a runtime nor the daemon is trusted to end.

/** Thrown when there is more than the limit; the rest is left unread. */
export class TooLongError extends Error {
  constructor(limitBytes: number) {
    super(`more than ${limitBytes} bytes`);
  }
}

/** The bytes as UTF-8, malformed ones replaced. Throws a TooLongError if there are too many. */
export function decodeText(bytes: Uint8Array, limitBytes: number): string {
  if (bytes.length > limitBytes) throw new TooLongError(limitBytes);
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
}
