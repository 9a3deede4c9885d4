// Test equipment: the documents by which clients learn what is served, in their old form, which
// kubectl falls back to.
import type { Json, JsonObject } from './json.ts';
import { apiVersionOf, type Kind } from './kinds.ts';

const STORED_VERBS = [
  'create',
  'delete',
  'deletecollection',
  'get',
  'list',
  'patch',
  'update',
  'watch',
];

/** The answer to a discovery path; undefined for other paths. */
export function discover(path: string, kinds: readonly Kind[]): JsonObject | undefined {
  if (path === '/version') return { major: '1', minor: '36', gitVersion: 'v1.36.0-embedded' };
  if (path === '/api') {
    return { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] };
  }
  if (path === '/apis') return groupList(kinds);
  const [, root, group, version] = /^\/(apis?)\/([^/]+)(?:\/([^/]+))?$/.exec(path) ?? [];
  if (root === 'api') {
    return group === 'v1' && version === undefined ? resourceList('v1', kinds) : undefined;
  }
  if (group === undefined) return undefined;
  return version === undefined ? groupOf(group, kinds) : resourceList(`${group}/${version}`, kinds);
}

function groupList(kinds: readonly Kind[]): JsonObject {
  const names = [...new Set(kinds.map(({ group }) => group))].filter((name) => name !== '').sort();
  const groups = names.flatMap((name): Json[] => {
    const group = groupOf(name, kinds);
    return group === undefined ? [] : [group];
  });
  return { kind: 'APIGroupList', apiVersion: 'v1', groups };
}

function groupOf(name: string, kinds: readonly Kind[]): JsonObject | undefined {
  const versions = [
    ...new Set(kinds.filter((k) => k.group === name).map(({ version }) => version)),
  ];
  const listed = versions.map((version) => ({ groupVersion: `${name}/${version}`, version }));
  const [preferred] = listed;
  if (preferred === undefined) return undefined;
  return {
    kind: 'APIGroup',
    apiVersion: 'v1',
    name,
    versions: listed,
    preferredVersion: preferred,
  };
}

function resourceList(groupVersion: string, kinds: readonly Kind[]): JsonObject | undefined {
  const served = kinds.filter((kind) => apiVersionOf(kind) === groupVersion);
  if (served.length === 0) return undefined;
  const resources = served.flatMap((kind): Json[] => {
    const row = {
      name: kind.plural,
      singularName: kind.singular,
      namespaced: kind.namespaced,
      kind: kind.kind,
      shortNames: [...kind.shortNames],
      verbs: kind.isReview ? ['create'] : STORED_VERBS,
    };
    const status = { ...row, name: `${kind.plural}/status`, shortNames: [], verbs: STATUS_VERBS };
    return kind.hasStatus ? [row, status] : [row];
  });
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion, resources };
}

const STATUS_VERBS = ['get', 'patch', 'update'];
