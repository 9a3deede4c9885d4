// One test case that runs a whole test file inside a guest and passes if that file passes there.
import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { type GuestNic, runGuest } from './run-guest.ts';

const root = join(import.meta.dir, '../../..');
const GUEST_TIMEOUT_MS = 600_000;
/** Of one case inside; the emulated processor is some ten times slower. */
const CASE_TIMEOUT_MS = 60_000;

/** Registers the case. `suite` is the file's path from the repository's root, with `./`. */
export function testInGuest(o: { title: string; suite: string; nics?: readonly GuestNic[] }): void {
  test(
    o.title,
    async () => {
      const run = `'${process.execPath}' test ${o.suite} --timeout ${CASE_TIMEOUT_MS}`;
      const script = `cd '${root}' && NO_COLOR=1 ${run} 2>&1`;
      const guest = { script, timeoutMs: GUEST_TIMEOUT_MS, nics: o.nics ?? [] };
      const { exitCode, output } = await runGuest(guest);
      console.error(output);
      const count = (what: string): number =>
        Number(new RegExp(`^ *(\\d+) ${what}$`, 'm').exec(output)?.[1]);
      expect({ exitCode, failed: count('fail') }).toEqual({ exitCode: 0, failed: 0 });
      expect(count('pass')).toBeGreaterThan(0);
    },
    GUEST_TIMEOUT_MS + 10_000,
  );
}
