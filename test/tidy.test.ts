// The house style as a test: sizes, first lines, the import table, cycles and banned words. Function length,
// naming and formatting are Biome's part (`make lint`).
import { describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

const root = join(import.meta.dir, '..');
const LINES_MAX = 400;
const COLUMNS_MAX = 100;

const tracked = Bun.spawnSync(['git', 'ls-files', '-co', '--exclude-standard'], { cwd: root })
  .stdout.toString()
  .split('\n')
  .filter((path) => path !== '');
const sources = tracked.filter((path) => /\.ts$/.test(path) && Bun.file(join(root, path)).size > 0);
const text = new Map(sources.map((path) => [path, readFileSync(join(root, path), 'utf8')]));

interface Import {
  from: string;
  target: string;
}

/** Static and dynamic imports and re-exports, as written; relative ones are resolved to repository paths. */
function importsOf(path: string): Import[] {
  const code = text.get(path) ?? '';
  const pattern =
    /(?:^|\n)\s*(?:import|export)\s[^'"`;]*?from\s+'([^']+)'|import\(\s*'([^']+)'\s*\)/g;
  const bare = /(?:^|\n)import\s+'([^']+)'/g;
  const names = [...code.matchAll(pattern), ...code.matchAll(bare)].map((m) => m[1] ?? m[2] ?? '');
  return names.map((name) => ({
    from: path,
    target: name.startsWith('.') ? normalize(join(dirname(path), name)) : name,
  }));
}

const isTest = (path: string): boolean =>
  /\.(test|real|bench)\.ts$/.test(path) ||
  /^(test|bench|scripts)\//.test(path) ||
  /\/test\//.test(path);
const shipped = sources.filter((path) => !isTest(path));

/** Who may import what. The first row whose folder fits a file is its row. */
const table: { folder: string; may: RegExp[] }[] = [
  { folder: 'core-wasm/assembly/', may: [/^core-wasm\/assembly\//] },
  { folder: 'core-wasm/', may: [/^core-wasm\//] },
  { folder: 'src/shared/model/', may: [/^valibot$/, /^ipaddr\.js$/, /^src\/shared\/model\//] },
  {
    folder: 'src/shared/platform/kube/',
    may: [/^bun/, /^node:/, /^@kubernetes\/client-node$/, /^valibot$/, /^src\/shared\//],
  },
  { folder: 'src/shared/platform/', may: [/^bun/, /^node:/, /^src\/shared\//] },
  {
    folder: 'src/daemon/http/',
    may: [/^hono/, /^bun/, /^node:/, /^valibot$/, /^src\/(shared|daemon)\//],
  },
  {
    folder: 'src/daemon/',
    may: [/^bun/, /^node:/, /^valibot$/, /^core-wasm\/index\.ts$/, /^src\/(shared|daemon)\//],
  },
  {
    folder: 'src/controller/',
    may: [/^bun/, /^node:/, /^valibot$/, /^core-wasm\/index\.ts$/, /^src\/(shared|controller)\//],
  },
  {
    folder: 'src/cni/',
    may: [
      /^bun/,
      /^core-wasm\/index\.ts$/,
      /^src\/shared\/model\//,
      /^src\/shared\/platform\/(log|exec)\.ts$/,
      /^src\/cni\//,
    ],
  },
];

function forbiddenImports(): string[] {
  return shipped.flatMap((path) => {
    const row = table.find((candidate) => path.startsWith(candidate.folder));
    if (row === undefined) return path.includes('/') ? [`${path}: no row in the import table`] : [];
    return importsOf(path)
      .filter(({ target }) => !row.may.some((pattern) => pattern.test(target)))
      .map(({ target }) => `${path} imports ${target}`);
  });
}

/** Every cycle among the files, each named once by the path that closes it. */
function importCycles(): string[] {
  const state = new Map<string, 'open' | 'done'>();
  const cycles: string[] = [];
  const visit = (path: string, trail: string[]): void => {
    if (state.get(path) === 'done') return;
    if (state.get(path) === 'open') {
      cycles.push([...trail.slice(trail.indexOf(path)), path].join(' -> '));
      return;
    }
    state.set(path, 'open');
    for (const { target } of importsOf(path)) {
      if (text.has(target)) visit(target, [...trail, path]);
    }
    state.set(path, 'done');
  };
  for (const path of sources) visit(path, []);
  return cycles;
}

/** Words that stand for something the style refuses, with the reason. */
const banned: { pattern: RegExp; reason: string; where: (path: string) => boolean }[] = [
  { pattern: /\bTODO\b|\bFIXME\b|\bXXX\b/, reason: 'leftover', where: () => true },
  { pattern: /rejectUnauthorized:\s*false/, reason: 'unverified TLS', where: () => true },
  { pattern: /catch\s*(\([^)]*\))?\s*\{\s*\}/, reason: 'an error swallowed', where: () => true },
  {
    pattern: /\b(?:test|describe|it)\.(?:only|skip|todo)\(/,
    reason: 'a test left out',
    where: isTest,
  },
  { pattern: /expect\(true\)/, reason: 'a test that cannot fail', where: isTest },
  { pattern: /^export default/m, reason: 'default export', where: () => true },
  {
    pattern: /\bas any\b|: any\b|@ts-ignore|@ts-nocheck/,
    reason: 'type check off',
    where: () => true,
  },
  {
    pattern: /process\.env/,
    reason: 'environment read outside main.ts',
    where: (path) => !isTest(path) && !path.endsWith('/main.ts'),
  },
  {
    pattern: /\bBun\.\$|`\s*sh -c|'sh',\s*'-c'/,
    reason: 'a shell string',
    where: (path) => !isTest(path),
  },
];

function bannedWords(): string[] {
  return sources
    .filter((path) => path !== 'test/tidy.test.ts')
    .flatMap((path) =>
      banned
        .filter(({ pattern, where }) => where(path) && pattern.test(text.get(path) ?? ''))
        .map(
          ({ pattern, reason }) =>
            `${path}: ${reason} (${pattern.exec(text.get(path) ?? '')?.[0]})`,
        ),
    );
}

describe('tidy', () => {
  test(`no source has more than ${LINES_MAX} lines`, () => {
    const long = sources.filter(
      (path) => (text.get(path) ?? '').split('\n').length > LINES_MAX + 1,
    );
    expect(long).toEqual([]);
  });

  test(`no line of a shipped source has more than ${COLUMNS_MAX} columns`, () => {
    const wide = shipped.flatMap((path) =>
      (text.get(path) ?? '')
        .split('\n')
        .flatMap((line, index) => (line.length > COLUMNS_MAX ? [`${path}:${index + 1}`] : [])),
    );
    expect(wide).toEqual([]);
  });

  test('every source says in its first line what it is for', () => {
    const silent = sources.filter(
      (path) => !/^(#!.*\n)?\s*(\/\/|\/\*\*?)/.test(text.get(path) ?? ''),
    );
    expect(silent).toEqual([]);
  });

  test('file names are kebab-case', () => {
    const odd = sources.filter(
      (path) => !/^[a-z0-9-]+(\.[a-z0-9-]+)*\.ts$/.test(path.split('/').at(-1) ?? ''),
    );
    expect(odd).toEqual([]);
  });

  test('imports follow the table', () => {
    expect(forbiddenImports()).toEqual([]);
  });

  test('there are no import cycles', () => {
    expect(importCycles()).toEqual([]);
  });

  test('banned words are absent', () => {
    expect(bannedWords()).toEqual([]);
  });

  test('relative imports carry their extension', () => {
    const bare = sources
      .flatMap(importsOf)
      .filter(({ target }) => /^[a-z-]+\//.test(target) && !target.startsWith('node:'))
      .filter(
        ({ from, target }) =>
          !/\.(ts|json|wasm)$/.test(target) && target.includes(`${dirname(from)}/`),
      );
    expect(bare).toEqual([]);
  });
});
