// How long pods take until they are ready, seen from outside, and how long their sandboxes take,
// from the runtime's log.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ApiAccess, at, textAt } from './api.ts';
import { adminAccess } from './cluster.ts';
import { machineRoot } from './machine.ts';
import { createPods, isReady, type PodRequest } from './pods.ts';
import { nodeNames } from './product.ts';

/**
 * Creates pods at once and returns, for each, the milliseconds from the request to the moment at
 * which a watcher hears that it is ready. Throws if one is not within `timeoutMs`.
 */
export async function timePods(pods: readonly PodRequest[], timeoutMs: number): Promise<number[]> {
  const access = adminAccess();
  const abort = AbortSignal.timeout(timeoutMs);
  const waiting = new Set(pods.map((pod) => pod.name));
  const times: number[] = [];
  let begin = 0;
  const heard = watchPods(access, abort, (pod) => {
    if (!isReady(pod) || !waiting.delete(textAt(pod, 'metadata', 'name'))) return true;
    times.push(performance.now() - begin);
    return waiting.size > 0;
  });
  const { opened, ended } = heard;
  await opened;
  begin = performance.now();
  await createPods(pods);
  await ended;
  if (waiting.size > 0) throw new Error(`not ready in ${timeoutMs} ms: ${[...waiting].join(', ')}`);
  return times;
}

/**
 * Milliseconds that each sandbox whose pod's name starts with `prefix` took on its node, CNI
 * included.
 */
export function sandboxTimes(prefix: string): number[] {
  return nodeNames().flatMap((node) => {
    const log = readFileSync(join(machineRoot(node), 'var/log/containerd.log'), 'utf8');
    const begun = new Map<string, number>();
    const times: number[] = [];
    for (const line of log.split('\n')) {
      const [, time, rest = ''] =
        /^time="([^"]+)" level=info msg="RunPodSandbox for (.*)"$/.exec(line) ?? [];
      const name = /name:\\"([^"\\]+)\\"/.exec(rest)?.[1];
      if (time === undefined || name === undefined || !name.startsWith(prefix)) continue;
      const at = toMilliseconds(time);
      const start = begun.get(name);
      if (!rest.includes('returns sandbox id')) begun.set(name, at);
      else if (start !== undefined) times.push(at - start);
    }
    return times;
  });
}

/** Calls `onPod` for every added or changed pod until it returns false or the signal ends it. */
function watchPods(
  access: ApiAccess,
  signal: AbortSignal,
  onPod: (pod: unknown) => boolean,
): { opened: Promise<void>; ended: Promise<void> } {
  const opening = Promise.withResolvers<void>();
  const read = async (): Promise<void> => {
    const response = await fetch(`${access.server}/api/v1/namespaces/default/pods?watch=1`, {
      headers: { authorization: `Bearer ${access.token}` },
      tls: { ca: access.ca },
      signal,
    });
    opening.resolve();
    let pending = '';
    const decoder = new TextDecoder();
    for await (const bytes of response.body ?? []) {
      const lines = (pending + decoder.decode(bytes, { stream: true })).split('\n');
      pending = lines.pop() ?? '';
      if (lines.some((line) => !onPod(at(JSON.parse(line), 'object')))) return;
    }
  };
  const ended = read().catch((error: unknown) => {
    opening.resolve();
    if (!signal.aborted) throw error;
  });
  return { opened: opening.promise, ended };
}

/** The log has nanoseconds, which Date cannot read. */
function toMilliseconds(time: string): number {
  const [, seconds = '', fraction = '0'] = /^(.*T\d\d:\d\d:\d\d)\.?(\d*)/.exec(time) ?? [];
  return Date.parse(`${seconds}Z`) + Number(`0.${fraction}`) * 1000;
}
