// A machine of the test cluster: a process tree in namespaces of its own, with a disk folder under
// STATE. Machines are found by a marker in the arguments of their first process, so nothing else is
// ever taken for one, even after a crash.

import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { attempt, type CommandOptions, type CommandOutcome, run, waitFor } from './command.ts';
import { PREFIX, STATE } from './settings.ts';

/**
 * Programs that a machine keeps running, by name: the text of a shell script that ends in `exec`.
 */
export type Services = Readonly<Record<string, string>>;

/** A process that belongs to the machines, as the process list shows it. */
interface MarkedProcess {
  readonly pid: number;
  readonly machine: string;
  /** It is the first process of a PID namespace. */
  readonly isInit: boolean;
}

const marker = `${PREFIX}:${STATE}`;

/** Folder that is the machine's root file system, as seen from outside. */
export function machineRoot(name: string): string {
  return join(STATE, name, 'root');
}

/** Names of the machines that run. */
export function runningMachines(): string[] {
  return markedProcesses()
    .filter((process) => process.isInit)
    .map((process) => process.machine)
    .sort();
}

/** Process number, outside, of the machine's first process; undefined if it does not run. */
export function initPid(name: string): number | undefined {
  return markedProcesses().find((process) => process.isInit && process.machine === name)?.pid;
}

/** Writes text to a file of the machine's disk, with the folders above it. */
export function writeFile(name: string, path: string, text: string, mode = 0o644): void {
  const file = join(machineRoot(name), path);
  mkdirSync(join(file, '..'), { recursive: true });
  writeFileSync(file, text);
  chmodSync(file, mode);
}

/** Removes a file of the machine's disk. */
export function removeFile(name: string, path: string): void {
  rmSync(join(machineRoot(name), path), { force: true });
}

/** Writes what every machine has in /etc: names, users, and a name server that does not answer. */
export function writeBaseFiles(name: string, address: string): void {
  writeFile(name, 'etc/hosts', `127.0.0.1 localhost\n::1 localhost\n${address} ${name}\n`);
  writeFile(name, 'etc/passwd', 'root:x:0:0:root:/root:/bin/sh\n');
  writeFile(name, 'etc/group', 'root:x:0:\n');
  writeFile(name, 'etc/nsswitch.conf', 'passwd: files\ngroup: files\nhosts: files dns\n');
  writeFile(name, 'etc/machine-id', `${new Bun.CryptoHasher('md5').update(name).digest('hex')}\n`);
  // Pods of the tests use addresses. The file of the host may hold options that break busybox.
  writeFile(name, 'etc/resolv.conf', 'nameserver 10.96.0.10\noptions timeout:1 attempts:1\n');
  for (const folder of ['root', 'home', 'var']) {
    mkdirSync(join(machineRoot(name), folder), { recursive: true });
  }
}

/** Writes the machine's service scripts; the next start runs them. */
export function writeServices(name: string, services: Services): void {
  rmSync(join(machineRoot(name), 'etc/machine/services'), { recursive: true, force: true });
  for (const [service, script] of Object.entries(services)) {
    writeFile(name, `etc/machine/services/${service}`, `#!/bin/sh\nset -eu\n${script}\n`, 0o755);
  }
}

/**
 * Starts a machine and, once its namespaces exist, has `connect` give it its links; its services
 * start after that. Returns the process number of its PID 1. Once `signal` is aborted nothing more is
 * started; what runs by then is the caller's to end.
 */
export async function startMachine(
  name: string,
  o: {
    peers: string;
    connect: (pid: number) => Promise<void>;
    signal?: AbortSignal | undefined;
  },
): Promise<number> {
  const { signal } = o;
  signal?.throwIfAborted();
  if (initPid(name) !== undefined) throw new Error(`the machine ${name} runs already`);
  const root = machineRoot(name);
  const ready = join(root, 'etc/machine/links-ready');
  mkdirSync(join(root, 'etc/machine/services'), { recursive: true });
  rmSync(ready, { force: true });
  const init = join(import.meta.dir, 'machine-init.sh');
  const log = Bun.file(join(STATE, name, 'init.log'));
  const namespaces = ['--mount', '--uts', '--ipc', '--net', '--pid', '--fork', '--kill-child'];
  const child = Bun.spawn(
    ['unshare', ...namespaces, 'sh', init, `${marker}:${name}`, name, root, o.peers],
    // A group of its own: ^C at the terminal must reach the one who brings the cluster up, not the
    // machines.
    { stdin: 'ignore', stdout: log, stderr: log, detached: true, env: machineEnvironment() },
  );
  child.unref();
  const wait = { timeoutMs: 10_000, signal };
  const pid = await waitFor(`first process of ${name}`, () => initPid(name), wait);
  await o.connect(pid);
  signal?.throwIfAborted();
  writeFileSync(ready, '');
  await waitFor(`root file system of ${name}`, () => hasOwnRoot(pid), wait);
  return pid;
}

