// What the controller keeps of each object it watches. A projection throws on what it cannot read;
// the collection then keeps the previous one, so an unreadable object is never taken for an absent
// one.
import * as v from 'valibot';
import { addressBits, parseAddress } from '../../shared/model/ip/address.ts';
import { type Cidr, canonicalCidr, cidrOf, parseCidr } from '../../shared/model/ip/cidr.ts';
import {
  DAEMON_APP,
  DAEMON_APP_LABEL,
  LEDGER_KEY,
  LEDGER_NAME_PREFIX,
  TEST_MODE_LABEL,
  UNMANAGED_LABEL,
} from '../../shared/model/names.ts';
import type { CidrObject } from '../../shared/model/objects/cidr-object.ts';
import type { DaemonConfig } from '../../shared/model/objects/config.ts';
import type {
  HostInterface,
  HostInterfaceStatus,
  HostNetwork,
  InterfaceInfo,
} from '../../shared/model/objects/host-interface.ts';
import type { Condition, ObjectMeta } from '../../shared/model/objects/meta.ts';
import type { MultiNicNetwork } from '../../shared/model/objects/multi-nic-network.ts';
import type { NetAttachDef } from '../../shared/model/objects/net-attach-def.ts';
import { RENDERED_ANNOTATION } from '../plan/daemon-set.ts';
import { type LedgerReading, parseLedger } from '../plan/ledger.ts';
import type { NadView } from '../plan/nads.ts';
import { sortNetAddresses } from '../plan/net-order.ts';

/** What every stored object has. */
export interface Head {
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly isDeleting: boolean;
  readonly finalizers: readonly string[];
}

export interface NetworkView extends Head {
  readonly generation: number;
  readonly createdAt: string;
  readonly object: MultiNicNetwork;
}

/** Indices that are published for a host in one network. Keys are canonical net addresses. */
export interface PublishedIndices {
  readonly uid: string;
  readonly indices: ReadonlyMap<string, number>;
}

export interface HostView extends Head {
  readonly isUnmanaged: boolean;
  readonly isTest: boolean;
  readonly interfaces: readonly InterfaceInfo[];
  /** Canonical, distinct, in numeric order. */
  readonly netAddresses: readonly string[];
  /** As stored: the list that a write has to repeat. */
  readonly networks: readonly HostNetwork[];
  readonly published: ReadonlyMap<string, PublishedIndices>;
  readonly conditions: readonly Condition[];
  /** As stored for `kubectl get`. */
  readonly counts: HostCounts;
}

export type HostCounts = Pick<HostInterfaceStatus, 'interfaceCount' | 'networkCount'>;

export interface NodeView {
  readonly name: string;
  readonly podBlocks: readonly Cidr[];
  /** Each as a block of one. */
  readonly addresses: readonly Cidr[];
}

export interface NamespaceView {
  readonly name: string;
  readonly isActive: boolean;
}

export interface LedgerView {
  readonly network: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly reading: LedgerReading;
}

export interface CidrView extends Head {
  readonly object: CidrObject;
}

export interface PoolView extends Head {
  readonly network: string;
  readonly hostName: string;
  readonly interfaceName: string;
  readonly podCidr: string;
  readonly vlanCidr: string;
  readonly allocationCount: number;
  /** Some of the pods that hold addresses, as `namespace/name`. */
  readonly holders: readonly string[];
}

export interface ConfigView extends Head {
  readonly object: DaemonConfig;
}

export interface DaemonSetView extends Head {
  readonly generation: number;
  /** Which content we applied last; undefined when it is not ours. */
  readonly rendered: string | undefined;
  /** Nodes that should have a daemon, and those where it is ready. */
  readonly desired: number;
  readonly ready: number;
}

export interface DaemonPodView {
  readonly nodeName: string;
  readonly isReady: boolean;
}

export function toHead(metadata: ObjectMeta): Head {
  return {
    name: metadata.name,
    uid: metadata.uid ?? '',
    resourceVersion: metadata.resourceVersion ?? '',
    isDeleting: metadata.deletionTimestamp !== undefined,
    finalizers: metadata.finalizers ?? [],
  };
}

