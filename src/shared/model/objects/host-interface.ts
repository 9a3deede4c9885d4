// HostInterface: the secondary NICs of one node (spec, written by that node's daemon or, on
// unmanaged hosts, by a user) and the host indices given to it (status, written by the controller).
import * as v from 'valibot';
import { admission, integer, text } from './admission.ts';
import { Conditions, ObjectMeta } from './meta.ts';
import {
  ADDRESS_OR_EMPTY_PATTERN,
  CIDR_OR_EMPTY_PATTERN,
  CIDR_PATTERN,
  INTERFACE_ADDRESS_PATTERN,
  INTERFACE_NAME_PATTERN,
  PCI_ADDRESS_PATTERN,
} from './patterns.ts';

/** One secondary NIC. Absent and empty mean the same. */
export const InterfaceInfo = v.looseObject({
  interfaceName: text(15, 'NIC name.', { minLength: 1, pattern: INTERFACE_NAME_PATTERN }),
  netAddress: v.optional(
    text(43, 'Subnet of the NIC: what makes it "the same NIC" on all hosts.', {
      pattern: CIDR_OR_EMPTY_PATTERN,
    }),
  ),
  hostIP: v.optional(
    text(45, 'Address of the NIC in that subnet, without prefix length.', {
      pattern: ADDRESS_OR_EMPTY_PATTERN,
    }),
  ),
  vendor: v.optional(text(16, 'PCI vendor.')),
  product: v.optional(text(16, 'PCI device.')),
  pciAddress: v.optional(text(16, 'PCI address.', { pattern: PCI_ADDRESS_PATTERN })),
  addresses: v.optional(
    v.pipe(
      v.array(text(43, 'Address with prefix length.', { pattern: INTERFACE_ADDRESS_PATTERN })),
      admission({
        description:
          'All global addresses of the NIC, both families; gives IPv6 routes their next hop.',
        maxItems: 64,
      }),
    ),
  ),
});
export type InterfaceInfo = v.InferOutput<typeof InterfaceInfo>;

/** Content of a HostInterface. */
export const HostInterfaceSpec = v.looseObject({
  hostName: text(253, 'Node name.', { minLength: 1 }),
  interfaces: v.pipe(
    v.array(InterfaceInfo),
    admission({ description: 'Secondary NICs.', maxItems: 256 }),
  ),
});
export type HostInterfaceSpec = v.InferOutput<typeof HostInterfaceSpec>;

/** Position of a host in one net address of a network. */
export const HostIndex = v.looseObject({
  netAddress: text(43, 'Net address.', { pattern: CIDR_PATTERN }),
  hostIndex: integer(0, 2 ** 20 - 1, 'Position of this host in the division of the vlan CIDR.'),
});
export type HostIndex = v.InferOutput<typeof HostIndex>;

/** Positions of a host in one network. */
export const HostNetwork = v.looseObject({
  name: text(253, 'Network name.', { minLength: 1 }),
  uid: text(64, 'UID of the network, so that a namesake created later is told apart.'),
  indices: v.pipe(
    v.array(HostIndex),
    admission({
      description: 'Host index per net address.',
      maxItems: 256,
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['netAddress'],
    }),
  ),
});
export type HostNetwork = v.InferOutput<typeof HostNetwork>;

/** Condition that a daemon sets on its own HostInterface: whether all its routes are as planned. */
export const ROUTES_CONDITION = 'RoutesReady';

/** Status of a HostInterface. `stat` is the original's; nobody ever wrote it. */
export const HostInterfaceStatus = v.looseObject({
  stat: v.optional(
    v.pipe(
      v.record(v.string(), v.unknown()),
      admission({
        description: 'Counters that the original planned; not used.',
        'x-kubernetes-preserve-unknown-fields': true,
      }),
    ),
  ),
  networks: v.optional(
    v.pipe(
      v.array(HostNetwork),
      admission({
        description: 'Positions of this host in the networks, given by the controller.',
        maxItems: 1024,
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['name'],
      }),
    ),
  ),
  interfaceCount: v.optional(integer(0, 256, 'Number of NICs in the spec, for kubectl get.')),
  networkCount: v.optional(integer(0, 1024, 'Number of networks above, for kubectl get.')),
  conditions: v.optional(Conditions),
});
export type HostInterfaceStatus = v.InferOutput<typeof HostInterfaceStatus>;

/** Kind HostInterface, cluster-scoped, named like its node. */
export const HostInterface = v.looseObject({
  apiVersion: v.optional(v.string()),
  kind: v.optional(v.string()),
  metadata: ObjectMeta,
  spec: HostInterfaceSpec,
  status: v.optional(HostInterfaceStatus),
});
export type HostInterface = v.InferOutput<typeof HostInterface>;
