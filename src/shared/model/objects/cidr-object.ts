// The CIDR object: the division of one network over net addresses and hosts as one document. The
// original stored it; we write it as a readable copy while it fits, and read it when taking a
// cluster over.
import * as v from 'valibot';
import { admission, integer, text } from './admission.ts';
import { ObjectMeta } from './meta.ts';
import { NET_ADDRESSES_MAX } from './network-rules.ts';
import {
  ADDRESS_OR_EMPTY_PATTERN,
  CIDR_OR_ADDRESS_PATTERN,
  CIDR_PATTERN,
  SUBNET_PATTERN,
} from './patterns.ts';

const INDEX_MAX = 2 ** 31 - 1;

/** One host's part of a net address. */
export const CidrHost = v.looseObject({
  hostIndex: integer(0, INDEX_MAX, 'Position of the host in the division of the vlan CIDR.'),
  hostName: text(253, 'Node name.', { minLength: 1 }),
  interfaceName: text(15, 'NIC of the host in this net.'),
  hostIP: text(45, 'Address of that NIC; next hop of the routes. May be empty.', {
    pattern: ADDRESS_OR_EMPTY_PATTERN,
  }),
  podCIDR: text(43, 'Addresses of the pods of this host on this NIC.', { pattern: CIDR_PATTERN }),
  ippool: v.optional(text(253, 'Name of the IPPool of the pod CIDR.')),
});
export type CidrHost = v.InferOutput<typeof CidrHost>;

/** One net address with its hosts. */
export const CidrEntry = v.looseObject({
  netAddress: text(43, 'Subnet of the host NICs.', { pattern: CIDR_PATTERN }),
  interfaceIndex: integer(
    0,
    INDEX_MAX,
    'Position of the net address in the division of the subnet.',
  ),
  vlanCIDR: text(43, 'Addresses of all pods on these NICs.', { pattern: CIDR_PATTERN }),
  hosts: v.pipe(
    v.array(CidrHost),
    admission({ description: 'Hosts in this net, by host index.', maxItems: 20_000 }),
  ),
});
export type CidrEntry = v.InferOutput<typeof CidrEntry>;

/** What the division was computed from. */
export const CidrConfig = v.looseObject({
  name: text(253, 'Network name.', { minLength: 1 }),
  type: text(253, 'Main plugin type.'),
  subnet: text(100, 'Pod subnet; empty in host-subnet mode.', { pattern: SUBNET_PATTERN }),
  masterNets: v.pipe(
    v.array(text(43, 'Net address.')),
    admission({
      description: 'Net addresses that take part; all when empty.',
      maxItems: NET_ADDRESSES_MAX,
    }),
  ),
  hostBlock: integer(0, 64, 'Bits that index hosts.'),
  interfaceBlock: integer(0, 64, 'Bits that index net addresses.'),
  excludeCIDRs: v.optional(
    v.pipe(
      v.array(text(43, 'Block or address.', { pattern: CIDR_OR_ADDRESS_PATTERN })),
      admission({ description: 'Addresses that are never given to pods.', maxItems: 4096 }),
    ),
  ),
  vlanMode: v.optional(text(16, 'l2 without routes, l3 or l3s with routes between hosts.')),
});
export type CidrConfig = v.InferOutput<typeof CidrConfig>;

/** Content of a CIDR object. */
export const CidrObjectSpec = v.looseObject({
  config: v.pipe(CidrConfig, admission({ description: 'What the division follows from.' })),
  cidr: v.pipe(
    v.array(CidrEntry),
    admission({
      description: 'One entry per net address and family, in no particular order.',
      maxItems: 2 * NET_ADDRESSES_MAX,
    }),
  ),
});
export type CidrObjectSpec = v.InferOutput<typeof CidrObjectSpec>;

/** Kind CIDR, cluster-scoped, named like its network. */
export const CidrObject = v.looseObject({
  apiVersion: v.optional(v.string()),
  kind: v.optional(v.string()),
  metadata: ObjectMeta,
  spec: CidrObjectSpec,
});
export type CidrObject = v.InferOutput<typeof CidrObject>;
