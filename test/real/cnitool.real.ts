// The compiled executable under cnitool, which is libcni as a program. The cases are in
// test/cni/cnitool.suite.ts; they run in namespaces of their own, so that nothing of this machine is
// seen or changed, and their output is printed here.
import { expect, test } from 'bun:test';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { requirement } from '../helpers/requirement.ts';

const root = join(import.meta.dir, '../..');
const SUITE_MS_MAX = 300_000;
const ISOLATION = ['--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];

/** The unshare command that this machine allows, or undefined. */
function isolation(): string[] | undefined {
  const asRoot = ['unshare', ...ISOLATION];
  const asUser = ['unshare', '--user', '--map-root-user', ...ISOLATION];
  return [asRoot, asUser].find((command) => Bun.spawnSync([...command, 'true']).exitCode === 0);
}

/** Paths of the peers, or why there are none. */
function peers(): { cnitool: string; tuning: string } | string {
  const built = Bun.spawnSync([join(root, 'test/peers/build.sh'), 'cnitool', 'tuning']);
  const [cnitool, tuning] = built.stdout.toString().trim().split('\n');
  if (built.exitCode !== 0 || cnitool === undefined || tuning === undefined) {
    return `cnitool cannot be built: ${built.stderr.toString().trim().split('\n').at(-1)}`;
  }
  return { cnitool, tuning };
}

const programs = ['multi-nic', 'multi-nicd', 'multi-nic-controller'];
const missing = programs.filter((name) => !existsSync(join(root, 'build', name)));
const unshare = isolation();
const found = peers();

function obstacle(): string | undefined {
  if (unshare === undefined) return 'no permission to make network namespaces';
  if (missing.length > 0) return `not built: ${missing.join(', ')}`;
  return typeof found === 'string' ? found : undefined;
}

if (requirement('cni: cnitool', obstacle())) {
  test(
    'the suite passes under cnitool',
    async () => {
      if (unshare === undefined || typeof found === 'string') throw new Error('unreachable');
      const suite = ['test', './test/cni/cnitool.suite.ts', '--timeout', '60000'];
      const child = Bun.spawn([...unshare, process.execPath, ...suite], {
        cwd: root,
        env: {
          ...process.env,
          NO_COLOR: '1',
          CNITOOL: found.cnitool,
          REFERENCE_PLUGINS: dirname(found.tuning),
        },
        stdio: ['ignore', 'pipe', 'pipe'],
        timeout: SUITE_MS_MAX,
        killSignal: 'SIGKILL',
      });
      const [output, errors, exitCode] = await Promise.all([
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
        child.exited,
      ]);
      const text = `${output}${errors}`;
      console.error(text);
      const count = (what: string): number =>
        Number(new RegExp(`^ *(\\d+) ${what}$`, 'm').exec(text)?.[1]);
      expect({ exitCode, failed: count('fail') }).toEqual({ exitCode: 0, failed: 0 });
      expect(count('pass')).toBeGreaterThan(10);
    },
    SUITE_MS_MAX + 10_000,
  );
}
