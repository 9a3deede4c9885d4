// Test equipment: the executable's own client in a thread, so that it may block while the daemon of
// the test answers in another.
import { createDaemonClient } from '../../src/cni/daemon-client.ts';
import type { DaemonAnswer } from '../../src/cni/daemon-port.ts';
import { createHttpExchange } from '../../src/cni/http-exchange.ts';
import { openLibc } from '../../src/cni/libc.ts';
import type { CniRequest } from '../../src/shared/model/daemon-api.ts';
import { DomainError } from '../../src/shared/model/errors.ts';

declare const self: Worker;

/** What the thread is asked. */
export interface ClientCall {
  readonly socketPath: string;
  readonly request: CniRequest;
  readonly timeoutMs: number;
}

/** An answer that can be handed to another thread. */
export interface Summary {
  readonly outcome: DaemonAnswer['outcome'];
  readonly kind?: string;
  readonly message?: string;
  readonly details?: object;
  readonly reply?: object;
}

/** The answer without its classes. */
export function summarise(answer: DaemonAnswer): Summary {
  const { outcome } = answer;
  if (answer.outcome === 'done') return { outcome, reply: answer.reply };
  const { error } = answer;
  const { message } = error;
  return error instanceof DomainError
    ? { outcome, kind: error.kind, message, details: error.details ?? {} }
    : { outcome, message };
}

if (!Bun.isMainThread) {
  const exchange = createHttpExchange(openLibc());
  self.onmessage = async ({ data }: MessageEvent<ClientCall>) => {
    const client = createDaemonClient({ socketPath: data.socketPath, exchange });
    postMessage(summarise(await client.call(data.request, data.timeoutMs)));
  };
}
