// Which kinds exist for this project and where the API server keeps them: descriptors, their paths
// and the check that turns a JSON value into a typed object.
import type {
  CoreV1Event,
  V1ConfigMap,
  V1CustomResourceDefinition,
  V1DaemonSet,
  V1Deployment,
  V1Lease,
  V1Namespace,
  V1Node,
  V1Pod,
  V1Secret,
  V1ServiceAccount,
  V1TokenReview,
} from '@kubernetes/client-node';
import * as v from 'valibot';
import { GROUP, VERSION } from '../../model/names.ts';
import { CidrObject } from '../../model/objects/cidr-object.ts';
import { DaemonConfig } from '../../model/objects/config.ts';
import { DeviceClass } from '../../model/objects/device-class.ts';
import { HostInterface } from '../../model/objects/host-interface.ts';
import { IpPool } from '../../model/objects/ip-pool.ts';
import { MultiNicNetwork } from '../../model/objects/multi-nic-network.ts';
import { NetAttachDef } from '../../model/objects/net-attach-def.ts';

/** A client-node type as it travels: dates are strings. */
export type Wire<T> = T extends Date
  ? string
  : T extends (infer U)[]
    ? Wire<U>[]
    : T extends object
      ? { [K in keyof T]: Wire<T[K]> }
      : T;

/** A kind served by the API server. `group` is '' for the core group. */
export interface Resource<T> {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
  /** Throws when the value is not such an object. */
  readonly parse: (value: unknown) => T;
}

/** What every stored object has. */
export interface NamedObject {
  apiVersion?: string;
  kind?: string;
  metadata: {
    name: string;
    namespace?: string;
    uid?: string;
    resourceVersion?: string;
    [key: string]: unknown;
  };
  [key: string]: unknown;
}

