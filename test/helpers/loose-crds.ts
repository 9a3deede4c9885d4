// Our CRDs without the rules that the original's did not have: types and required members only. A
// cluster that is taken over has its objects stored under such definitions before ours are applied.
import { toCrd } from '../../scripts/crd/definition.ts';
import { crdKinds } from '../../scripts/crd/kinds.ts';

/** Members of a schema that only say which values are allowed. */
const RULES = new Set([
  'enum',
  'format',
  'pattern',
  'minLength',
  'maxLength',
  'minimum',
  'maximum',
  'minItems',
  'maxItems',
  'maxProperties',
  'x-kubernetes-validations',
]);

/** The definitions of all kinds, loosened. */
export function looseCrds(): Record<string, unknown>[] {
  return crdKinds.map((kind) => loosen(toCrd(kind)));
}

function loosen(node: Record<string, unknown>): Record<string, unknown> {
  const isSchema = typeof node.type === 'string';
  const members = Object.entries(node).filter(([name]) => !isSchema || !RULES.has(name));
  return Object.fromEntries(members.map(([name, value]) => [name, loosenValue(value)]));
}

function loosenValue(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(loosenValue);
  return typeof value === 'object' && value !== null ? loosen({ ...value }) : value;
}
