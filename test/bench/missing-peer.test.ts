// A benchmark on a machine where a peer cannot be built: its rows keep our figures and name the peer and the reason, and
// setup says or does what is needed.
import { expect, test } from 'bun:test';
import { chmodSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatRow, meetsTarget, timeRow } from '../../bench/row.ts';

const root = join(import.meta.dir, '../..');

/** A folder of programs to be the only one on a PATH. */
class Programs implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'mnb-'));

  constructor(linked: readonly string[]) {
    for (const name of linked) {
      const program = Bun.which(name, { PATH: `${process.env.PATH}:/usr/sbin:/sbin` });
      symlinkSync(program ?? `/missing/${name}`, join(this.folder, name));
    }
  }

  write(name: string, script: string): void {
    writeFileSync(join(this.folder, name), `#!/bin/sh\n${script}\n`);
    chmodSync(join(this.folder, name), 0o755);
  }

  run(command: readonly string[]) {
    const env = { PATH: this.folder, LOG: join(this.folder, 'log') };
    const result = Bun.spawnSync([...command], { env, cwd: root });
    return { exitCode: result.exitCode, output: `${result.stdout}${result.stderr}` };
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true });
  }
}

/** What `scripts/setup.sh` itself calls and finds there; no compiler. */
const setupPrograms = ['bash', 'ip', 'nsenter', 'sysctl', 'sort'];

test('without a compiler there is a reason in the place of the C program', () => {
  using programs = new Programs([]);
  const module = join(root, 'bench/peers/bare-rtnetlink.ts');
  const script = `
    const { compileBareRtnetlink } = await import('${module}');
    console.log(JSON.stringify(compileBareRtnetlink('${programs.folder}')));`;
  const { output } = programs.run([process.execPath, '-e', script]);
  expect(JSON.parse(output)).toEqual({ missing: 'gcc is not installed' });
});

test('a compiler without headers is named with what it misses', () => {
  using programs = new Programs([]);
  programs.write('gcc', 'echo "x.c:7:10: fatal error: stdio.h: No such file" >&2; exit 1');
  const module = join(root, 'bench/peers/bare-rtnetlink.ts');
  const script = `
    const { compileBareRtnetlink } = await import('${module}');
    console.log(compileBareRtnetlink('${programs.folder}').missing);`;
  const { output } = programs.run([process.execPath, '-e', script]);
  expect(output).toContain('gcc cannot compile it: x.c:7:10: fatal error: stdio.h');
});

test('a row without its peer names it and judges nothing', () => {
  const ours = { median: 3, p99: 4 };
  const row = timeRow('ADD', 'ms', ours, { peer: 'C program', peerMissing: 'gcc is not there' });
  expect(row).toMatchObject({ median: 3, peer: 'C program: not measured, gcc is not there' });
  expect(row.ratio).toBeUndefined();
  expect(formatRow(row)).toContain('C program: not measured, gcc is not there');
  expect(formatRow(row)).not.toContain('wanted');
  expect(meetsTarget(row)).toBe(true);
});

test('setup names the command that brings the compiler to who is not root', () => {
  using programs = new Programs(setupPrograms);
  programs.write('id', 'echo 1000');
  const { exitCode, output } = programs.run(['scripts/setup.sh', 'bench']);
  expect(output).toContain('Type: sudo apt-get install gcc libc6-dev');
  expect(output).toContain('missing: Go 1.21 or newer');
  expect(exitCode).toBe(0);
});

test('setup installs the compiler as root', () => {
  using programs = new Programs(setupPrograms);
  programs.write('id', 'echo 0');
  programs.write('apt-get', 'echo "$@" >> "$LOG"');
  expect(programs.run(['scripts/setup.sh', 'bench']).exitCode).toBe(0);
  const installed = readFileSync(join(programs.folder, 'log'), 'utf8').split('\n')[1];
  expect(installed).toEndWith('gcc libc6-dev');
});
