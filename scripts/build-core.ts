// Compiles core-wasm/assembly into core-wasm/build/core.wasm:  bun scripts/build-core.ts
// Does nothing if that file is newer than all that goes into it. The new file replaces the old one by rename, so that
// programs that start meanwhile, and a second build at the same time, never see half of it.
import { existsSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';

const ROOT = dirname(import.meta.dir);
const OUTPUT = join(ROOT, 'core-wasm/build/core.wasm');
const COMPILER = join(ROOT, 'node_modules/assemblyscript/bin/asc.js');
const FIXED_INPUTS = ['asconfig.json', 'scripts/build-core.ts', 'package-lock.json'];

function isUpToDate(): boolean {
  if (!existsSync(OUTPUT)) return false;
  const builtAtMs = statSync(OUTPUT).mtimeMs;
  const sources = [...new Bun.Glob('core-wasm/assembly/**/*').scanSync({ cwd: ROOT })];
  return [...sources, ...FIXED_INPUTS].every(
    (path) => statSync(join(ROOT, path)).mtimeMs <= builtAtMs,
  );
}

function compile(): void {
  mkdirSync(dirname(OUTPUT), { recursive: true });
  const partial = `core-wasm/build/core.${process.pid}.partial.wasm`;
  const target = ['--config', 'asconfig.json', '--target', 'release', '--outFile', partial];
  try {
    const child = Bun.spawnSync([process.execPath, COMPILER, ...target], {
      cwd: ROOT,
      timeout: 120_000,
    });
    if (child.exitCode !== 0 || !existsSync(join(ROOT, partial))) {
      throw new Error(`the core does not compile\n${child.stdout}${child.stderr}`);
    }
    renameSync(join(ROOT, partial), OUTPUT);
  } finally {
    rmSync(join(ROOT, partial), { force: true });
  }
}

if (!isUpToDate()) {
  try {
    compile();
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    process.exit(1);
  }
}
