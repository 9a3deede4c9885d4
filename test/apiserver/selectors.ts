// Test equipment: label and field selectors of the embedded API server, as predicates on objects.
import { type JsonObject, objectAt, textAt } from './json.ts';
import { badRequest } from './status.ts';

export type Predicate = (object: JsonObject) => boolean;

/** `a=b,c!=d,e in (f,g),h notin (i),j,!k`. Throws 400 on anything else. */
export function parseLabelSelector(text: string): Predicate {
  const terms = splitTerms(text).map(parseTerm);
  return (object) => {
    const labels = objectAt(objectAt(object, 'metadata'), 'labels');
    return terms.every((term) => term(labels));
  };
}

/** Fields that can be selected on, per kind, besides those of the metadata. */
const FIELDS: Readonly<Record<string, readonly string[]>> = {
  pods: ['spec.nodeName', 'spec.restartPolicy', 'spec.serviceAccountName', 'status.phase'],
  events: [
    'involvedObject.kind',
    'involvedObject.name',
    'involvedObject.namespace',
    'involvedObject.uid',
    'reason',
    'type',
  ],
  namespaces: ['status.phase'],
  nodes: ['spec.unschedulable'],
  secrets: ['type'],
};

/**
 * `field=value,field!=value`; absent fields count as ''. Throws 400 on fields that cannot be
 * selected on.
 */
export function parseFieldSelector(text: string, plural: string): Predicate {
  const known = ['metadata.name', 'metadata.namespace', ...(FIELDS[plural] ?? [])];
  const terms = text
    .split(',')
    .filter((term) => term !== '')
    .map((term) => {
      const parts = /^([\w.]+)(==|=|!=)(.*)$/.exec(term);
      const [, field = '', operator = '', value = ''] = parts ?? [];
      if (!known.includes(field)) throw badRequest(`field label not supported: ${field || term}`);
      return { path: field.split('.'), isNegative: operator === '!=', value };
    });
  return (object) =>
    terms.every((term) => (readField(object, term.path) === term.value) !== term.isNegative);
}

function readField(object: JsonObject, path: readonly string[]): string {
  const [last = '', ...parents] = [...path].reverse();
  const parent = parents.reverse().reduce((value, key) => objectAt(value, key), object);
  return textAt(parent, last);
}

/** Splits at commas outside parentheses. */
function splitTerms(text: string): string[] {
  return text
    .split(/,(?![^(]*\))/)
    .map((term) => term.trim())
    .filter((term) => term !== '');
}

function parseTerm(text: string): Predicate {
  const set = /^([\w./-]+)\s+(in|notin)\s+\(([^()]*)\)$/.exec(text);
  if (set !== null) {
    const [, key = '', operator = '', list = ''] = set;
    const values = new Set(list.split(',').map((value) => value.trim()));
    const isIn: Predicate = (labels) =>
      labels[key] !== undefined && values.has(textAt(labels, key));
    return operator === 'in' ? isIn : (labels) => !isIn(labels);
  }
  const compared = /^([\w./-]+)\s*(==|=|!=)\s*([\w.-]*)$/.exec(text);
  if (compared !== null) {
    const [, key = '', operator = '', value = ''] = compared;
    return (labels) => (labels[key] === value) === (operator !== '!=');
  }
  const presence = /^(!?)\s*([\w./-]+)$/.exec(text);
  if (presence === null) throw badRequest(`unable to parse requirement: ${text}`);
  const [, not = '', key = ''] = presence;
  return (labels) => (labels[key] !== undefined) === (not === '');
}
