// MultiNicNetwork: the one object that users write. Reading takes what any version stored; what may
// be written anew is said by the admission rules (network-rules.ts), and what a network means by
// plan/network-definition.ts.
import * as v from 'valibot';
import { SUPPORTED_VERSIONS } from '../cni/version.ts';
import { admission, integer, text } from './admission.ts';
import { Conditions, ObjectMeta } from './meta.ts';
import {
  ATTACH_STRATEGIES,
  argsRules,
  BLOCK_BITS_MAX,
  ipamRules,
  masterNetRules,
  NET_ADDRESSES_MAX,
  networkRules,
  pluginRules,
  specRules,
  subnetRules,
} from './network-rules.ts';
import { CIDR_PATTERN, EXECUTABLE_PATTERN, NAMESPACE_PATTERN } from './patterns.ts';

const NameList = v.pipe(
  v.array(text(253, 'Name or address.')),
  admission({ description: 'Names or addresses.', maxItems: 32 }),
);

/** DNS settings; accepted as the original did, passed to delegates. */
export const NetworkDns = v.looseObject({
  nameservers: v.optional(NameList),
  domain: v.optional(text(253, 'Local domain.')),
  search: v.optional(NameList),
  options: v.optional(NameList),
});
export type NetworkDns = v.InferOutput<typeof NetworkDns>;

/** The main plugin: how a pod's interface is made on a NIC. */
export const NetworkPlugin = v.pipe(
  v.looseObject({
    cniVersion: text(16, 'CNI version of the plugin part.', { enum: SUPPORTED_VERSIONS }),
    type: text(63, 'ipvlan, macvlan, sriov, aws-ipvlan, mellanox or host-device.', {
      pattern: EXECUTABLE_PATTERN,
    }),
    args: v.optional(
      v.pipe(
        v.record(v.string(), text(4096, 'Value as text; numbers and booleans are quoted.')),
        admission({
          description: 'Arguments of the plugin, such as mode, mtu, vlan.',
          maxProperties: 64,
          'x-kubernetes-validations': argsRules,
        }),
      ),
    ),
    capabilities: v.optional(
      v.pipe(
        v.record(v.string(), v.boolean()),
        admission({ description: 'CNI capabilities that are wanted.', maxProperties: 32 }),
      ),
    ),
    dns: v.optional(v.pipe(NetworkDns, admission({ description: 'DNS settings.' }))),
  }),
  admission({
    description: "How a pod's interface is made.",
    'x-kubernetes-validations': pluginRules,
  }),
);
export type NetworkPlugin = v.InferOutput<typeof NetworkPlugin>;

/** Which NICs a pod gets. */
export const AttachPolicy = v.looseObject({
  strategy: text(32, 'How NICs are selected; empty means none, that is all of them.', {
    enum: ATTACH_STRATEGIES,
  }),
  target: v.optional(text(253, 'Name of a DeviceClass, or a bandwidth like 10Gbps.')),
});
export type AttachPolicy = v.InferOutput<typeof AttachPolicy>;

/** What the user asks for. */
export const MultiNicNetworkSpec = v.pipe(
  v.looseObject({
    subnet: v.optional(
      text(
        90,
        'Pod addresses: one CIDR, an IPv4 and an IPv6 CIDR with a comma between, or empty.',
        {
          'x-kubernetes-validations': subnetRules,
        },
      ),
    ),
    masterNets: v.optional(
      v.pipe(
        v.array(
          text(43, 'Subnet of a host NIC.', {
            'x-kubernetes-validations': masterNetRules,
          }),
        ),
        admission({ description: 'Host subnets that take part; all when empty.', maxItems: 256 }),
      ),
    ),
    ipam: text(16_384, 'IPAM section of the CNI configuration, a JSON object as text.', {
      'x-kubernetes-validations': ipamRules,
    }),
    multiNICIPAM: v.optional(
      v.pipe(
        v.boolean(),
        admission({ description: 'Whether one IPAM call gives one address per NIC.' }),
      ),
    ),
    plugin: NetworkPlugin,
    attachPolicy: v.optional(
      v.pipe(AttachPolicy, admission({ description: 'Which NICs a pod gets.' })),
    ),
    namespaces: v.optional(
      v.pipe(
        v.array(text(63, 'Namespace.', { pattern: NAMESPACE_PATTERN })),
        admission({ description: 'Namespaces that can use it; all when empty.', maxItems: 5000 }),
      ),
    ),
  }),
  admission({ 'x-kubernetes-validations': specRules }),
);
export type MultiNicNetworkSpec = v.InferOutput<typeof MultiNicNetworkSpec>;

