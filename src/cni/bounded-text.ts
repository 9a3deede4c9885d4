// Reads a stream of bytes into text, up to a limit: what a runtime or the daemon sends is never
// trusted to end.

/** Thrown when a stream has more than the limit; the rest is left unread. */
export class TooLongError extends Error {
  constructor(limitBytes: number) {
    super(`more than ${limitBytes} bytes`);
  }
}

/**
 * All of the stream as UTF-8, malformed bytes replaced. Throws TooLongError, or what the stream
 * itself throws.
 */
export async function readText(
  stream: ReadableStream<Uint8Array>,
  limitBytes: number,
): Promise<string> {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  let text = '';
  let sizeBytes = 0;
  for await (const chunk of stream) {
    sizeBytes += chunk.length;
    if (sizeBytes > limitBytes) throw new TooLongError(limitBytes);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}