export interface ObjectKey {
  readonly name: string;
  readonly namespace?: string | undefined;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Accepts anything with `metadata.name`: the check for kinds whose content is judged by the reader.
 */
export function parseNamed(value: unknown): NamedObject {
  const metadata = isRecord(value) ? value.metadata : undefined;
  if (!isRecord(metadata) || typeof metadata.name !== 'string') {
    throw new TypeError('not a Kubernetes object: metadata.name is missing');
  }
  return value as NamedObject; // checked just above; all other members are unknown
}

/** Describes a kind without a schema of its own here. */
export function defineResource(o: Omit<Resource<NamedObject>, 'parse'>): Resource<NamedObject> {
  return { ...o, parse: parseNamed };
}

/**
 * A kind of Kubernetes itself: the API server has validated what it returns, so only the frame is
 * checked.
 */
function builtIn<T extends { kind?: string }>(o: Omit<Resource<T>, 'parse'>): Resource<Wire<T>> {
  return { ...o, parse: (value) => parseNamed(value) as unknown as Wire<T> };
}

/** A kind with a schema in the model: read as loosely as that schema says. */
function ofSchema<TSchema extends v.GenericSchema>(
  schema: TSchema,
  o: Omit<Resource<unknown>, 'parse'>,
): Resource<v.InferOutput<TSchema>> {
  return { ...o, parse: (value) => parseWith(schema, value) };
}

function parseWith<TSchema extends v.GenericSchema>(
  schema: TSchema,
  value: unknown,
): v.InferOutput<TSchema> {
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  const issues = result.issues.slice(0, ISSUES_MAX).map((issue) => {
    const path = v.getDotPath(issue);
    return path === null ? issue.message : `${path}: ${issue.message}`;
  });
  throw new TypeError(issues.join('; '));
}

/** Issues named in an error; more do not help anybody. */
const ISSUES_MAX = 5;

const core = { group: '', version: 'v1' };
const apps = { group: 'apps', version: 'v1' };
const ours = { group: GROUP, version: VERSION, namespaced: false };

/** `{kind, plural}` are spelled out: plurals of these kinds do not follow one rule. */
export const NODES = builtIn<V1Node>({ ...core, plural: 'nodes', kind: 'Node', namespaced: false });
export const NAMESPACES = builtIn<V1Namespace>({
  ...core,
  plural: 'namespaces',
  kind: 'Namespace',
  namespaced: false,
});
export const PODS = builtIn<V1Pod>({ ...core, plural: 'pods', kind: 'Pod', namespaced: true });
export const CONFIG_MAPS = builtIn<V1ConfigMap>({
  ...core,
  plural: 'configmaps',
  kind: 'ConfigMap',
  namespaced: true,
});
export const SECRETS = builtIn<V1Secret>({
  ...core,
  plural: 'secrets',
  kind: 'Secret',
  namespaced: true,
});
export const SERVICE_ACCOUNTS = builtIn<V1ServiceAccount>({
  ...core,
  plural: 'serviceaccounts',
  kind: 'ServiceAccount',
  namespaced: true,
});
export const EVENTS = builtIn<CoreV1Event>({
  ...core,
  plural: 'events',
  kind: 'Event',
  namespaced: true,
});
export const DAEMON_SETS = builtIn<V1DaemonSet>({
  ...apps,
  plural: 'daemonsets',
  kind: 'DaemonSet',
  namespaced: true,
});
export const DEPLOYMENTS = builtIn<V1Deployment>({
  ...apps,
  plural: 'deployments',
  kind: 'Deployment',
  namespaced: true,
});
export const LEASES = builtIn<V1Lease>({
  group: 'coordination.k8s.io',
  version: 'v1',
  plural: 'leases',
  kind: 'Lease',
  namespaced: true,
});
export const CRDS = builtIn<V1CustomResourceDefinition>({
  group: 'apiextensions.k8s.io',
  version: 'v1',
  plural: 'customresourcedefinitions',
  kind: 'CustomResourceDefinition',
  namespaced: false,
});

/** Only created, never stored: the answer has no name. */
export const TOKEN_REVIEWS: Resource<Wire<V1TokenReview>> = {
  group: 'authentication.k8s.io',
  version: 'v1',
  plural: 'tokenreviews',
  kind: 'TokenReview',
  namespaced: false,
  parse: (value) => {
    if (!isRecord(value) || !isRecord(value.spec)) throw new TypeError('not a TokenReview');
    return value as unknown as Wire<V1TokenReview>; // a kind of Kubernetes itself
  },
};

export const MULTI_NIC_NETWORKS = ofSchema(MultiNicNetwork, {
  ...ours,
  plural: 'multinicnetworks',
  kind: 'MultiNicNetwork',
});
export const CIDRS = ofSchema(CidrObject, { ...ours, plural: 'cidrs', kind: 'CIDR' });
export const IP_POOLS = ofSchema(IpPool, { ...ours, plural: 'ippools', kind: 'IPPool' });
export const HOST_INTERFACES = ofSchema(HostInterface, {
  ...ours,
  plural: 'hostinterfaces',
  kind: 'HostInterface',
});
export const DEVICE_CLASSES = ofSchema(DeviceClass, {
  ...ours,
  plural: 'deviceclasses',
  kind: 'DeviceClass',
});
export const DAEMON_CONFIGS = ofSchema(DaemonConfig, {
  ...ours,
  plural: 'configs',
  kind: 'Config',
});
export const NET_ATTACH_DEFS = ofSchema(NetAttachDef, {
  group: 'k8s.cni.cncf.io',
  version: 'v1',
  plural: 'network-attachment-definitions',
  kind: 'NetworkAttachmentDefinition',
  namespaced: true,
});

/** `v1` or `group/version`, as in an object's `apiVersion`. */
export function toApiVersion(resource: Pick<Resource<unknown>, 'group' | 'version'>): string {
  return resource.group === '' ? resource.version : `${resource.group}/${resource.version}`;
}

/**
 * URL path of the collection, or of one object where `name` is given. Throws on a key that cannot
 * exist.
 */
export function toPath(
  resource: Resource<unknown>,
  o: { name?: string; namespace?: string | undefined; subresource?: string | undefined } = {},
): string {
  const root = resource.group === '' ? '/api/v1' : `/apis/${toApiVersion(resource)}`;
  if (o.name !== undefined && resource.namespaced && o.namespace === undefined) {
    throw new TypeError(`${resource.kind} ${o.name} is named without its namespace`);
  }
  const scope =
    resource.namespaced && o.namespace !== undefined ? `/namespaces/${toSegment(o.namespace)}` : '';
  const name = o.name === undefined ? '' : `/${toSegment(o.name)}`;
  const subresource = o.subresource === undefined ? '' : `/${o.subresource}`;
  return `${root}${scope}/${resource.plural}${name}${subresource}`;
}

/** The API server's own rule for names in paths, so that no name can reach another path. */
function toSegment(name: string): string {
  if (name === '' || name === '.' || name === '..' || /[/%]/.test(name)) {
    throw new TypeError(`'${name}' cannot be the name of an object`);
  }
  return encodeURIComponent(name);
}

/** `name`, or `namespace/name` for namespaced objects: the key of caches and queues. */
export function toKey(key: ObjectKey): string {
  return key.namespace === undefined ? key.name : `${key.namespace}/${key.name}`;
}
