// The demo on this machine, as large as its table of neighbours is not. And inside a virtual machine whose kernel has
// ipvlan: the whole path in l3 mode, with the controller's indices, the daemons' routes between hosts, and every pod
// reaching every other over every NIC.
import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { netnsObstacle } from '../helpers/netns.ts';
import { requirement } from '../helpers/requirement.ts';
import { guestObstacle, runGuest } from './guest/run-guest.ts';

const root = join(import.meta.dir, '../..');
const TIMEOUT_MS = 600_000;

function startDemo(args: readonly string[]) {
  return Bun.spawn([process.execPath, 'scripts/demo/main.ts', ...args], {
    cwd: root,
    env: { ...process.env, NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

if (requirement('the demo on this machine', netnsObstacle())) {
  test('more pairs of pods and NICs than the kernel keeps neighbours all reach each other', async () => {
    const demo = startDemo(['--hosts', '5', '--nics', '8', '--pods', '3']);
    const output = await new Response(demo.stdout).text();
    expect(output).toContain('1680 of 1680 connections succeeded');
    expect(await demo.exited).toBe(0);
  });
}

if (requirement('the demo in a virtual machine', guestObstacle())) {
  test(
    'pods on three hosts reach each other over ipvlan l3, and nothing is left at the end',
    async () => {
      const demo = `'${process.execPath}' scripts/demo/main.ts --hosts 3 --nics 2 --pods 1 --wait 240`;
      const script = `cd '${root}' && NO_COLOR=1 ${demo} 2>&1`;
      const { exitCode, output } = await runGuest({ script, timeoutMs: TIMEOUT_MS, nics: [] });
      console.error(output);
      expect(exitCode).toBe(0);
      expect(output).toContain('ipvlan l3 (this kernel has ipvlan)');
      expect(output).toContain('12 of 12 connections succeeded');
    },
    TIMEOUT_MS + 10_000,
  );
}
