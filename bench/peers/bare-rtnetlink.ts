// Compiles the C program that the daemon's kernel work is measured against.
import { join } from 'node:path';

export const BARE_RTNETLINK = 'bare C rtnetlink program';

/** A peer that can be called, or why there is none on this machine. */
export type Peer = { readonly program: string } | { readonly missing: string };

/** Compiles it into a folder. What is missing is a reason and no error: our own times are worth having. */
export function compileBareRtnetlink(folder: string): Peer {
  if (Bun.which('gcc') === null) return { missing: 'gcc is not installed' };
  const program = join(folder, 'bare-rtnetlink');
  const source = join(import.meta.dir, 'bare-rtnetlink.c');
  const { exitCode, stderr } = Bun.spawnSync(['gcc', '-O2', '-o', program, source]);
  if (exitCode === 0) return { program };
  const line = stderr
    .toString()
    .split('\n')
    .find((text) => text.includes('error'));
  return { missing: `gcc cannot compile it: ${line?.trim() ?? `exit ${exitCode}`}` };
}
