// What goes into the executable: nothing of node:*, nothing of the other programs, and nothing that
// it does not need. Each of these would be paid by every pod start.
import { describe, expect, test } from 'bun:test';
import { join } from 'node:path';

const root = join(import.meta.dir, '../..');

async function bundle() {
  const built = await Bun.build({
    entrypoints: [join(root, 'src/cni/main.ts')],
    root,
    target: 'bun',
    format: 'esm',
    minify: true,
    metafile: true,
  });
  const { inputs = {} } = built.metafile ?? {};
  const [script] = built.outputs;
  if (script === undefined) throw new Error('nothing was built');
  return { inputs, code: await script.text() };
}

const { inputs, code } = await bundle();
const paths = Object.keys(inputs).map((path) =>
  path.replace(/^.*?(src|core-wasm|node_modules)\//, '$1/'),
);
const imported = Object.values(inputs).flatMap((input) => input.imports.map(({ path }) => path));

describe('the executable', () => {
  test('imports nothing of node:*, not even through a package', () => {
    const builtins = /^(node:|fs$|path$|os$|net$|http$|https$|child_process$|url$|util$|crypto$)/;
    expect(imported.filter((path) => builtins.test(path))).toEqual([]);
    expect(code).not.toMatch(/["'`]node:/);
    expect(code).not.toMatch(/\brequire\(["']/);
  });

  test('uses of Bun only bun:ffi, and loads the core and the answer schemas late', () => {
    const bun = imported.filter((path) => path.startsWith('bun'));
    expect(new Set(bun)).toEqual(new Set(['bun:ffi']));
    const eager = eagerFiles('src/cni/main.ts');
    expect(eager).toContain('src/cni/dispatch.ts');
    expect(eager).not.toContain('src/cni/spool-file.ts');
    expect(eager.filter((path) => path.startsWith('core-wasm/'))).toEqual([]);
    expect(eager).not.toContain('src/shared/model/daemon-api.ts');
    expect(eager).not.toContain('src/shared/model/cni/result.ts');
  });

  test('has no part of the other programs and no package but valibot', () => {
    const folders = paths.filter((path) => !/^(src\/(cni|shared)|core-wasm)\//.test(path));
    const packages = new Set(folders.map((path) => path.split('/').slice(0, 2).join('/')));
    expect([...packages]).toEqual(['node_modules/valibot']);
  });

  test('stays small: start time follows from what is parsed', () => {
    expect(code.length).toBeLessThan(70_000);
  });
});

/** Files that are loaded at start: those reached without an `import()`. */
function eagerFiles(entry: string): string[] {
  const byPath = new Map(Object.entries(inputs).map(([path, input]) => [shorten(path), input]));
  const seen = new Set<string>();
  const visit = (path: string): void => {
    if (seen.has(path)) return;
    seen.add(path);
    for (const { path: target, kind } of byPath.get(path)?.imports ?? []) {
      if (kind !== 'dynamic-import') visit(shorten(target));
    }
  };
  visit(entry);
  return [...seen];
}

function shorten(path: string): string {
  return path.replace(/^.*?(src|core-wasm|node_modules)\//, '$1/');
}
