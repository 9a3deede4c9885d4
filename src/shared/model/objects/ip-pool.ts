// IPPool: one host's addresses on one NIC in one network, and who holds them. The owning daemon
// publishes it; it is a copy of what the daemon keeps on its node.
import * as v from 'valibot';
import { admission, integer, text } from './admission.ts';
import { Conditions, ObjectMeta } from './meta.ts';
import { ADDRESS_PATTERN, CIDR_OR_ADDRESS_PATTERN, CIDR_PATTERN } from './patterns.ts';

/** Indices of a pool are below this number (a pool hands out at most 65,536 addresses). */
export const POOL_INDEX_END = 65_536;

/** One address that is given out. */
export const Allocation = v.looseObject({
  pod: text(253, 'Pod name.'),
  namespace: text(63, 'Namespace of the pod.'),
  index: integer(0, 2 ** 31 - 1, 'Distance from the first address of the pod CIDR.'),
  address: text(45, 'The address, without prefix length.', { pattern: ADDRESS_PATTERN }),
});
export type Allocation = v.InferOutput<typeof Allocation>;

/** Content of an IPPool. */
export const IpPoolSpec = v.looseObject({
  podCIDR: text(43, 'The addresses of the pool.', {
    pattern: CIDR_PATTERN,
    'x-kubernetes-validations': [{ rule: 'self == oldSelf', message: 'podCIDR cannot be changed' }],
  }),
  vlanCIDR: text(43, 'All addresses reachable on the link; gives pods their prefix length.', {
    pattern: CIDR_PATTERN,
  }),
  netAttachDef: text(253, 'Network name.', {
    minLength: 1,
    'x-kubernetes-validations': [
      { rule: 'self == oldSelf', message: 'the network of a pool cannot be changed' },
    ],
  }),
  hostName: text(253, 'Node that owns the pool.', { minLength: 1 }),
  interfaceName: text(15, 'NIC that the pool serves.', { minLength: 1 }),
  excludes: v.pipe(
    v.array(text(43, 'Block or address.', { pattern: CIDR_OR_ADDRESS_PATTERN })),
    admission({ description: 'Addresses of the pool that are never given.', maxItems: 4096 }),
  ),
  allocations: v.pipe(
    v.array(Allocation),
    admission({ description: 'Addresses that pods hold.', maxItems: POOL_INDEX_END }),
  ),
});
export type IpPoolSpec = v.InferOutput<typeof IpPoolSpec>;

const count = (description: string) => integer(0, POOL_INDEX_END, description);

/** State of a pool as its daemon sees it. */
export const IpPoolStatus = v.looseObject({
  usable: v.optional(count('Addresses of the pool that can be given at all.')),
  occupied: v.optional(count('Addresses that pods hold.')),
  free: v.optional(count('The others; released ones that still rest are among them.')),
  conditions: v.optional(Conditions),
});
export type IpPoolStatus = v.InferOutput<typeof IpPoolStatus>;

/** Kind IPPool, cluster-scoped, named by `poolName`. */
export const IpPool = v.looseObject({
  apiVersion: v.optional(v.string()),
  kind: v.optional(v.string()),
  metadata: ObjectMeta,
  spec: IpPoolSpec,
  status: v.optional(IpPoolStatus),
});
export type IpPool = v.InferOutput<typeof IpPool>;
