// The least that the test cluster needs to talk to its API server: a kubeconfig with a token, and
// one request at a time. It is not the client under test; that one is in src/shared/platform/kube.

import { readFileSync } from 'node:fs';

/** How to reach an API server, and as whom. */
export interface ApiAccess {
  readonly server: string;
  /** Certificate of the authority, PEM. */
  readonly ca: string;
  readonly token: string;
}

/** A reply of the API server, whatever its status. */
export interface ApiReply {
  readonly status: number;
  readonly body: unknown;
}

/** The kubeconfig for `access`, as JSON (which is YAML too). */
export function kubeconfigOf(access: ApiAccess): string {
  const data = Buffer.from(access.ca).toString('base64');
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      { name: 'c', cluster: { server: access.server, 'certificate-authority-data': data } },
    ],
    users: [{ name: 'u', user: { token: access.token } }],
    contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'c',
  });
}

/** Reads a kubeconfig that `kubeconfigOf` wrote. */
export function readKubeconfig(path: string): ApiAccess {
  const config: unknown = JSON.parse(readFileSync(path, 'utf8'));
  const cluster = at(config, 'clusters', 0, 'cluster');
  const ca = Buffer.from(textAt(cluster, 'certificate-authority-data'), 'base64').toString();
  const token = textAt(at(config, 'users', 0, 'user'), 'token');
  return { server: textAt(cluster, 'server'), ca, token };
}

/**
 * Sends one request. Throws only when there is no reply: refused, reset, or later than `timeoutMs`
 * (10 s unless told).
 */
export async function callApi(
  access: ApiAccess,
  request: {
    method?: string;
    path: string;
    body?: unknown;
    contentType?: string;
    timeoutMs?: number;
  },
): Promise<ApiReply> {
  const headers: Record<string, string> = { authorization: `Bearer ${access.token}` };
  if (request.body !== undefined)
    headers['content-type'] = request.contentType ?? 'application/json';
  const response = await fetch(`${access.server}${request.path}`, {
    method: request.method ?? 'GET',
    headers,
    body: request.body === undefined ? null : JSON.stringify(request.body),
    tls: { ca: access.ca },
    signal: AbortSignal.timeout(request.timeoutMs ?? 10_000),
  });
  const text = await response.text();
  return { status: response.status, body: parseOrText(text) };
}

/** The body of a GET that must succeed. */
export async function readApi(access: ApiAccess, path: string): Promise<unknown> {
  const reply = await callApi(access, { path });
  if (reply.status !== 200)
    throw new Error(`GET ${path}: ${reply.status} ${JSON.stringify(reply.body)}`);
  return reply.body;
}

/** The value that is reached by the given keys and indices; undefined if any step is missing. */
export function at(value: unknown, ...steps: readonly (string | number)[]): unknown {
  let current = value;
  for (const step of steps) {
    if (typeof current !== 'object' || current === null) return undefined;
    current = Reflect.get(current, step);
  }
  return current;
}

/** The text reached by the given keys; throws if there is none. */
export function textAt(value: unknown, ...steps: readonly (string | number)[]): string {
  const found = at(value, ...steps);
  if (typeof found !== 'string') throw new Error(`no text at ${steps.join('.')}`);
  return found;
}

/** The list reached by the given keys; empty if there is none. */
export function listAt(value: unknown, ...steps: readonly (string | number)[]): unknown[] {
  const found = at(value, ...steps);
  return Array.isArray(found) ? found : [];
}

function parseOrText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
