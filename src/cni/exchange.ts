// One request to the daemon and the answer to it, as daemon-client.ts needs them. What can go wrong
// differs in what it says about the effects of the request.

/** What a server answered. */
export interface HttpAnswer {
  readonly status: number;
  /** The content type without its parameters, in lower case. */
  readonly mediaType: string | undefined;
  readonly body: Uint8Array;
}

export interface ExchangeOptions {
  readonly socketPath: string;
  /** Path of the URL. */
  readonly path: string;
  /** JSON. */
  readonly body: Uint8Array<ArrayBuffer>;
  readonly timeoutMs: number;
  /** Most bytes of a body that are read. */
  readonly answerBytesMax: number;
  /** Called once the request is on its way. Must not reject. */
  readonly meanwhile: () => Promise<unknown>;
}

/**
 * Posts the body and reads the answer. Rejects with one of the errors below, with a TooLongError,
 * or with anything else when the connection broke before anything came.
 */
export type Exchange = (o: ExchangeOptions) => Promise<HttpAnswer>;

/** The server cannot have seen the request. `code` is the name of errno. */
export class NotSentError extends Error {
  readonly code: string;

  constructor(code: string, options?: ErrorOptions) {
    super(code, options);
    this.code = code;
  }
}

/** The time was up before the end of the answer. */
export class TimedOutError extends Error {}

/** What came is no answer that can be read. The message says what it is: "is not HTTP/1". */
export class NotUnderstoodError extends Error {}

/** The connection ended within the answer. The message says where: "broke off after 7 bytes". */
export class BrokenOffError extends Error {}
