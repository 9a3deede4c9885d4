// Which NetworkAttachmentDefinitions of one network have to be created, changed or deleted. Objects
// that are not ours are left alone and named (W-69); metadata is merged and compared (W-59).
import { GENERATED_LABEL, RESOURCE_NAME_ANNOTATION } from '../../shared/model/names.ts';
import { compareText } from './net-order.ts';

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean | undefined;
  readonly blockOwnerDeletion?: boolean | undefined;
}

/** A stored NAD as far as it is compared. */
export interface NadView {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly isDeleting: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly owners: readonly OwnerReference[];
  readonly config: string;
}

export interface NadTemplate {
  readonly name: string;
  readonly config: string;
  readonly annotations: Readonly<Record<string, string>>;
  readonly owner: OwnerReference;
}

/** `body` is a whole object to create, or a merge patch. */
export type NadAction =
  | { readonly kind: 'create'; readonly namespace: string; readonly body: unknown }
  | { readonly kind: 'patch'; readonly namespace: string; readonly body: unknown }
  | { readonly kind: 'delete'; readonly namespace: string; readonly uid: string };

export interface NadPlan {
  /** By namespace. */
  readonly actions: readonly NadAction[];
  /** Namespaces in which an object of that name belongs to somebody else. */
  readonly foreign: readonly string[];
}

/** Annotations that we set on NADs; one that the plugin no longer yields is taken away. */
const OWN_ANNOTATIONS: readonly string[] = [RESOURCE_NAME_ANNOTATION];

/**
 * Ours: made for this network, or labelled by us and owned by nobody (the original before v1.2.8).
 */
export function isOwnNad(nad: NadView, networkName: string): boolean {
  const ownedByNetwork = nad.owners.some(
    (owner) => owner.kind === 'MultiNicNetwork' && owner.name === networkName,
  );
  return ownedByNetwork || (nad.owners.length === 0 && nad.labels[GENERATED_LABEL] === 'true');
}

/** `existing`: the NADs of that name in any namespace. `template` undefined: none is wanted. */
export function planNads(o: {
  networkName: string;
  template: NadTemplate | undefined;
  namespaces: readonly string[];
  existing: readonly NadView[];
}): NadPlan {
  const { template } = o;
  const wanted = new Set(template === undefined ? [] : o.namespaces);
  const own = o.existing.filter((nad) => isOwnNad(nad, o.networkName));
  const foreign = o.existing.filter((nad) => !own.includes(nad) && wanted.has(nad.namespace));
  const actions = own
    .filter((nad) => !nad.isDeleting)
    .flatMap((nad) => planOne(nad, wanted.has(nad.namespace) ? template : undefined));
  if (template !== undefined) {
    for (const nad of o.existing) wanted.delete(nad.namespace);
    for (const namespace of wanted) {
      actions.push({ kind: 'create', namespace, body: toNad(template, namespace) });
    }
  }
  actions.sort((a, b) => compareText(a.namespace, b.namespace));
  return { actions, foreign: foreign.map((nad) => nad.namespace).sort(compareText) };
}

function planOne(nad: NadView, template: NadTemplate | undefined): NadAction[] {
  const { namespace, uid } = nad;
  if (template === undefined) return [{ kind: 'delete', namespace, uid }];
  const body = planPatch(nad, template);
  return body === undefined ? [] : [{ kind: 'patch', namespace, body }];
}

/** The whole object. */
export function toNad(template: NadTemplate, namespace: string): Record<string, unknown> {
  const hasAnnotations = Object.keys(template.annotations).length > 0;
  return {
    apiVersion: 'k8s.cni.cncf.io/v1',
    kind: 'NetworkAttachmentDefinition',
    metadata: {
      name: template.name,
      namespace,
      labels: { [GENERATED_LABEL]: 'true' },
      ...(hasAnnotations ? { annotations: template.annotations } : {}),
      ownerReferences: [template.owner],
    },
    spec: { config: template.config },
  };
}

function planPatch(nad: NadView, template: NadTemplate): Record<string, unknown> | undefined {
  const annotations: Record<string, string | null> = {};
  for (const [key, value] of Object.entries(template.annotations)) {
    if (nad.annotations[key] !== value) annotations[key] = value;
  }
  for (const key of OWN_ANNOTATIONS) {
    if (key in nad.annotations && !(key in template.annotations)) annotations[key] = null;
  }
  const hasLabel = nad.labels[GENERATED_LABEL] === 'true';
  const owners = mergeOwner(nad.owners, template.owner);
  const hasAnnotations = Object.keys(annotations).length > 0;
  const isSame =
    hasLabel && !hasAnnotations && owners === nad.owners && nad.config === template.config;
  if (isSame) return undefined;
  return {
    metadata: {
      resourceVersion: nad.resourceVersion,
      ...(hasLabel ? {} : { labels: { [GENERATED_LABEL]: 'true' } }),
      ...(hasAnnotations ? { annotations } : {}),
      ...(owners === nad.owners ? {} : { ownerReferences: owners }),
    },
    ...(nad.config === template.config ? {} : { spec: { config: template.config } }),
  };
}

/** The owners with ours as it must be; the very same list when nothing has to change. */
function mergeOwner(
  owners: readonly OwnerReference[],
  own: OwnerReference,
): readonly OwnerReference[] {
  const isSame = owners.some(
    (owner) =>
      owner.uid === own.uid &&
      owner.name === own.name &&
      owner.kind === own.kind &&
      owner.apiVersion === own.apiVersion &&
      owner.controller === own.controller &&
      owner.blockOwnerDeletion === own.blockOwnerDeletion,
  );
  const stale = owners.filter((owner) => owner.kind === own.kind && owner.uid !== own.uid);
  if (isSame && stale.length === 0) return owners;
  return [...owners.filter((owner) => owner.kind !== own.kind), own];
}
