// Who may change something over TCP: a bearer token that the API server confirms, of a program of
// this project or of a cluster administrator (design D11). The socket needs none: it is root's.
import type { Context, MiddlewareHandler } from 'hono';
import { DomainError } from '../../shared/model/errors.ts';
import type { Clock } from '../../shared/platform/clock.ts';
import type { KubeClient } from '../../shared/platform/kube/client.ts';
import { TOKEN_REVIEWS } from '../../shared/platform/kube/resource.ts';
import type { AppEnv } from './app-env.ts';

const CACHE_MS = 60_000;
const CACHE_ENTRIES_MAX = 256;
const REVIEW_MS = 5_000;
/** Anybody can send tokens: the API server is not asked about more of them at once. */
const REVIEWS_AT_ONCE_MAX = 8;
const ADMIN_GROUP = 'system:masters';

/** What decides about writes. */
export interface WriteGuardOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  /** Service accounts of this namespace may write. */
  readonly operatorNamespace: string;
  /** Old clients without tokens may write too. */
  readonly isOpen: boolean;
}

interface Verdict {
  readonly refusal: string | undefined;
  readonly untilMs: number;
}

/**
 * Middleware for paths that change something. DomainError 'forbidden', or 'not-ready' without an
 * answer.
 */
export function writeGuard(o: WriteGuardOptions): MiddlewareHandler<AppEnv> {
  const verdicts = new Map<string, Verdict>();
  const review = limitReviews((token) => askAbout(o, token));
  return async function refuseStrangers(c, next) {
    if (!o.isOpen) await assertAllowed({ ...o, review }, verdicts, bearerToken(c));
    await next();
  };
}

function bearerToken(c: Context<AppEnv>): string {
  const token = /^Bearer ([\x21-\x7e]{1,8192})$/i.exec(c.req.header('authorization') ?? '')?.[1];
  if (token !== undefined) return token;
  throw new DomainError('forbidden', 'changes over TCP need a bearer token; use the unix socket');
}

/** Why the token may not write, or undefined if it may. */
type Review = (token: string) => Promise<string | undefined>;

function limitReviews(review: Review): Review {
  let underWay = 0;
  return async (token) => {
    if (underWay >= REVIEWS_AT_ONCE_MAX) {
      throw new DomainError('not-ready', 'too many tokens are being looked at');
    }
    underWay += 1;
    try {
      return await review(token);
    } finally {
      underWay -= 1;
    }
  };
}

async function assertAllowed(
  o: WriteGuardOptions & { readonly review: Review },
  verdicts: Map<string, Verdict>,
  token: string,
): Promise<void> {
  const key = new Bun.CryptoHasher('sha256').update(token).digest('hex');
  const known = verdicts.get(key);
  const isFresh = known !== undefined && known.untilMs > o.clock.monotonic();
  const refusal = isFresh ? known.refusal : await o.review(token);
  if (!isFresh) {
    for (const oldest of [...verdicts.keys()].slice(0, verdicts.size - CACHE_ENTRIES_MAX + 1)) {
      verdicts.delete(oldest);
    }
    verdicts.set(key, { refusal, untilMs: o.clock.monotonic() + CACHE_MS });
  }
  if (refusal !== undefined) throw new DomainError('forbidden', refusal);
}

async function askAbout(o: WriteGuardOptions, token: string): Promise<string | undefined> {
  const answer = await o.client
    .create(
      TOKEN_REVIEWS,
      { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token } },
      { timeoutMs: REVIEW_MS },
    )
    .catch((cause: unknown) => {
      throw new DomainError('not-ready', 'the API server did not confirm the token', { cause });
    });
  const { authenticated, user } = answer.status ?? {};
  if (authenticated !== true) return 'the API server does not know the token';
  const isOurs = user?.username?.startsWith(`system:serviceaccount:${o.operatorNamespace}:`);
  if (isOurs === true || user?.groups?.includes(ADMIN_GROUP) === true) return undefined;
  return `${user?.username ?? 'the user'} may not change this node's networks`;
}
