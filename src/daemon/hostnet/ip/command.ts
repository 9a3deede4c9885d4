// Runs the `ip` program, in the host's namespace or, through `nsenter`, in another one. Commands
// go in as a batch, one per line; listings come out as JSON. No shell is involved.
import { DomainError } from '../../../shared/model/errors.ts';
import { errnoOfText } from '../errno.ts';

const TIMEOUT_MS = 30_000;

/** A command of a batch that was refused. `position` counts the commands from 0. */
export interface RefusedCommand {
  readonly position: number;
  /** Name of the errno, 'EUNKNOWN' where `ip` prints only the kernel's explanation. */
  readonly errno: string;
  readonly text: string;
}

/** What the kernel explains in words instead of an errno, as far as callers decide on it. */
const errnoOfExplanation: readonly (readonly [RegExp, string])[] = [
  [/Nexthop has invalid gateway/, 'ENETUNREACH'],
  [/Nexthop device is not up|Device for nexthop is not up/, 'ENETDOWN'],
  [/Address already assigned/, 'EEXIST'],
  [/IPv6 is disabled on this device/, 'EACCES'],
  [/Cannot find device/, 'ENODEV'],
  [/cannot be found|does not exist/, 'ENODEV'],
];

/** Runs `ip` in one namespace; `netnsPath` undefined is that of this process. */
export class IpCommand {
  readonly #prefix: readonly string[];

  constructor(netnsPath?: string) {
    this.#prefix = netnsPath === undefined ? [] : ['nsenter', `--net=${netnsPath}`];
  }

  /** The command line that runs `ip` with these arguments there. */
  line(args: readonly string[]): string[] {
    return [...this.#prefix, 'ip', ...args];
  }

  /** Runs all commands, whatever becomes of the others, and names the refused ones. */
  batchAll(commands: readonly string[]): RefusedCommand[] {
    return this.#batch(commands, ['-force']);
  }

  /** Runs commands up to the first one that is refused. */
  batchUntilRefused(commands: readonly string[]): RefusedCommand | undefined {
    return this.#batch(commands, [])[0];
  }

  /** Lists something as JSON; an absent routing table is an empty list. */
  list(args: readonly string[]): unknown[] {
    const { exitCode, stdout, stderr } = this.#run(['-json', ...args], '');
    if (/FIB table does not exist/.test(stderr)) return [];
    if (exitCode !== 0) throw failure(args, stderr);
    const parsed: unknown = stdout.trim() === '' ? [] : JSON.parse(stdout);
    return Array.isArray(parsed) ? parsed : [];
  }

  #batch(commands: readonly string[], options: readonly string[]): RefusedCommand[] {
    if (commands.length === 0) return [];
    const args = [...options, '-batch', '-'];
    const { exitCode, stderr } = this.#run(args, `${commands.join('\n')}\n`);
    const refused = readRefusals(stderr);
    if (exitCode !== 0 && refused.length === 0) throw failure(args, stderr);
    return refused;
  }

  #run(
    args: readonly string[],
    input: string,
  ): { exitCode: number; stdout: string; stderr: string } {
    const result = Bun.spawnSync(this.line(args), {
      stdin: new TextEncoder().encode(input),
      stdout: 'pipe',
      stderr: 'pipe',
      timeout: TIMEOUT_MS,
    });
    const { exitCode, stdout, stderr } = result;
    return { exitCode, stdout: stdout.toString(), stderr: stderr.toString() };
  }
}

/** `ip -batch` prints the reason and then, on a line of its own, `Command failed -:LINE`. */
function readRefusals(stderr: string): RefusedCommand[] {
  const refused: RefusedCommand[] = [];
  let text = '';
  for (const line of stderr.split('\n')) {
    const failed = /^Command failed -:(\d+)$/.exec(line);
    if (failed === null) {
      if (line !== '') text = line.replace(/^(RTNETLINK answers|Error): /, '');
      continue;
    }
    refused.push({ position: Number(failed[1]) - 1, errno: toErrno(text), text });
  }
  return refused;
}

function toErrno(text: string): string {
  const known = errnoOfExplanation.find(([pattern]) => pattern.test(text));
  return errnoOfText(text) ?? known?.[1] ?? 'EUNKNOWN';
}

function failure(args: readonly string[], stderr: string): DomainError {
  const details = { command: `ip ${args.join(' ')}`, output: stderr.slice(0, 500) };
  return new DomainError('io-failed', `ip failed: ${stderr.trim().slice(0, 200)}`, { details });
}