export function toNetworkView(object: MultiNicNetwork): NetworkView {
  const { metadata } = object;
  return {
    ...toHead(metadata),
    generation: metadata.generation ?? 0,
    createdAt: metadata.creationTimestamp ?? '',
    object,
  };
}

export function toHostView(object: HostInterface): HostView {
  const { metadata, spec, status } = object;
  const labels = metadata.labels ?? {};
  const networks = status?.networks ?? [];
  const netAddresses = spec.interfaces.flatMap((nic) => canonicalCidr(nic.netAddress ?? '') ?? []);
  return {
    ...toHead(metadata),
    isUnmanaged: labels[UNMANAGED_LABEL]?.toLowerCase() === 'true',
    isTest: TEST_MODE_LABEL in labels,
    interfaces: spec.interfaces,
    netAddresses: sortNetAddresses(netAddresses),
    networks,
    published: new Map(networks.map((network) => [network.name, toPublished(network)])),
    conditions: status?.conditions ?? [],
    counts: { interfaceCount: status?.interfaceCount, networkCount: status?.networkCount },
  };
}

function toPublished({ uid, indices }: HostNetwork): PublishedIndices {
  const pairs = indices.map(({ netAddress, hostIndex }): [string, number] => [
    canonicalCidr(netAddress) ?? netAddress,
    hostIndex,
  ]);
  return { uid, indices: new Map(pairs) };
}

const NodeParts = v.looseObject({
  metadata: v.looseObject({ name: v.string() }),
  spec: v.optional(v.looseObject({ podCIDRs: v.optional(v.array(v.string())) })),
  status: v.optional(
    v.looseObject({ addresses: v.optional(v.array(v.looseObject({ address: v.string() }))) }),
  ),
});

export function toNodeView(object: unknown): NodeView {
  const { metadata, spec, status } = v.parse(NodeParts, object);
  return {
    name: metadata.name,
    podBlocks: (spec?.podCIDRs ?? []).flatMap((text) => parseCidr(text) ?? []),
    addresses: (status?.addresses ?? []).flatMap(({ address }) => toBlock(address)),
  };
}

/** Names of hosts, which are among the addresses of nodes, are none. */
function toBlock(text: string): Cidr[] {
  const address = parseAddress(text);
  return address === undefined ? [] : [cidrOf(address, addressBits[address.family])];
}

const NamespaceParts = v.looseObject({
  metadata: v.looseObject({ name: v.string(), deletionTimestamp: v.optional(v.string()) }),
  status: v.optional(v.looseObject({ phase: v.optional(v.string()) })),
});

export function toNamespaceView(object: unknown): NamespaceView {
  const { metadata, status } = v.parse(NamespaceParts, object);
  const isTerminating = metadata.deletionTimestamp !== undefined || status?.phase === 'Terminating';
  return { name: metadata.name, isActive: !isTerminating };
}

const ConfigMapParts = v.looseObject({
  metadata: v.looseObject({
    name: v.string(),
    uid: v.optional(v.string(), ''),
    resourceVersion: v.optional(v.string(), ''),
  }),
  data: v.optional(v.record(v.string(), v.string())),
});

export function toLedgerView(object: unknown): LedgerView {
  const { metadata, data } = v.parse(ConfigMapParts, object);
  return {
    network: metadata.name.slice(LEDGER_NAME_PREFIX.length),
    uid: metadata.uid,
    resourceVersion: metadata.resourceVersion,
    reading: parseLedger(data?.[LEDGER_KEY]),
  };
}

export function toCidrView(object: CidrObject): CidrView {
  return { ...toHead(object.metadata), object };
}

