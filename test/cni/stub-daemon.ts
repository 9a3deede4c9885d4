// Test equipment: a server on a real unix socket that speaks the daemon's published protocol
// (src/shared/model/daemon-api.ts) and answers what the test tells it. It is not the daemon.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as v from 'valibot';
import type { CniResult } from '../../src/shared/model/cni/result.ts';
import {
  CNI_REQUEST_PATH,
  type CniReply,
  CniRequest,
  type ReplyPool,
} from '../../src/shared/model/daemon-api.ts';
import { DomainError, type ErrorKind, toProblem } from '../../src/shared/model/errors.ts';
import { PROBLEM_MEDIA_TYPE } from '../../src/shared/model/problem.ts';

/** Answers a request that is as the protocol wants it. */
export type Answer = (request: CniRequest, signal: AbortSignal) => Response | Promise<Response>;

/** A running stub. Disposing stops it and removes its folder. */
export interface StubDaemon extends AsyncDisposable {
  readonly socketPath: string;
  /** Where a spool can be made. */
  readonly spoolPath: string;
  /** All requests so far, each of them checked against the schema. */
  readonly requests: readonly CniRequest[];
}

/** Starts a stub in a folder of its own. */
export function startStubDaemon(answer: Answer): StubDaemon {
  const folder = mkdtempSync(join(tmpdir(), 'mnc-'));
  const socketPath = join(folder, 'daemon.sock');
  const requests: CniRequest[] = [];
  const server = Bun.serve({
    unix: socketPath,
    fetch: async (http) => {
      const { pathname } = new URL(http.url);
      if (http.method !== 'POST' || pathname !== CNI_REQUEST_PATH) return notFound();
      if (http.headers.get('content-type') !== 'application/json') return notFound();
      const request = v.parse(CniRequest, await http.json());
      requests.push(request);
      return answer(request, http.signal);
    },
  });
  return {
    socketPath,
    spoolPath: join(folder, 'run', 'spool'),
    requests,
    [Symbol.asyncDispose]: async () => {
      await server.stop(true);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function notFound(): Response {
  return new Response('not the protocol', { status: 404 });
}

/** A refusal as the daemon sends it. */
export function problem(kind: ErrorKind, message = `refused: ${kind}`, details = {}): Response {
  const document = toProblem(new DomainError(kind, message, { details }), { requestId: 'r' });
  return Response.json(document, {
    status: document.status,
    headers: { 'content-type': PROBLEM_MEDIA_TYPE },
  });
}

/** What a daemon says about an attachment to `count` NICs of a network 192.168.0.0/16. */
export function attachedReply(
  { ifName, netns }: Pick<CniRequest, 'ifName' | 'netns'>,
  count: number,
): CniReply & { result: CniResult; pools: ReplyPool[] } {
  const nics = Array.from({ length: count }, (_, index) => index);
  const address = (index: number): string => `192.168.${index * 64}.${65 + index}/18`;
  return {
    result: {
      cniVersion: '1.1.0',
      interfaces: nics.map((index) => ({
        name: `${ifName}-${index}`,
        mac: `02:00:00:00:00:0${index}`,
        mtu: 9000,
        sandbox: netns,
      })),
      ips: nics.map((index) => ({ address: address(index), interface: index })),
    },
    pools: nics.map((index) => ({
      name: `net-192.168.${index * 64}.64-26`,
      podCidr: `192.168.${index * 64}.64/26`,
      vlanCidr: `192.168.${index * 64}.0/18`,
      excludes: [`192.168.${index * 64}.100/32`],
      addresses: [address(index)],
    })),
    families: [4],
  };
}

/** A stub that attaches to `count` NICs and does everything else it is asked. */
export function startAttachingDaemon(count = 2): StubDaemon {
  return startStubDaemon((request) =>
    Response.json(request.command === 'ADD' ? attachedReply(request, count) : {}),
  );
}
