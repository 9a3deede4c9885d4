// The daemon as the commands see it: what can come of a request.

import type { CniReply, CniRequest } from '../shared/model/daemon-api.ts';
import type { DomainError } from '../shared/model/errors.ts';

/** What came of a request. */
export type DaemonAnswer =
  /** The daemon did it. */
  | { readonly outcome: 'done'; readonly reply: CniReply }
  /** The daemon said no, and has undone what it had begun. */
  | { readonly outcome: 'refused'; readonly error: Error }
  /** The daemon never saw the request. */
  | { readonly outcome: 'not-sent'; readonly error: DomainError }
  /**
   * The request was sent, but its effects are not known: no answer in time, or none that can be
   * understood.
   */
  | { readonly outcome: 'unknown'; readonly error: Error };

/** The daemon as the commands see it. */
export interface DaemonClient {
  /**
   * Never throws for anything the daemon or the socket does. `timeoutMs` bounds the whole exchange.
   * `meanwhile` is called at most once, while the daemon works; it must not reject.
   */
  call(
    request: CniRequest,
    timeoutMs: number,
    meanwhile?: () => Promise<unknown>,
  ): Promise<DaemonAnswer>;
}
