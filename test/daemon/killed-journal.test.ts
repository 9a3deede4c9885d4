// Real processes are killed at random while they write to one journal, one after the other. None
// of them refuses what the one before left; and a log that is damaged in addition is refused, or
// nothing that was acknowledged is missing. TEST_KILLS makes the run longer.
// Not covered: power cuts, which need a disk that forgets.
import { expect, test } from 'bun:test';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Random, seedTitle } from '../../core-wasm/test/random.ts';
import { Journal } from '../../src/daemon/journal/journal.ts';
import { isDomainError } from '../../src/shared/model/errors.ts';

const KILLS = Number(process.env.TEST_KILLS ?? 12);
const BOOT = 'boot-1';

/** What has to be in the journal, and what may be. */
interface Known {
  readonly sure: Set<number>;
  readonly begun: Set<number>;
}

/** Takes note of what one process said, which begins with what it found. */
function learn(known: Known, line: string): void {
  const [word, what = '', text = ''] = line.split(' ');
  if (word === 'held') {
    const held = new Set(what === '' ? [] : what.split(',').map(Number));
    expect([...known.sure].filter((id) => !held.has(id))).toEqual([]);
    expect([...held].filter((id) => !known.sure.has(id) && !known.begun.has(id))).toEqual([]);
    known.begun.clear();
    known.sure.clear();
    for (const id of held) known.sure.add(id);
    return;
  }
  const id = Number(text);
  if (word === 'try') {
    known.sure.delete(id);
    known.begun.add(id);
  } else if (word === 'ok') {
    known.begun.delete(id);
    if (what === '+') known.sure.add(id);
  }
}

/** Runs a process until it has said `lines` lines, then ends it in some way. */
async function runAndKill(o: {
  directory: string;
  known: Known;
  lines: number;
  isAsked: boolean;
  linesAfter: number;
}): Promise<void> {
  const script = join(import.meta.dir, 'journal-process.ts');
  const child = Bun.spawn([process.execPath, script, o.directory, BOOT], { stderr: 'inherit' });
  let rest = '';
  let left = o.lines;
  let isAsked = false;
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    const lines = `${rest}${chunk}`.split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) learn(o.known, line);
    left -= lines.length;
    if (left > 0) continue;
    if (o.isAsked && !isAsked) {
      isAsked = true;
      left = o.linesAfter;
      child.kill('SIGTERM');
    } else child.kill('SIGKILL');
  }
  await child.exited;
  // Nothing but our signal ends it: a journal that is refused ends it with another code.
  expect([child.signalCode, child.exitCode]).not.toEqual([null, 1]);
}

/** The rows of a copy whose log is damaged at a place; undefined if it is refused. */
function readDamaged(directory: string, random: Random): number[] | undefined {
  const copy = mkdtempSync(join(tmpdir(), 'mnd-cut-'));
  try {
    cpSync(directory, copy, { recursive: true });
    const log = join(copy, 'journal.db-wal');
    if (existsSync(log)) writeFileSync(log, damaged(readFileSync(log), random));
    using journal = Journal.open({ directory: copy, node: 'n1', bootId: BOOT, firstId: 1 });
    return journal.list().map(({ id }) => id);
  } catch (error) {
    if (isDomainError(error, 'journal-corrupt')) return undefined;
    throw error;
  } finally {
    rmSync(copy, { recursive: true });
  }
}

function damaged(bytes: Buffer, random: Random): Buffer {
  const at = random.below(bytes.length + 1);
  if (random.oneIn(3)) return bytes.subarray(0, at);
  if (random.oneIn(2)) return bytes.fill(0, at, Math.min(bytes.length, at + 100_000));
  bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
  return bytes;
}

test(
  `${KILLS} kills lose nothing and make no journal bad (${seedTitle})`,
  async () => {
    const random = new Random(1);
    const directory = mkdtempSync(join(tmpdir(), 'mnd-killed-'));
    const known: Known = { sure: new Set(), begun: new Set() };
    const counts = { refused: 0, read: 0 };
    try {
      for (let kill = 0; kill < KILLS; kill += 1) {
        await runAndKill({
          directory,
          known,
          lines: random.between(1, random.pick([10, 100, 1000])),
          isAsked: random.oneIn(3),
          linesAfter: random.between(1, 10),
        });
        const rows = readDamaged(directory, random);
        counts[rows === undefined ? 'refused' : 'read'] += 1;
        const found = new Set(rows ?? known.sure);
        expect([...known.sure].filter((id) => !found.has(id))).toEqual([]);
      }
      // The last one as well.
      using journal = Journal.open({ directory, node: 'n1', bootId: BOOT, firstId: 1 });
      learn(known, `held ${journal.list().map(({ id }) => id)}`);
      expect(known.sure.size).toBeGreaterThan(0);
      if (KILLS >= 100) console.log(counts);
    } finally {
      rmSync(directory, { recursive: true });
    }
  },
  5_000 + KILLS * 2_000,
);
