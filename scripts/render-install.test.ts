// The install manifest is current, complete and in an order in which it can be applied.
import { describe, expect, test } from 'bun:test';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { CRDS_FILE, renderCrds } from './render-install.ts';

const folder = dirname(CRDS_FILE);
const files = readdirSync(folder)
  .filter((name) => name.endsWith('.yaml'))
  .sort();

interface Manifest {
  kind: string;
  metadata: { name: string; namespace?: string };
}

const manifests = files.flatMap((name) => {
  const parsed: unknown = Bun.YAML.parse(readFileSync(join(folder, name), 'utf8'));
  return (Array.isArray(parsed) ? parsed : [parsed]) as Manifest[];
});

describe('install manifest', () => {
  test('deploy/00-crds.yaml is what `make generate` writes', () => {
    expect(readFileSync(CRDS_FILE, 'utf8')).toBe(renderCrds());
  });

  test('all six kinds are defined', () => {
    const definitions = manifests.filter(({ kind }) => kind === 'CustomResourceDefinition');
    expect(definitions.map(({ metadata }) => metadata.name)).toEqual([
      'cidrs.multinic.fms.io',
      'configs.multinic.fms.io',
      'deviceclasses.multinic.fms.io',
      'hostinterfaces.multinic.fms.io',
      'ippools.multinic.fms.io',
      'multinicnetworks.multinic.fms.io',
    ]);
  });

  test('the namespace comes before what lies in it', () => {
    const namespace = manifests.findIndex(({ kind }) => kind === 'Namespace');
    const first = manifests.findIndex(({ metadata }) => metadata.namespace !== undefined);
    expect(namespace).toBeGreaterThanOrEqual(0);
    expect(namespace).toBeLessThan(first);
  });

  test('every right has its reason on the line before', () => {
    const lines = readFileSync(join(folder, '10-namespace-and-access.yaml'), 'utf8').split('\n');
    const rules = lines.flatMap((line, at) => (line.startsWith('  - apiGroups:') ? [at] : []));
    expect(rules.length).toBeGreaterThan(10);
    expect(rules.filter((at) => !/^ {2}# [A-Z]/.test(lines[at - 1] ?? ''))).toEqual([]);
  });

  test('no object of our own kinds is in it: its definition would not be established yet', () => {
    const kinds = new Set(['MultiNicNetwork', 'Config', 'CIDR', 'IPPool', 'HostInterface']);
    expect(manifests.filter(({ kind }) => kinds.has(kind))).toEqual([]);
  });
});
