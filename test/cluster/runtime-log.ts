// What a node's containerd has logged about pods.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { machineRoot } from './machine.ts';

/** Errors with which sandboxes of pods whose name starts with `prefix` were not made. */
export function failedSandboxes(node: string, prefix: string): string[] {
  const log = readFileSync(join(machineRoot(node), 'var/log/containerd.log'), 'utf8');
  return log
    .split('\n')
    .filter((line) => line.includes(`RunPodSandbox for name:\\"${prefix}`))
    .flatMap((line) => /failed, error" error="(.*)"$/.exec(line)?.[1] ?? []);
}
