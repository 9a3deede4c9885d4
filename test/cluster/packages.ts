// Installs what the cluster needs of the machine's distribution, where that can be done without
// asking (Debian or Ubuntu, as root). Everything else about the cluster is built from Go modules.

import { existsSync } from 'node:fs';
import { run } from './command.ts';

/** A file or program that must be there, and the package that brings it. */
const NEEDED: readonly { readonly program: string; readonly package: string }[] = [
  { program: 'ip', package: 'iproute2' },
  { program: 'busybox', package: 'busybox-static' },
  { program: 'gcc', package: 'gcc' },
  { program: 'pkg-config', package: 'pkg-config' },
];

/** The oldest Go that compiles the peers' modules. */
const GO_MINOR_MIN = 26;

/** From here on Go fetches by itself a newer Go that a module asks for. */
const GO_MINOR_FETCHES = 21;

/**
 * Why no peers can be built; undefined if they can. `output` is what `go env GOVERSION GOTOOLCHAIN`
 * prints; undefined where there is no Go.
 */
export function whyNoGo(output = goSettings()): string | undefined {
  const needed = `needs a Go toolchain, 1.${GO_MINOR_MIN} or newer, to build Kubernetes`;
  if (output === undefined) return needed;
  const [version = '', toolchain = ''] = output.trim().split('\n');
  const minor = Number(/^go1\.(\d+)/.exec(version)?.[1] ?? Number.NaN);
  // Between releases the version is that of a commit.
  if (Number.isNaN(minor) || minor >= GO_MINOR_MIN) return undefined;
  const fetches = minor >= GO_MINOR_FETCHES && !/^(local|path)$/.test(toolchain);
  return fetches ? undefined : `${needed}; there is ${version}`;
}

function goSettings(): string | undefined {
  if (Bun.which('go') === null) return undefined;
  return Bun.spawnSync(['go', 'env', 'GOVERSION', 'GOTOOLCHAIN']).stdout.toString();
}

/**
 * Packages that are missing. runc is compiled against the headers of libseccomp, and with it
 * against those of the C library.
 */
export function missingPackages(): string[] {
  const missing = NEEDED.filter(({ program }) => Bun.which(program) === null);
  const names = missing.map((entry) => entry.package);
  const hasHeaders = existsSync('/usr/include/seccomp.h');
  return hasHeaders ? names : [...names, 'libseccomp-dev', 'libc6-dev'];
}

/**
 * Installs the missing packages and says which. Throws with the command to type where it cannot.
 */
export async function installPackages(report: (message: string) => void): Promise<void> {
  const missing = missingPackages();
  if (missing.length === 0) return;
  if (process.getuid?.() !== 0 || Bun.which('apt-get') === null) {
    throw new Error(
      `missing: ${missing.join(', ')}. Type: sudo apt-get install ${missing.join(' ')}`,
    );
  }
  report(`installing ${missing.join(', ')}`);
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  await run(['apt-get', 'update', '-qq'], { env, timeoutMs: 300_000 });
  const install = ['apt-get', 'install', '-y', '-qq', '--no-install-recommends', ...missing];
  await run(install, { env, timeoutMs: 600_000 });
}
