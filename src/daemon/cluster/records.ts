// What is kept of the cluster's objects: the few members that decide about this node's pools,
// routes and attachments, and the form in which they are saved for starts without an API server.
import * as v from 'valibot';
import { canonicalCidr } from '../../shared/model/ip/cidr.ts';
import { IPAM_TYPE, UNMANAGED_LABEL } from '../../shared/model/names.ts';
import {
  type HostInterface,
  HostNetwork,
  InterfaceInfo,
  ROUTES_CONDITION,
} from '../../shared/model/objects/host-interface.ts';
import type { Condition } from '../../shared/model/objects/meta.ts';
import {
  GivenDivision,
  InterfaceIndex,
  type MultiNicNetwork,
  MultiNicNetworkSpec,
} from '../../shared/model/objects/multi-nic-network.ts';
import { withDivision } from '../../shared/model/plan/division.ts';
import type { PlanHost } from '../../shared/model/plan/host-pools.ts';
import {
  type NetworkDefinition,
  parseNetworkDefinition,
} from '../../shared/model/plan/network-definition.ts';

/** A network as it is saved: enough to make a `NetworkRecord` again. */
export const SavedNetwork = v.object({
  name: v.string(),
  uid: v.string(),
  spec: MultiNicNetworkSpec,
  interfaceIndices: v.array(InterfaceIndex),
  division: v.optional(GivenDivision),
  /** Why the present spec cannot be used; `spec` is then the last one that could. */
  issues: v.optional(v.array(v.string())),
});
export type SavedNetwork = v.InferOutput<typeof SavedNetwork>;

/**
 * A network, understood. With `issues` no pod is attached to it; those that are keep what follows
 * from `definition`, which is missing if nothing is known that they could go by.
 */
export interface NetworkRecord {
  readonly name: string;
  readonly uid: string;
  readonly definition: NetworkDefinition | undefined;
  readonly issues: readonly string[];
  /** By canonical net address. */
  readonly interfaceIndices: ReadonlyMap<string, number>;
  readonly saved: SavedNetwork;
}

/** A host: its NICs and its place in each network. */
export interface HostRecord {
  readonly hostName: string;
  readonly isUnmanaged: boolean;
  readonly interfaces: readonly InterfaceInfo[];
  readonly networks: readonly HostNetwork[];
  /** This node only. */
  readonly own?: OwnRecord;
}

/** What a daemon must know of its own object to report in its status. */
export interface OwnRecord {
  readonly generation: number;
  /** The last report of its routes. */
  readonly routes: Condition | undefined;
}

/** What is saved of this node's own HostInterface. */
export const SavedHost = v.object({
  isUnmanaged: v.boolean(),
  interfaces: v.array(InterfaceInfo),
  networks: v.array(HostNetwork),
});
export type SavedHost = v.InferOutput<typeof SavedHost>;

/** Keeps of a network what decides. `former`: what was known of that name before. */
export function toNetworkRecord(
  object: MultiNicNetwork,
  former: NetworkRecord | undefined,
): NetworkRecord {
  const { metadata, spec, status } = object;
  const record = fromSavedNetwork({
    name: metadata.name,
    uid: metadata.uid ?? '',
    spec,
    interfaceIndices: status?.interfaceIndices ?? [],
    ...(status?.division === undefined ? {} : { division: status.division }),
  });
  return isManaged(record) ? record : asBefore(record, former);
}

function isManaged({ definition }: NetworkRecord): boolean {
  return definition?.managedIpam === true;
}

/**
 * The controller refuses an edit that takes the addresses from running pods, and so does the
 * daemon: their pools and routes stay.
 */
function asBefore(record: NetworkRecord, former: NetworkRecord | undefined): NetworkRecord {
  const { saved, uid, definition } = record;
  const isInForce = saved.division !== undefined && former?.uid === uid && isManaged(former);
  if (former === undefined || !isInForce) return record;
  const change = `ipam.type is not ${IPAM_TYPE} any more, by which addresses were given`;
  const issues =
    definition === undefined
      ? [...record.issues]
      : [`${change}: change it back, or delete the network and create it anew`];
  return fromSavedNetwork({ ...saved, spec: former.saved.spec, issues });
}

/** Understands a saved network as the same object would be understood today. */
export function fromSavedNetwork(saved: SavedNetwork): NetworkRecord {
  const { name, uid, spec } = saved;
  const parsed = parseNetworkDefinition({ metadata: { name, uid }, spec });
  return {
    name,
    uid,
    definition: parsed.ok ? asGiven(parsed.network, saved.division) : undefined,
    issues: parsed.ok ? (saved.issues ?? []) : parsed.issues,
    interfaceIndices: new Map(
      saved.interfaceIndices.map(({ netAddress, interfaceIndex }) => [
        canonicalCidr(netAddress) ?? netAddress,
        interfaceIndex,
      ]),
    ),
    saved,
  };
}

/** Blocks follow from what indices were given for, whatever the definition asks for since then. */
function asGiven(
  definition: NetworkDefinition,
  division: GivenDivision | undefined,
): NetworkDefinition {
  if (division === undefined || !definition.managedIpam) return definition;
  const { subnet, interfaceBlock, hostBlock } = division;
  return withDivision(definition, { subnet, interfaceBits: interfaceBlock, hostBits: hostBlock });
}

/** Keeps of a host what decides. */
export function toHostRecord({ metadata, spec, status }: HostInterface): HostRecord {
  return {
    hostName: metadata.name,
    isUnmanaged: metadata.labels?.[UNMANAGED_LABEL]?.toLowerCase() === 'true',
    interfaces: spec.interfaces.map(slimInterface),
    networks: (status?.networks ?? []).map(({ name, uid, indices }) => ({ name, uid, indices })),
  };
}

/** As `toHostRecord`, for the node's own object. */
export function toOwnHostRecord(object: HostInterface): HostRecord {
  const { metadata, status } = object;
  const routes = status?.conditions?.find(({ type }) => type === ROUTES_CONDITION);
  return { ...toHostRecord(object), own: { generation: metadata.generation ?? 0, routes } };
}

/** Members that plans read; the rest of thousands of hosts need not be remembered. */
function slimInterface(info: InterfaceInfo): InterfaceInfo {
  const { interfaceName, netAddress, hostIP, pciAddress, addresses } = info;
  return {
    interfaceName,
    ...(netAddress === undefined ? {} : { netAddress }),
    ...(hostIP === undefined ? {} : { hostIP }),
    ...(pciAddress === undefined ? {} : { pciAddress }),
    ...(addresses === undefined ? {} : { addresses }),
    ...(info.vendor === undefined ? {} : { vendor: info.vendor }),
    ...(info.product === undefined ? {} : { product: info.product }),
  };
}

/** The host as plans of one network see it. Indices given for an older namesake do not count. */
export function toPlanHost(
  host: HostRecord,
  network: { readonly name: string; readonly uid: string },
  interfaces: readonly InterfaceInfo[] = host.interfaces,
): PlanHost {
  const own = host.networks.find(({ name, uid }) => name === network.name && uid === network.uid);
  return {
    hostName: host.hostName,
    interfaces,
    hostIndices: new Map(
      (own?.indices ?? []).map(({ netAddress, hostIndex }) => [
        canonicalCidr(netAddress) ?? netAddress,
        hostIndex,
      ]),
    ),
  };
}
