// What the journal remembers of one attachment: who it belongs to, how far it got, and which
// links and addresses it holds. Everything DEL, CHECK and a restart need is in here.
import * as v from 'valibot';

/**
 * `intent`: addresses are taken and links may exist in part; nobody was told of them yet.
 * `attached`: the runtime got a result. `releasing`: links are being removed; cannot go back.
 *
 *     (none) -> intent -> attached -> releasing -> (none)
 *                  \__________________/
 */
export type AttachmentState = 'intent' | 'attached' | 'releasing';

/** An address of a pool, taken by an attachment. `index` is its position in the pool's pod CIDR. */
export const HeldAddress = v.object({
  pool: v.string(),
  index: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(65_535)),
  family: v.picklist([4, 6]),
  address: v.string(),
  /** Prefix length that the pod's link gets: that of the vlan CIDR. */
  prefix: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(128)),
});
export type HeldAddress = v.InferOutput<typeof HeldAddress>;

/** One link that the attachment has, or is about to have, in the pod. */
export const AttachedNic = v.object({
  /** Name in the pod; '' for an attachment whose links were made by somebody else. */
  name: v.string(),
  master: v.string(),
  netAddress: v.string(),
  kind: v.picklist(['ipvlan', 'macvlan', '']),
  mode: v.string(),
  /** As asked for: 0 takes the master's. */
  mtu: v.pipe(v.number(), v.integer(), v.minValue(0)),
  mac: v.string(),
  addresses: v.array(HeldAddress),
  routes: v.array(v.object({ destination: v.string(), via: v.optional(v.string()) })),
});
export type AttachedNic = v.InferOutput<typeof AttachedNic>;

/** A route of the attachment with next hops on several of its links. */
export const SharedRoute = v.object({
  destination: v.string(),
  nexthops: v.array(v.object({ via: v.string(), interfaceName: v.optional(v.string()) })),
});
export type SharedRoute = v.InferOutput<typeof SharedRoute>;

/** The part of a row that is stored as JSON. */
export const AttachmentBody = v.object({
  nics: v.array(AttachedNic),
  sharedRoutes: v.array(SharedRoute),
  /** Why these NICs: shown by `/v1/why`, never decided on. */
  why: v.record(v.string(), v.unknown()),
});
export type AttachmentBody = v.InferOutput<typeof AttachmentBody>;

/**
 * Identity of an attachment (CNI SPEC, section 2: container ID and interface name) on a network.
 */
export interface AttachmentKey {
  readonly network: string;
  readonly containerId: string;
  readonly ifName: string;
}

/** One row of the journal. Times are milliseconds since the epoch. */
export interface Attachment extends AttachmentKey, AttachmentBody {
  /** Never used twice, not even after the row is gone: the link group is made of it. */
  readonly id: number;
  readonly state: AttachmentState;
  /** `true`: addresses of a pod whose links this daemon did not make (taken over, old clients). */
  readonly external: boolean;
  readonly podUid: string;
  readonly podNamespace: string;
  readonly podName: string;
  readonly netnsPath: string;
  readonly netnsId: string;
  /** Kernel boot in which the namespace existed; namespaces do not survive it. */
  readonly bootId: string;
  readonly group: number;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

/** A released address that must not be used again before `untilMs`. */
export interface QuarantinedAddress {
  readonly network: string;
  readonly address: string;
  readonly pool: string;
  readonly index: number;
  readonly untilMs: number;
}

/** One line of a published pool. */
export interface PoolAllocation {
  readonly index: number;
  readonly address: string;
  readonly podName: string;
  readonly podNamespace: string;
  readonly podUid: string;
  readonly containerId: string;
  readonly ifName: string;
}

/** All addresses of an attachment, NIC by NIC. */
export function addressesOf(attachment: { readonly nics: readonly AttachedNic[] }): HeldAddress[] {
  return attachment.nics.flatMap((nic) => nic.addresses);
}

/** The identity as one string, for maps and messages; its parts cannot contain a slash. */
export function attachmentKey(key: AttachmentKey): string {
  return `${key.network}/${key.containerId}/${key.ifName}`;
}
