// Admission and our own reading agree: samples mean something, and what admission refuses is never
// in order for us (objects can be stored by an older version of the rules).
import { describe, expect, test } from 'bun:test';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { MultiNicNetwork } from '../../src/shared/model/objects/multi-nic-network.ts';
import { parseNetworkDefinition } from '../../src/shared/model/plan/network-definition.ts';
import refused from '../../test/golden/crd/refused.json';
import { crdKinds } from './kinds.ts';

const folder = join(import.meta.dir, '../../deploy/samples');

describe('samples', () => {
  const files = readdirSync(folder).filter((name) => name.endsWith('.yaml'));
  for (const file of files.sort()) {
    const text = readFileSync(join(folder, file), 'utf8');
    test(`${file} is in order, and says what it is for`, () => {
      expect(text).toStartWith('# ');
      const object: unknown = Bun.YAML.parse(text);
      const { kind } = Object(object);
      const schema = crdKinds.find((one) => one.kind === kind)?.schema;
      if (schema === undefined) throw new Error(`unknown kind ${kind}`);
      expect(v.safeParse(schema, object).issues).toBeUndefined();
      if (kind !== 'MultiNicNetwork') return;
      const parsed = parseNetworkDefinition(v.parse(MultiNicNetwork, object));
      expect(parsed).toMatchObject({ ok: true, warnings: [] });
    });
  }
});

/** Rules of the API server that have no meaning once an object is stored. */
const admissionOnly = [
  'an unknown field',
  'an unknown field of the plugin',
  'an unknown CNI version',
  'ipam that is too long',
  '257 net addresses',
];

function complaintsOf(network: MultiNicNetwork): readonly unknown[] {
  const parsed = parseNetworkDefinition(network);
  return parsed.ok ? [...parsed.refusals, ...parsed.warnings] : parsed.issues;
}

describe('networks that admission refuses', () => {
  for (const { kind, says, spec, name = 'refused' } of refused.rows) {
    if (kind !== 'MultiNicNetwork' || admissionOnly.includes(says)) continue;
    test(`${says} is not in order`, () => {
      const read = v.safeParse(MultiNicNetwork, { metadata: { name, uid: 'u' }, spec });
      expect(read.success ? complaintsOf(read.output) : read.issues).not.toEqual([]);
    });
  }
});
