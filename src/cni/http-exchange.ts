// One HTTP exchange over the daemon's socket, without the event loop (libc.ts says why): the
// request is sent, something else is done while the daemon works, and then the answer is read to
// its end. Understands what a server sends that knows the length of its answer or closes behind it
// (RFC 9112 section 6.3); a chunked answer is none of ours.

import { TooLongError } from './bounded-text.ts';
import {
  BrokenOffError,
  type Exchange,
  type HttpAnswer,
  NotSentError,
  NotUnderstoodError,
  TimedOutError,
} from './exchange.ts';
import { GrowingBytes } from './growing-bytes.ts';
import { type Libc, SystemError } from './libc.ts';

/** Bytes of the longest status line and headers. */
const HEAD_BYTES_MAX = 16_384;

/** Characters of what is not HTTP that are repeated in an error. */
const STRANGE_CHARS_MAX = 40;

/** With this every answer begins. */
const PROTOCOL = 'HTTP/1.';
const STATUS_LINE = /^HTTP\/1\.[01] (\d{3})(?: |\r\n)/;
const CONTENT_LENGTH = /^content-length:[ \t]*(\d{1,15})[ \t]*$/im;
const CONTENT_TYPE = /^content-type:[ \t]*([^;\r\n]*?)[ \t]*(?:;.*)?$/im;
const TRANSFER_ENCODING = /^transfer-encoding:[ \t]*(.*)$/im;

/** Exchanges over this C library. */
export function createHttpExchange(libc: Libc): Exchange {
  return async (o) => {
    const deadline = performance.now() + o.timeoutMs;
    using connection = new Connection(libc, { path: o.socketPath, deadline });
    connection.send(toMessage(o.path, o.body));
    await o.meanwhile();
    return connection.receive(o.answerBytesMax);
  };
}

function toMessage(path: string, body: Uint8Array): Uint8Array {
  const head = new TextEncoder().encode(
    `POST ${path} HTTP/1.1\r\nhost: daemon\r\nconnection: close\r\n` +
      `content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`,
  );
  const message = new Uint8Array(head.length + body.length);
  message.set(head);
  message.set(body, head.length);
  return message;
}

/** A socket with a point in time at which everything on it has to be over. */
class Connection implements Disposable {
  readonly #libc: Libc;
  readonly #path: string;
  readonly #deadline: number;
  readonly #fd: number;

  constructor(libc: Libc, o: { readonly path: string; readonly deadline: number }) {
    this.#libc = libc;
    this.#path = o.path;
    this.#deadline = o.deadline;
    try {
      this.#fd = libc.connect(o.path);
    } catch (error) {
      throw error instanceof SystemError ? new NotSentError(error.code, { cause: error }) : error;
    }
  }

  send(message: Uint8Array): void {
    let rest = message;
    while (rest.length > 0) {
      const sent = this.#libc.sendSome(this.#fd, this.#path, rest);
      if (sent === undefined) this.#wait('send');
      else rest = rest.subarray(sent);
    }
  }

  receive(bodyBytesMax: number): HttpAnswer {
    const received = new GrowingBytes();
    let head = parseHead(received.bytes);
    while (head === undefined) {
      if (!this.#receiveMore(received, HEAD_BYTES_MAX)) throw endedAfter(received.bytes.length);
      head = parseHead(received.bytes);
    }
    const { status, mediaType, bodyAt, bodyBytes } = head;
    if ((bodyBytes ?? 0) > bodyBytesMax) throw new TooLongError(bodyBytesMax);
    const end = bodyAt + (bodyBytes ?? Number.POSITIVE_INFINITY);
    while (received.bytes.length < end) {
      if (!this.#receiveMore(received, bodyAt + bodyBytesMax + 1)) break;
    }
    const body = received.bytes.subarray(bodyAt, end);
    if (body.length < (bodyBytes ?? 0)) throw endedAfter(received.bytes.length, { bytes: end });
    return { status, mediaType, body };
  }

  [Symbol.dispose](): void {
    this.#libc.close(this.#fd);
  }

  /** Waits for more; false at the end. Throws a TooLongError if there are so many already. */
  #receiveMore(received: GrowingBytes, bytesMax: number): boolean {
    if (received.bytes.length >= bytesMax) throw new TooLongError(bytesMax);
    try {
      return received.append((into) => this.#receiveSome(into)) > 0;
    } catch (error) {
      const isCut = error instanceof SystemError && received.bytes.length > 0;
      throw isCut ? endedAfter(received.bytes.length, { cause: error }) : error;
    }
  }

  /** At least one byte, or 0 at the end. */
  #receiveSome(into: Uint8Array): number {
    for (;;) {
      const count = this.#libc.receiveSome(this.#fd, this.#path, into);
      if (count !== undefined) return count;
      this.#wait('receive');
    }
  }

  #wait(what: 'send' | 'receive'): void {
    const leftMs = this.#deadline - performance.now();
    if (leftMs <= 0) throw new TimedOutError();
    this.#libc.wait(this.#fd, what, leftMs);
  }
}

interface Head {
  readonly status: number;
  readonly mediaType: string | undefined;
  /** Offset of the body, bytes. */
  readonly bodyAt: number;
  /** Length of the body; undefined: it ends with the connection. */
  readonly bodyBytes: number | undefined;
}

/** The connection ended after so many bytes of how many there should be, if that is known. */
function endedAfter(
  count: number,
  { bytes, cause }: { readonly bytes?: number; readonly cause?: unknown } = {},
): Error {
  if (count === 0) return new Error('it was closed without an answer');
  const all = bytes === undefined ? '' : ` of ${bytes}`;
  return new BrokenOffError(`broke off after ${count}${all} bytes`, { cause });
}

/** The head, or undefined while its end has not come. Throws a NotUnderstoodError if it is none. */
function parseHead(bytes: Uint8Array): Head | undefined {
  const text = new TextDecoder('latin1').decode(bytes);
  if (!PROTOCOL.startsWith(text.slice(0, PROTOCOL.length))) throw notHttp(text);
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const head = text.slice(0, end + 2);
  const status = STATUS_LINE.exec(head)?.[1];
  if (status === undefined) throw notHttp(head);
  const encoding = TRANSFER_ENCODING.exec(head)?.[1];
  if (encoding !== undefined) {
    throw new NotUnderstoodError(`has the transfer encoding ${printable(encoding)}`);
  }
  const bodyBytes = CONTENT_LENGTH.exec(head)?.[1];
  return {
    status: Number(status),
    mediaType: CONTENT_TYPE.exec(head)?.[1]?.toLowerCase(),
    bodyAt: end + 4,
    bodyBytes: bodyBytes === undefined ? undefined : Number(bodyBytes),
  };
}

function notHttp(text: string): NotUnderstoodError {
  return new NotUnderstoodError(`is not HTTP/1, it begins with ${printable(text)}`);
}

/** The beginning of what a stranger sent, in quotes and on one line. */
function printable(text: string): string {
  return `"${text.slice(0, STRANGE_CHARS_MAX).replaceAll(/[^ -~]/g, '.')}"`;
}