/** Number of hosts in one net address. */
export const ComputeResult = v.looseObject({
  netAddress: text(43, 'Net address.'),
  numOfHosts: integer(0, 2 ** 31 - 1, 'Hosts with a pod CIDR there.'),
});
export type ComputeResult = v.InferOutput<typeof ComputeResult>;

/** Position of one net address in the division of the subnet. */
export const InterfaceIndex = v.looseObject({
  netAddress: text(43, 'Net address.', { pattern: CIDR_PATTERN }),
  interfaceIndex: integer(0, 2 ** 20 - 1, 'Position in the division of the subnet.'),
});
export type InterfaceIndex = v.InferOutput<typeof InterfaceIndex>;

/** How the subnet is divided. */
export const GivenDivision = v.looseObject({
  subnet: text(87, 'Subnet, two of different families with a comma; empty: those of the NICs.'),
  interfaceBlock: integer(0, BLOCK_BITS_MAX, 'Address bits that tell NICs apart.'),
  hostBlock: integer(0, BLOCK_BITS_MAX, 'Address bits that tell hosts apart.'),
});
export type GivenDivision = v.InferOutput<typeof GivenDivision>;

/** State of a network: the original's six members, and what daemons watch. */
export const MultiNicNetworkStatus = v.looseObject({
  computeResults: v.optional(
    v.pipe(
      v.array(ComputeResult),
      admission({ description: 'Hosts per net address.', maxItems: NET_ADDRESSES_MAX }),
    ),
  ),
  discovery: v.optional(
    v.pipe(
      v.looseObject({
        existDaemon: integer(0, 2 ** 31 - 1, 'Daemons.'),
        infoAvailable: integer(0, 2 ** 31 - 1, 'Hosts with at least one NIC.'),
        cidrProcessed: integer(0, 2 ** 31 - 1, 'Hosts that have addresses in this network.'),
      }),
      admission({ description: 'How many hosts were found.' }),
    ),
  ),
  daemons: v.optional(
    text(32, 'Hosts with NICs of this network that have a ready daemon, of all such hosts: 2/3.'),
  ),
  configStatus: v.optional(
    text(32, 'Whether the network is set up.', {
      enum: ['', 'WaitForConfig', 'Success', 'Failed'],
    }),
  ),
  routeStatus: v.optional(
    text(32, 'Whether routes between hosts are set.', {
      enum: ['', 'N/A', 'WaitForRoutes', 'Unknown', 'Success', 'Failed'],
    }),
  ),
  message: v.optional(text(32_768, 'What is the matter, for people.')),
  lastSyncTime: v.optional(text(64, 'Last change of the status.', { format: 'date-time' })),
  observedGeneration: v.optional(
    integer(0, Number.MAX_SAFE_INTEGER, 'metadata.generation that the status is about.'),
  ),
  interfaceIndices: v.optional(
    v.pipe(
      v.array(InterfaceIndex),
      admission({
        description: 'Interface index per net address, given by the controller.',
        maxItems: NET_ADDRESSES_MAX,
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['netAddress'],
      }),
    ),
  ),
  division: v.optional(
    v.pipe(
      GivenDivision,
      admission({
        description:
          'What the indices were given for. Daemons go by this, not by spec: ' +
          'a change that the controller refuses moves nothing.',
      }),
    ),
  ),
  conditions: v.optional(Conditions),
});
export type MultiNicNetworkStatus = v.InferOutput<typeof MultiNicNetworkStatus>;

/** Kind MultiNicNetwork, cluster-scoped. */
export const MultiNicNetwork = v.pipe(
  v.looseObject({
    apiVersion: v.optional(v.string()),
    kind: v.optional(v.string()),
    metadata: ObjectMeta,
    spec: MultiNicNetworkSpec,
    status: v.optional(MultiNicNetworkStatus),
  }),
  admission({ 'x-kubernetes-validations': networkRules }),
);
export type MultiNicNetwork = v.InferOutput<typeof MultiNicNetwork>;
