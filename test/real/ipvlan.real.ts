// The netlink back end with ipvlan, in a virtual machine with a distribution kernel: the contract
// suite, and pods on two hosts that reach each other over every NIC. The cases are in
// guest/ipvlan.guest.ts; their results are printed here.
import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { requirement } from '../helpers/requirement.ts';
import { guestObstacle, runGuest } from './guest/run-guest.ts';

const root = join(import.meta.dir, '../..');
const GUEST_TIMEOUT_MS = 600_000;

if (requirement('ipvlan in a virtual machine', guestObstacle())) {
  test(
    'the suite passes on a kernel with ipvlan',
    async () => {
      const suite = './test/real/guest/ipvlan.guest.ts';
      const run = `'${process.execPath}' test ${suite} --timeout 60000`;
      const script = `cd '${root}' && NO_COLOR=1 ${run} 2>&1`;
      const { exitCode, output } = await runGuest({ script, timeoutMs: GUEST_TIMEOUT_MS });
      console.error(output);
      const count = (what: string): number =>
        Number(new RegExp(`^ *(\\d+) ${what}$`, 'm').exec(output)?.[1]);
      expect({ exitCode, failed: count('fail') }).toEqual({ exitCode: 0, failed: 0 });
      expect(count('pass')).toBeGreaterThan(0);
    },
    GUEST_TIMEOUT_MS + 10_000,
  );
}
