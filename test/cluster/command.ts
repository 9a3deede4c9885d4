// Runs programs and waits for conditions, each with a deadline.

/** A program that ended with another code than 0. */
export class CommandError extends Error {
  readonly code: number;
  readonly stderr: string;

  constructor(argv: readonly string[], code: number, stderr: string) {
    super(`${argv.join(' ').slice(0, 300)} ended with ${code}: ${stderr.trim().slice(0, 2000)}`);
    this.code = code;
    this.stderr = stderr;
  }
}

/** What a finished program left behind. */
export interface CommandOutcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How to run a program. */
export interface CommandOptions {
  /** Text for its standard input, or a file to read it from. */
  readonly stdin?: string | { readonly file: string };
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Folder to run it in; our own unless told. */
  readonly folder?: string;
  /** It is killed after this long; 60 s unless told. */
  readonly timeoutMs?: number;
}

/** Runs a program to its end, whatever its code is. */
export async function attempt(
  argv: readonly string[],
  o: CommandOptions = {},
): Promise<CommandOutcome> {
  const input = typeof o.stdin === 'object' ? Bun.file(o.stdin.file) : undefined;
  const text = typeof o.stdin === 'string' ? new TextEncoder().encode(o.stdin) : null;
  const child = Bun.spawn([...argv], {
    stdin: input ?? text ?? 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
    env: { ...process.env, ...o.env },
    ...(o.folder === undefined ? {} : { cwd: o.folder }),
    timeout: o.timeoutMs ?? 60_000,
    killSignal: 'SIGKILL',
  });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, stdout, stderr };
}

/** Runs a program and returns what it printed; throws CommandError if it fails. */
export async function run(argv: readonly string[], o: CommandOptions = {}): Promise<string> {
  const outcome = await attempt(argv, o);
  if (outcome.code !== 0) throw new CommandError(argv, outcome.code, outcome.stderr);
  return outcome.stdout;
}

/**
 * Calls `check` until it returns something other than undefined and false, and returns that. Throws
 * with `what` and the last error when the time is over, and with the signal's reason once it is
 * aborted.
 */
export async function waitFor<T>(
  what: string,
  check: () => Promise<T | undefined | false> | T | undefined | false,
  o: { timeoutMs: number; everyMs?: number; signal?: AbortSignal | undefined },
): Promise<T> {
  const end = performance.now() + o.timeoutMs;
  let last: unknown;
  while (performance.now() < end) {
    o.signal?.throwIfAborted();
    try {
      const value = await check();
      if (value !== undefined && value !== false) return value;
      last = undefined;
    } catch (error) {
      last = error;
    }
    await Bun.sleep(o.everyMs ?? 50);
  }
  throw new Error(`waited ${o.timeoutMs} ms in vain: ${what}`, { cause: last });
}