/** Without looking into each of up to 65,536 allocations. */
const PoolParts = v.looseObject({
  metadata: v.looseObject({
    name: v.string(),
    uid: v.optional(v.string(), ''),
    resourceVersion: v.optional(v.string(), ''),
    deletionTimestamp: v.optional(v.string()),
    finalizers: v.optional(v.array(v.string()), []),
  }),
  spec: v.looseObject({
    podCIDR: v.string(),
    vlanCIDR: v.string(),
    netAttachDef: v.string(),
    hostName: v.string(),
    interfaceName: v.string(),
    allocations: v.custom<readonly unknown[]>(Array.isArray),
  }),
});
const Holder = v.looseObject({ pod: v.string(), namespace: v.string() });
const HOLDERS_MAX = 4;

export function toPoolView(object: unknown): PoolView {
  const { metadata, spec } = v.parse(PoolParts, object);
  const holders = spec.allocations.slice(0, HOLDERS_MAX).map((allocation) => {
    const holder = v.safeParse(Holder, allocation);
    return holder.success ? `${holder.output.namespace}/${holder.output.pod}` : 'an unknown pod';
  });
  return {
    name: metadata.name,
    uid: metadata.uid,
    resourceVersion: metadata.resourceVersion,
    isDeleting: metadata.deletionTimestamp !== undefined,
    finalizers: metadata.finalizers,
    network: spec.netAttachDef,
    hostName: spec.hostName,
    interfaceName: spec.interfaceName,
    podCidr: spec.podCIDR,
    vlanCidr: spec.vlanCIDR,
    allocationCount: spec.allocations.length,
    holders,
  };
}

export function toConfigView(object: DaemonConfig): ConfigView {
  return { ...toHead(object.metadata), object };
}

const DaemonSetParts = v.looseObject({
  metadata: v.looseObject({
    name: v.string(),
    uid: v.optional(v.string(), ''),
    resourceVersion: v.optional(v.string(), ''),
    generation: v.optional(v.number(), 0),
    deletionTimestamp: v.optional(v.string()),
    annotations: v.optional(v.record(v.string(), v.string()), {}),
  }),
  status: v.optional(
    v.looseObject({
      desiredNumberScheduled: v.optional(v.number(), 0),
      numberReady: v.optional(v.number(), 0),
    }),
    { desiredNumberScheduled: 0, numberReady: 0 },
  ),
});

export function toDaemonSetView(object: unknown): DaemonSetView {
  const { metadata, status } = v.parse(DaemonSetParts, object);
  return {
    name: metadata.name,
    uid: metadata.uid,
    resourceVersion: metadata.resourceVersion,
    isDeleting: metadata.deletionTimestamp !== undefined,
    finalizers: [],
    generation: metadata.generation,
    rendered: metadata.annotations[RENDERED_ANNOTATION],
    desired: status.desiredNumberScheduled,
    ready: status.numberReady,
  };
}

const PodParts = v.looseObject({
  spec: v.optional(v.looseObject({ nodeName: v.optional(v.string(), '') }), { nodeName: '' }),
  status: v.optional(
    v.looseObject({
      conditions: v.optional(v.array(v.looseObject({ type: v.string(), status: v.string() })), []),
    }),
    { conditions: [] },
  ),
});

export function toDaemonPodView(object: unknown): DaemonPodView {
  const { spec, status } = v.parse(PodParts, object);
  const isReady = status.conditions.some(
    (condition) => condition.type === 'Ready' && condition.status === 'True',
  );
  return { nodeName: spec.nodeName, isReady };
}

/** Selects the daemon's pods. */
export const DAEMON_POD_SELECTOR = `${DAEMON_APP_LABEL}=${DAEMON_APP}`;

export function toNadView(object: NetAttachDef): NadView {
  const { metadata, spec } = object;
  return {
    name: metadata.name,
    namespace: metadata.namespace ?? '',
    uid: metadata.uid ?? '',
    resourceVersion: metadata.resourceVersion ?? '',
    isDeleting: metadata.deletionTimestamp !== undefined,
    labels: metadata.labels ?? {},
    annotations: metadata.annotations ?? {},
    owners: metadata.ownerReferences ?? [],
    config: spec?.config ?? '',
  };
}
