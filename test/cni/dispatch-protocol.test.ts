// The protocol's own rules, row by row: which call gets which error, before anybody is asked. The
// same rows are then given to the compiled executable by executable.test.ts.
import { describe, expect, test } from 'bun:test';
import { STDIN_BYTES_MAX } from '../../src/cni/dispatch.ts';
import { call, configText, toBytes } from './call.ts';
import { expectRow, protocolRows } from './protocol-rows.ts';

const unreachable = {
  call: () => Promise.reject(new Error('the daemon was asked')),
};

describe('dispatch', () => {
  for (const row of protocolRows()) {
    test(`${row.id}: ${row.says}`, async () => {
      const called = await call({
        env: { ...nothing, ...row.env },
        daemon: unreachable,
        over: {
          isOwnNetns: () => row.ownNetns === true,
          stdin: () => {
            if (row.stdin === null) throw new Error('standard input was read');
            return toBytes(row.stdin);
          },
        },
      });
      expectRow(row, called);
    });
  }

  test('P-19: what reading standard input says is in the error', async () => {
    const stdin = () => fail('banana');
    const { document, exitCode } = await call({ over: { stdin }, daemon: unreachable });
    expect(document).toMatchObject({ code: 5, msg: 'error reading from stdin: banana' });
    expect(exitCode).toBe(1);
  });

  test('standard input of more than 1 MiB is refused, one of 1 MiB is read', async () => {
    const padded = (sizeBytes: number): string => configText().padEnd(sizeBytes);
    const tooLong = await call({ stdin: padded(STDIN_BYTES_MAX + 1), daemon: unreachable });
    expect(tooLong.document).toEqual({
      cniVersion: '1.1.0',
      code: 5,
      msg: 'error reading from stdin: more than 1048576 bytes',
    });
    const justFits = await call({ stdin: padded(STDIN_BYTES_MAX) });
    expect(justFits.document?.code).toBe(11);
  });

  test('P-20: a bug is code 999 with its own words, and exit status 1', async () => {
    const { document, exitCode } = await call({ over: { newRequestId: () => fail('potato') } });
    expect(document).toEqual({ cniVersion: '1.1.0', code: 999, msg: 'potato' });
    expect(exitCode).toBe(1);
  });

  test('the error is in the version of the configuration when that is known', async () => {
    const { document } = await call({ stdin: '{"cniVersion":"0.3.1","name":"a"}' });
    expect(document?.cniVersion).toBe('0.3.1');
  });

  test('CNI_NETNS_OVERRIDE switches the namespace check off', async () => {
    const over = { isOwnNetns: () => true };
    for (const [value, code] of [
      ['1', 11],
      ['TRUE', 11],
      ['true', 11],
      ['yes', 8],
      ['', 8],
    ] as const) {
      const { document } = await call({ over, env: { CNI_NETNS_OVERRIDE: value } });
      expect(document?.code).toBe(code);
    }
  });

  test('CHECK in the own namespace is not refused for that', async () => {
    const { document } = await call({
      over: { isOwnNetns: () => true },
      env: { CNI_COMMAND: 'CHECK' },
      stdin: '{"cniVersion":"1.1.0","name":"a","plugin":{"type":"ipvlan"},"prevResult":{}}',
    });
    expect(document?.code).toBe(11);
  });
});

/** Unsets what the equipment sets. */
const nothing = {
  CNI_COMMAND: undefined,
  CNI_CONTAINERID: undefined,
  CNI_NETNS: undefined,
  CNI_IFNAME: undefined,
  CNI_ARGS: undefined,
  CNI_PATH: undefined,
};

function fail(message: string): never {
  throw new Error(message);
}
