// Test equipment: reads the golden protocol rows and holds a call against one.
import { expect } from 'bun:test';
import { join } from 'node:path';
import * as v from 'valibot';
import golden from '../golden/cni/dispatch-protocol.json';
import type { Called } from './call.ts';

const Row = v.strictObject({
  id: v.string(),
  says: v.string(),
  env: v.record(v.string(), v.string()),
  /** null: must not be read. */
  stdin: v.nullable(v.string()),
  error: v.nullable(
    v.strictObject({
      code: v.number(),
      msg: v.optional(v.string()),
      msgStartsWith: v.optional(v.string()),
      details: v.optional(v.string()),
      cniVersion: v.optional(v.string()),
    }),
  ),
  output: v.optional(v.record(v.string(), v.unknown())),
  /** Texts that standard error must have. */
  stderr: v.optional(v.array(v.string())),
  /** The netns is the one of the process. */
  ownNetns: v.optional(v.boolean()),
});
export type ProtocolRow = v.InferOutput<typeof Row>;

/** All rows of test/golden/cni/dispatch-protocol.json. */
export function protocolRows(): ProtocolRow[] {
  return v.parse(v.array(Row), golden.rows);
}

/** Holds what a call printed against what the row wants. */
export function expectRow(row: ProtocolRow, called: Called): void {
  for (const text of row.stderr ?? []) expect(called.stderr.join('\n')).toContain(text);
  if (row.error === null) {
    expect(called.document).toEqual(row.output);
    expect(called.exitCode).toBe(0);
    return;
  }
  const { msgStartsWith, ...members } = row.error;
  expect(called.document).toMatchObject(members);
  expect(String(called.document?.msg)).toStartWith(msgStartsWith ?? '');
  expect(called.document).toHaveProperty('cniVersion');
  expect(called.stdout).not.toContain('\n');
  expect(called.exitCode).toBe(1);
}

/** The compiled executable under one of its names. */
export function executablePath(name = 'multi-nic'): string {
  return join(import.meta.dir, '../../build', name);
}
