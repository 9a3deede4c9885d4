// Test equipment: which kinds the embedded API server serves. Built-in ones are a table and are
// stored as they come; the others come and go with their CustomResourceDefinitions.
import { isObject, type JsonObject, listAt, objectAt, textAt } from './json.ts';

/** How lists are merged by server-side apply and, for built-in kinds, by strategic merge patch. */
export type ListRule =
  | { readonly type: 'atomic' }
  | { readonly type: 'set' }
  | { readonly type: 'map'; readonly keys: readonly string[] };

export interface Kind {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly singular: string;
  readonly kind: string;
  readonly shortNames: readonly string[];
  readonly namespaced: boolean;
  readonly hasStatus: boolean;
  /** Whether `metadata.generation` counts changes outside metadata and status. */
  readonly hasGeneration: boolean;
  /** Structural schema of a custom kind; undefined for built-in ones. */
  readonly schema: JsonObject | undefined;
  /** Only created and answered, never stored. */
  readonly isReview: boolean;
}

/** Identifies the store of a kind; all versions of a custom kind share one. */
export function storeKey(kind: Pick<Kind, 'group' | 'plural'>): string {
  return `${kind.plural}.${kind.group}`;
}

export function apiVersionOf(kind: Pick<Kind, 'group' | 'version'>): string {
  return kind.group === '' ? kind.version : `${kind.group}/${kind.version}`;
}

/**
 * group/version, plural, kind, flags (n namespaced, s status, g generation, r review), short names.
 */
const BUILT_IN: readonly [string, string, string, string, string?][] = [
  ['v1', 'namespaces', 'Namespace', 's', 'ns'],
  ['v1', 'nodes', 'Node', 's', 'no'],
  ['v1', 'pods', 'Pod', 'nsg', 'po'],
  ['v1', 'configmaps', 'ConfigMap', 'n', 'cm'],
  ['v1', 'secrets', 'Secret', 'n'],
  ['v1', 'services', 'Service', 'ns', 'svc'],
  ['v1', 'serviceaccounts', 'ServiceAccount', 'n', 'sa'],
  ['v1', 'events', 'Event', 'n', 'ev'],
  ['apps/v1', 'daemonsets', 'DaemonSet', 'nsg', 'ds'],
  ['apps/v1', 'deployments', 'Deployment', 'nsg', 'deploy'],
  ['coordination.k8s.io/v1', 'leases', 'Lease', 'n'],
  ['policy/v1', 'poddisruptionbudgets', 'PodDisruptionBudget', 'nsg', 'pdb'],
  ['scheduling.k8s.io/v1', 'priorityclasses', 'PriorityClass', '', 'pc'],
  ['rbac.authorization.k8s.io/v1', 'roles', 'Role', 'n'],
  ['rbac.authorization.k8s.io/v1', 'rolebindings', 'RoleBinding', 'n'],
  ['rbac.authorization.k8s.io/v1', 'clusterroles', 'ClusterRole', ''],
  ['rbac.authorization.k8s.io/v1', 'clusterrolebindings', 'ClusterRoleBinding', ''],
  ['apiextensions.k8s.io/v1', 'customresourcedefinitions', 'CustomResourceDefinition', 'sg', 'crd'],
  [
    'admissionregistration.k8s.io/v1',
    'validatingadmissionpolicies',
    'ValidatingAdmissionPolicy',
    'sg',
  ],
  [
    'admissionregistration.k8s.io/v1',
    'validatingadmissionpolicybindings',
    'ValidatingAdmissionPolicyBinding',
    'g',
  ],
  ['authentication.k8s.io/v1', 'tokenreviews', 'TokenReview', 'r'],
];

export const CRD_PLURAL = 'customresourcedefinitions';

/** All versions of all kinds that are served at a time. */
export class KindRegistry {
  readonly #kinds = new Map<string, Kind>();

  constructor() {
    for (const [groupVersion, plural, kind, flags, shortName] of BUILT_IN) {
      const [group, version] = splitApiVersion(groupVersion);
      this.#add({
        group,
        version,
        plural,
        singular: kind.toLowerCase(),
        kind,
        shortNames: shortName === undefined ? [] : [shortName],
        namespaced: flags.includes('n'),
        hasStatus: flags.includes('s'),
        hasGeneration: flags.includes('g'),
        schema: undefined,
        isReview: flags.includes('r'),
      });
    }
  }

  find(group: string, version: string, plural: string): Kind | undefined {
    return this.#kinds.get(`${group}/${version}/${plural}`);
  }

  /** Any served version of a kind, by its name. */
  findByKind(apiVersion: string, kind: string): Kind | undefined {
    return this.all().find((one) => apiVersionOf(one) === apiVersion && one.kind === kind);
  }

  all(): Kind[] {
    return [...this.#kinds.values()];
  }

  /** Replaces what a CustomResourceDefinition serves. */
  serve(crd: JsonObject): void {
    const spec = objectAt(crd, 'spec');
    this.withdraw(crd);
    for (const version of listAt(spec, 'versions').filter(isObject)) {
      if (version.served === true) this.#add(toKind(spec, version));
    }
  }

  /** Stops serving what a CustomResourceDefinition defined. */
  withdraw(crd: JsonObject): void {
    const spec = objectAt(crd, 'spec');
    const key = storeKey({
      group: textAt(spec, 'group'),
      plural: textAt(objectAt(spec, 'names'), 'plural'),
    });
    for (const [id, kind] of this.#kinds) if (storeKey(kind) === key) this.#kinds.delete(id);
  }

  #add(kind: Kind): void {
    this.#kinds.set(`${kind.group}/${kind.version}/${kind.plural}`, kind);
  }
}

export function splitApiVersion(text: string): [group: string, version: string] {
  const slash = text.indexOf('/');
  return slash < 0 ? ['', text] : [text.slice(0, slash), text.slice(slash + 1)];
}

function toKind(spec: JsonObject, version: JsonObject): Kind {
  const names = objectAt(spec, 'names');
  const kind = textAt(names, 'kind');
  return {
    group: textAt(spec, 'group'),
    version: textAt(version, 'name'),
    plural: textAt(names, 'plural'),
    singular: textAt(names, 'singular') || kind.toLowerCase(),
    kind,
    shortNames: listAt(names, 'shortNames').filter((name) => typeof name === 'string'),
    namespaced: spec.scope === 'Namespaced',
    hasStatus: isObject(objectAt(version, 'subresources').status),
    hasGeneration: true,
    schema: objectAt(objectAt(version, 'schema'), 'openAPIV3Schema'),
    isReview: false,
  };
}