/**
 * Kills everything that runs on the machine at once, like a power cut. Its disk stays; its links
 * and namespaces go.
 */
export async function killMachine(name: string): Promise<void> {
  for (const process of markedProcesses().filter((p) => p.isInit && p.machine === name)) {
    killIfThere(process.pid);
  }
  const gone = (): boolean => markedProcesses().every((process) => process.machine !== name);
  await waitFor(`end of ${name}`, gone, { timeoutMs: 20_000 });
}

/** Kills all machines, also those that were half started. */
export async function killMachines(): Promise<void> {
  await waitFor(
    'end of all machines',
    () => {
      const left = markedProcesses();
      for (const process of left) killIfThere(process.pid);
      return left.length === 0;
    },
    { timeoutMs: 20_000 },
  );
}

/** Arguments that run `argv` inside the machine. */
export function enterArguments(name: string, argv: readonly string[]): string[] {
  const pid = initPid(name);
  if (pid === undefined) throw new Error(`the machine ${name} does not run`);
  const wanted = ['--mount', '--net', '--pid', '--uts', '--ipc'];
  // nsenter opens the folder before it enters: our own / would be outside, and nobody finds its name.
  return ['nsenter', '--target', `${pid}`, ...wanted, `--wd=/proc/${pid}/root`, '--', ...argv];
}

/**
 * Runs a program inside the machine and returns what it printed; throws CommandError if it fails.
 */
export async function runOn(
  name: string,
  argv: readonly string[],
  o: CommandOptions = {},
): Promise<string> {
  return run(enterArguments(name, argv), { ...o, env: machineEnvironment() });
}

/** Runs a program inside the machine, whatever its code is. */
export async function attemptOn(
  name: string,
  argv: readonly string[],
  o: CommandOptions = {},
): Promise<CommandOutcome> {
  return attempt(enterArguments(name, argv), { ...o, env: machineEnvironment() });
}

/**
 * Stops a service of the machine until `startService`: SIGTERM, and SIGKILL if it is still there 5
 * s later.
 */
export async function stopService(name: string, service: string): Promise<void> {
  await runOn(name, ['touch', `/run/machine/${service}.stop`]);
  const pid = `${await servicePid(name, service)}`;
  const gone = async (): Promise<boolean> =>
    (await attemptOn(name, ['kill', '-0', pid])).code !== 0;
  const what = `end of ${service} on ${name}`;
  await attemptOn(name, ['kill', '-TERM', pid]);
  try {
    await waitFor(what, gone, { timeoutMs: 5000 });
  } catch {
    await attemptOn(name, ['kill', '-KILL', pid]);
    await waitFor(what, gone, { timeoutMs: 10_000 });
  }
}

/** Starts a stopped service again. */
export async function startService(name: string, service: string): Promise<void> {
  await runOn(name, ['rm', '-f', `/run/machine/${service}.stop`]);
}

/** Ends a service, which is then started again at once. */
export async function restartService(name: string, service: string): Promise<void> {
  await stopService(name, service);
  await startService(name, service);
}

/**
 * PATH and HOME of the processes on a machine; nothing else of the tests' own environment reaches
 * them.
 */
export function machineEnvironment(): Record<string, string> {
  return {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: '/root',
    LC_ALL: 'C',
  };
}

async function servicePid(name: string, service: string): Promise<number> {
  const text = await runOn(name, ['cat', `/run/machine/${service}.pid`]);
  const pid = Number(text.trim());
  if (!Number.isInteger(pid) || pid < 2) throw new Error(`${service} on ${name} has no process`);
  return pid;
}

/** The machine's init has moved to its own root: what it sees at / is not what we see. */
function hasOwnRoot(pid: number): boolean {
  return readFileSync(`/proc/${pid}/mountinfo`, 'utf8').includes(' /peers ');
}

function markedProcesses(): MarkedProcess[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((entry) => {
      const argv = readProc(entry, 'cmdline').split('\0');
      const mark = argv.find((argument) => argument.startsWith(`${marker}:`));
      if (mark === undefined) return [];
      const inner = /^NSpid:.*\t(\d+)$/m.exec(readProc(entry, 'status'))?.[1];
      const machine = mark.slice(marker.length + 1);
      return [{ pid: Number(entry), machine, isInit: inner === '1' }];
    });
}

/** A file of a process that may end at any time; empty when it has. */
function readProc(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return '';
  }
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}
