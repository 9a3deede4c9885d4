// Builds the WASM core and the programs into build/:  bun scripts/build.ts [name...]
// A program is rebuilt only when a file that went into it is newer; the new file replaces the old one by rename, so that
// a runtime that is about to execute it never sees half a program.

import {
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const BUILD = join(ROOT, 'build');

/** A program that `buildPrograms` can make. */
interface Program {
  readonly entry: string;
  /**
   * Ends after some milliseconds: its code stays in the interpreter, because compiling it never pays
   * back. Takes 1.5 ms off an ADD.
   */
  readonly shortLived: boolean;
  /** Further names under which the same file is installed; it looks at the name it was started by. */
  readonly links: readonly string[];
}

const PROGRAMS: Readonly<Record<string, Program>> = {
  'multi-nic': {
    entry: 'src/cni/main.ts',
    shortLived: true,
    links: ['multi-nic-ipam', 'aws-ipvlan'],
  },
  'multi-nicd': { entry: 'src/daemon/main.ts', shortLived: false, links: [] },
  'multi-nic-controller': { entry: 'src/controller/main.ts', shortLived: false, links: [] },
};

/** By how much the thresholds are raised after which code is compiled; 8 and 1000 measure the same. */
const SHORT_LIVED_JIT_POLICY = 8;

/** Files that decide how everything is built; a change to one of them rebuilds all. */
const COMMON_INPUTS = ['scripts/build.ts', 'package.json', 'package-lock.json', 'tsconfig.json'];

const CORE_WASM = 'core-wasm/build/core.wasm';

/** What became of one name: `absent` means that its sources are not there yet. */
export type BuildOutcome = 'built' | 'up-to-date' | 'absent';

/** Where `buildPrograms` puts the program of this name; `folder` is that of the build unless told. */
export function programPath(name: string, folder = BUILD): string {
  return join(folder, name);
}

/** The names that `buildPrograms` knows, without the further names of the CNI executable. */
export function programNames(): string[] {
  return Object.keys(PROGRAMS);
}

/**
 * Builds the WASM core and then the programs named, one after the other. Throws an Error with the compiler's own words
 * when one does not compile; files of earlier builds are left as they were.
 */
export async function buildPrograms(
  names: readonly string[],
  report: (name: string, outcome: BuildOutcome) => void = () => undefined,
  folder = BUILD,
): Promise<void> {
  mkdirSync(folder, { recursive: true });
  report('core.wasm', buildCore());
  for (const name of names) report(name, await buildProgram(name, folder));
}

function buildCore(): BuildOutcome {
  const script = join(ROOT, 'scripts/build-core.ts');
  if (!existsSync(script)) return 'absent';
  const sources = [...new Bun.Glob('core-wasm/assembly/**/*').scanSync({ cwd: ROOT })];
  const inputs = [...sources, 'asconfig.json', 'scripts/build-core.ts', 'package-lock.json'];
  if (isNewest(join(ROOT, CORE_WASM), inputs)) return 'up-to-date';
  const child = Bun.spawnSync([process.execPath, script], { cwd: ROOT, stderr: 'pipe' });
  if (child.exitCode !== 0) throw new Error(`building the core failed\n${child.stderr}`);
  return 'built';
}

async function buildProgram(name: string, folder: string): Promise<BuildOutcome> {
  const program = PROGRAMS[name];
  if (program === undefined) {
    throw new Error(`unknown program '${name}'; known are ${programNames().join(', ')}`);
  }
  if (!existsSync(join(ROOT, program.entry))) return 'absent';
  const output = programPath(name, folder);
  const inputs = recordedInputs(name, folder);
  const fresh = inputs !== undefined && isNewest(output, inputs);
  if (!fresh) await compile(name, program, folder);
  for (const link of program.links) replaceByLink(output, programPath(link, folder));
  return fresh ? 'up-to-date' : 'built';
}

async function compile(name: string, program: Program, folder: string): Promise<void> {
  // The name of the file is in the program: it must be the same in every build.
  const workshop = join(folder, `.${process.pid}.partial`);
  const partial = join(workshop, name);
  try {
    const inputs = await compileFile({ ...program, output: partial });
    const record = join(workshop, 'inputs.json');
    await Bun.write(record, JSON.stringify(inputs));
    mkdirSync(dirname(inputsFile(name, folder)), { recursive: true });
    renameSync(record, inputsFile(name, folder));
    renameSync(partial, programPath(name, folder));
  } catch (error) {
    throw new Error(`building ${name} failed\n${explain(error)}`, { cause: error });
  } finally {
    rmSync(workshop, { recursive: true, force: true });
  }
}

/**
 * Compiles one program, `entry` being relative to the root, and returns the files that went into it,
 * relative to the root too, so that a copied tree looks at its own. The program says `version` about
 * itself; that of the package unless told. Throws what Bun.build throws.
 */
export async function compileFile(o: {
  readonly entry: string;
  readonly output: string;
  readonly shortLived: boolean;
  readonly version?: string;
}): Promise<string[]> {
  const built = await Bun.build({
    entrypoints: [join(ROOT, o.entry)],
    target: 'bun',
    format: 'esm',
    minify: true,
    bytecode: true,
    metafile: true,
    define: { 'process.env.MULTI_NIC_VERSION': JSON.stringify(o.version ?? packageVersion()) },
    // A program started by root must not read settings from whatever folder it is started in.
    compile: {
      outfile: o.output,
      autoloadDotenv: false,
      autoloadBunfig: false,
      jitPolicy: o.shortLived ? SHORT_LIVED_JIT_POLICY : 1,
    },
  });
  return Object.keys(built.metafile?.inputs ?? {})
    .map((path) => resolve(path))
    .filter(existsSync) // not the compiler's own virtual modules
    .map((path) => relative(ROOT, path));
}

/** Bun.build throws an AggregateError whose own message names no file. */
function explain(error: unknown): string {
  return error instanceof AggregateError ? error.errors.map(String).join('\n') : String(error);
}

/** A hard link, so that all names share one copy on disk and in the page cache. */
function replaceByLink(target: string, name: string): void {
  if (existsSync(name) && statSync(name).ino === statSync(target).ino) return;
  const partial = `${name}.${process.pid}.partial`;
  rmSync(partial, { force: true });
  linkSync(target, partial);
  renameSync(partial, name);
}

function inputsFile(name: string, folder: string): string {
  return join(folder, '.inputs', `${name}.json`);
}

/** The files that went into the last build of `name`, or undefined if that is not known. */
function recordedInputs(name: string, folder: string): string[] | undefined {
  const file = inputsFile(name, folder);
  if (!existsSync(file)) return undefined;
  const paths: unknown = JSON.parse(readFileSync(file, 'utf8'));
  if (!Array.isArray(paths)) return undefined;
  return [...paths.map(String), ...COMMON_INPUTS];
}

/** True if `output` exists, and every input exists and is not newer. */
function isNewest(output: string, inputs: readonly string[]): boolean {
  if (!existsSync(output)) return false;
  const builtAtMs = statSync(output).mtimeMs;
  return inputs.every((path) => {
    const input = resolve(ROOT, path);
    return existsSync(input) && statSync(input).mtimeMs <= builtAtMs;
  });
}

function packageVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  if (typeof manifest === 'object' && manifest !== null && 'version' in manifest) {
    return String(manifest.version);
  }
  throw new Error('package.json has no version');
}

if (import.meta.main) {
  const asked = process.argv.slice(2);
  const begin = performance.now();
  try {
    await buildPrograms(asked.length > 0 ? asked : programNames(), (name, outcome) => {
      const seconds = ((performance.now() - begin) / 1000).toFixed(1);
      const what = outcome === 'absent' ? 'skipped, its sources are not there yet' : outcome;
      console.log(`${seconds.padStart(6)} s  ${name}: ${what}`);
    });
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    process.exit(1);
  }
}
