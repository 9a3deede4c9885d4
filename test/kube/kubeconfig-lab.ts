// Test equipment: API servers with TLS on this machine, and kubeconfigs that lead to them.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/shared/platform/clock.ts';
import type { ApiTarget } from '../../src/shared/platform/kube/api-target.ts';
import { createKubeClient } from '../../src/shared/platform/kube/client.ts';
import { NODES } from '../../src/shared/platform/kube/resource.ts';
import { loadApiTarget } from '../../src/shared/platform/kube/target.ts';
import { type ApiServer, startApiServer } from '../apiserver/server.ts';
import { createAuthority } from '../cluster/certificates.ts';

export const base64 = (text: string): string => Buffer.from(text).toString('base64');

/** The headers that a target's credentials come to. */
export async function headersOf(target: ApiTarget): Promise<Readonly<Record<string, string>>> {
  return (await target.credentials?.())?.headers ?? {};
}

/** Lists nodes with a kubeconfig; the number of them. */
async function listWith(path: string): Promise<number> {
  const target = await loadApiTarget({ kubeconfigPath: path, env: {} });
  const clock = { ...systemClock, sleep: async () => undefined };
  const client = createKubeClient(target, { clock });
  return (await client.list(NODES, { timeoutMs: 20_000 })).items.length;
}

interface KubeconfigLab extends AsyncDisposable {
  readonly folder: string;
  /** Of the servers and of `clientPair`. */
  readonly authority: ReturnType<typeof createAuthority>;
  readonly stranger: ReturnType<typeof createAuthority>;
  readonly serverTls: { readonly cert: string; readonly key: string };
  readonly clientPair: { readonly certificate: string; readonly key: string };
  /** Takes the tokens `good` and `newer`. */
  readonly server: ApiServer;
  /** Takes client certificates. */
  readonly mutual: ApiServer;
  /** Writes a kubeconfig and returns its path. */
  readonly kubeconfig: (cluster: Record<string, unknown>, user: Record<string, unknown>) => string;
  /** The cluster part for a server of `authority`. */
  readonly trusted: (url: string) => Record<string, unknown>;
  readonly listWith: (path: string) => Promise<number>;
}

export async function startKubeconfigLab(): Promise<KubeconfigLab> {
  const folder = mkdtempSync(join(tmpdir(), 'multi-nic-target-'));
  const authority = createAuthority('authority of the test');
  const { certificate: cert, key } = authority.issue({
    commonName: 'server',
    usage: 'server',
    ipAddresses: ['127.0.0.1'],
    dnsNames: ['api.test'],
  });
  const serverTls = { cert, key };
  const users = { good: { username: 'someone' }, newer: { username: 'someone' } };
  const server = await startApiServer({ tls: serverTls, users, isTokenRequired: true });
  const mutual = await startApiServer({ tls: { ...serverTls, clientCa: authority.certificate } });
  return {
    folder,
    authority,
    stranger: createAuthority('another authority'),
    serverTls,
    clientPair: authority.issue({ commonName: 'client', usage: 'client' }),
    server,
    mutual,
    kubeconfig(cluster, user) {
      const path = join(folder, `config-${crypto.randomUUID()}`);
      writeFileSync(path, JSON.stringify(toKubeconfig(cluster, user)));
      return path;
    },
    trusted: (url) => ({
      server: url,
      'certificate-authority-data': base64(authority.certificate),
    }),
    listWith,
    async [Symbol.asyncDispose]() {
      await server.close();
      await mutual.close();
      rmSync(folder, { recursive: true });
    },
  };
}

function toKubeconfig(cluster: Record<string, unknown>, user: Record<string, unknown>): unknown {
  return {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'c', cluster }],
    users: [{ name: 'u', user }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'x',
  };
}
