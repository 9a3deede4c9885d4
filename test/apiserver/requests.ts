// Test equipment: what a request asks for, read from its path and query.
import type { Kind, KindRegistry } from './kinds.ts';
import { badRequest } from './status.ts';

export interface ApiRequest {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly userAgent: string;
  readonly accept: string;
  readonly contentType: string;
  /** Undefined for paths that are not those of a served kind. */
  readonly kind: Kind | undefined;
  /** '' for cluster-wide kinds and for lists over all namespaces. */
  readonly namespace: string;
  /** '' for collections. */
  readonly name: string;
  readonly subresource: string;
  readonly isWatch: boolean;
}

/**
 * `/api/v1/...` or `/apis/GROUP/VERSION/...`, then perhaps a namespace, then the kind and perhaps a
 * name.
 */
const PATH =
  /^\/(?:api\/(?<core>v1)|apis\/(?<group>[^/]+)\/(?<version>[^/]+))(?:\/namespaces\/(?<namespace>[^/]+))?\/(?<plural>[^/]+)(?:\/(?<name>[^/]+)(?:\/(?<subresource>[^/]+))?)?\/?$/;

export function parseRequest(request: Request, kinds: KindRegistry): ApiRequest {
  const url = new URL(request.url);
  const parts = readPath(url.pathname, kinds);
  return {
    method: request.method,
    path: url.pathname,
    query: url.searchParams,
    userAgent: request.headers.get('user-agent') ?? '',
    accept: request.headers.get('accept') ?? '',
    contentType: (request.headers.get('content-type') ?? '').split(';')[0]?.trim() ?? '',
    ...parts,
    isWatch: request.method === 'GET' && isTrue(url.searchParams.get('watch')),
  };
}

type Parts = Pick<ApiRequest, 'kind' | 'namespace' | 'name' | 'subresource'>;

function readPath(path: string, kinds: KindRegistry): Parts {
  const groups = PATH.exec(path)?.groups ?? {};
  const [group, version] = groups.core === undefined ? [groups.group, groups.version] : ['', 'v1'];
  const parts = {
    namespace: decode(groups.namespace),
    name: decode(groups.name),
    subresource: decode(groups.subresource),
  };
  const kind = kinds.find(group ?? '', version ?? '', groups.plural ?? '');
  if (kind !== undefined) return { kind, ...parts };
  return asNamespace(path, kinds);
}

/**
 * `/api/v1/namespaces/NAME[/status]` looks like something inside a namespace, but is the namespace
 * itself.
 */
function asNamespace(path: string, kinds: KindRegistry): Parts {
  const found = /^\/api\/v1\/namespaces\/([^/]+)\/(status|finalize)\/?$/.exec(path);
  const kind = found === null ? undefined : kinds.find('', 'v1', 'namespaces');
  return { kind, namespace: '', name: decode(found?.[1]), subresource: found?.[2] ?? '' };
}

function decode(segment: string | undefined): string {
  if (segment === undefined) return '';
  try {
    return decodeURIComponent(segment);
  } catch {
    throw badRequest(`malformed path segment ${segment}`);
  }
}

export function isTrue(text: string | null): boolean {
  return text === 'true' || text === '1';
}

/** Who writes: the fieldManager parameter, else the program's name as in the real server. */
export function managerOf(request: ApiRequest): string {
  return request.query.get('fieldManager') ?? request.userAgent.split('/')[0] ?? 'unknown';
}
