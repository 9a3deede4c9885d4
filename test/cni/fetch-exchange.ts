// Test equipment: the exchange over fetch, for tests whose daemon lives in the same thread, which the
// executable's own blocking calls would never let answer. daemon-client.test.ts holds both to the
// same contract.
import { TooLongError } from '../../src/cni/bounded-text.ts';
import {
  type Exchange,
  NotSentError,
  NotUnderstoodError,
  TimedOutError,
} from '../../src/cni/exchange.ts';

/** Errors of connect(2). */
const CONNECT_ERRORS = new Set([
  'ENOENT',
  'ECONNREFUSED',
  'EACCES',
  'EAGAIN',
  'ENAMETOOLONG',
  'ENOTDIR',
  'ENOTSOCK',
  'ELOOP',
]);

/** Exchanges as the executable's own does. */
export const fetchExchange: Exchange = async (o) => {
  try {
    const asked = fetch(`http://daemon${o.path}`, {
      unix: o.socketPath,
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: o.body,
      signal: AbortSignal.timeout(o.timeoutMs),
      redirect: 'manual',
    });
    const [response] = await Promise.all([asked, o.meanwhile()]);
    const body = await response.bytes();
    if (body.length > o.answerBytesMax) throw new TooLongError(o.answerBytesMax);
    const mediaType = response.headers.get('content-type')?.split(';', 1)[0]?.trim().toLowerCase();
    return { status: response.status, mediaType, body };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (CONNECT_ERRORS.has(code)) throw new NotSentError(code, { cause: error });
    if (code === 'Malformed_HTTP_Response') throw new NotUnderstoodError('is not HTTP');
    if (error instanceof Error && error.name === 'TimeoutError') throw new TimedOutError();
    throw error;
  }
};
