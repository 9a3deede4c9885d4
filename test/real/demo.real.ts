// The demo on this machine: large, ended from outside, and with its shell. And inside a virtual machine whose kernel has
// ipvlan: the whole path in l3 mode, with the controller's indices, the daemons' routes between hosts, and every pod
// reaching every other over every NIC.
import { expect, test } from 'bun:test';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '../helpers/eventually.ts';
import { netnsObstacle } from '../helpers/netns.ts';
import { requirement } from '../helpers/requirement.ts';
import { guestObstacle, runGuest } from './guest/run-guest.ts';

const root = join(import.meta.dir, '../..');
const TIMEOUT_MS = 600_000;

function startDemo(args: readonly string[], env: Record<string, string> = {}) {
  return Bun.spawn([process.execPath, 'scripts/demo/main.ts', ...args], {
    cwd: root,
    env: { ...process.env, ...env, NO_COLOR: '1' },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
}

/** Reads what a program prints until a text is there. */
async function readUntil(stream: ReadableStream<Uint8Array>, wanted: string): Promise<void> {
  const decoder = new TextDecoder();
  let output = '';
  for await (const chunk of stream) {
    output += decoder.decode(chunk, { stream: true });
    if (output.includes(wanted)) return;
  }
  throw new Error(`ended without '${wanted}': ${output}`);
}

const childOf = (pid: number): number =>
  Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ')[0]);

/** The processes of a PID namespace. */
function processesIn(namespace: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readlinkSync(`/proc/${pid}/ns/pid`) === namespace;
    } catch {
      return false; // It has ended meanwhile, or is another user's.
    }
  });
}

/** A folder with the programs that `scripts/setup.sh` asks for, and the shell's own. */
function onlyWhatSetupAsksFor(folder: string): string {
  const programs = ['ip', 'nsenter', 'unshare', 'sysctl', 'mount', 'bash', 'true', 'tail'];
  for (const program of programs) symlinkSync(Bun.which(program) ?? '', join(folder, program));
  return folder;
}

if (requirement('the demo on this machine', netnsObstacle())) {
  test('more pairs of pods and NICs than the kernel keeps neighbours all reach each other', async () => {
    const demo = startDemo(['--hosts', '5', '--nics', '8', '--pods', '3']);
    const output = await new Response(demo.stdout).text();
    expect(output).toContain('1680 of 1680 connections succeeded');
    expect(await demo.exited).toBe(0);
  });

  test.each([
    { signal: 'SIGTERM' as const, code: 143 },
    { signal: 'SIGINT' as const, code: 130 },
  ])('$signal ends the demo with all its processes, and it says so', async ({ signal, code }) => {
    const demo = startDemo(['--hosts', '2', '--nics', '1', '--pods', '1', '--keep']);
    await readUntil(demo.stdout, 'Explore');
    const namespace = readlinkSync(`/proc/${childOf(childOf(demo.pid))}/ns/pid`);
    expect(namespace).not.toBe(readlinkSync('/proc/self/ns/pid'));
    expect(processesIn(namespace).length).toBeGreaterThan(3);
    demo.kill(signal);
    expect(await demo.exited).toBe(code);
    await eventually('nothing of it runs', () => processesIn(namespace).length === 0);
  });

  test("the shell's commands need no program that setup does not ask for", async () => {
    const folder = mkdtempSync(join(tmpdir(), 'mnd-'));
    try {
      const PATH = onlyWhatSetupAsksFor(folder);
      const demo = startDemo(['--hosts', '2', '--nics', '1', '--pods', '1', '--keep'], { PATH });
      const path = '/apis/multinic.fms.io/v1/hostinterfaces';
      demo.stdin.write(`api ${path}\ndaemon host-2 /v1/attachments\nlogs host-1\nexit\n`);
      await demo.stdin.end();
      const output = await new Response(demo.stdout).text();
      expect(output).toContain('"kind":"HostInterfaceList"');
      expect(output).toContain('"podName":"pod-2a"');
      expect(output).toContain('"msg":');
      expect(await demo.exited).toBe(0);
    } finally {
      rmSync(folder, { recursive: true });
    }
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
