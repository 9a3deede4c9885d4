// What must hold for a batch of pod links before any kernel call is made. A broken rule is a bug
// of the caller, not an outcome: requests are built from parsed objects.
import type { PodLinkRequest } from './host-net.ts';

/** The group of links that are just being removed; the last number that `ip` accepts. */
export const DOOMED_GROUP = 0x7fff_ffff;
const NAME_BYTES_MAX = 15;

/** Throws RangeError unless the requests form one attachment: one group, distinct valid names. */
export function assertPodLinkRequests(requests: readonly PodLinkRequest[]): void {
  const names = new Set<string>();
  for (const { name, group, mtu, parentIndex } of requests) {
    assertGroup(group);
    if (group !== requests[0]?.group) throw new RangeError('one batch of links has one group');
    if (names.has(name)) throw new RangeError(`two links are to be named ${name}`);
    names.add(name);
    const length = new TextEncoder().encode(name).length;
    if (length < 1 || length > NAME_BYTES_MAX || /[\s/:]/.test(name)) {
      throw new RangeError(`bad interface name ${JSON.stringify(name)}`);
    }
    if (!Number.isInteger(mtu) || mtu < 0) throw new RangeError(`bad MTU ${mtu}`);
    if (!Number.isInteger(parentIndex) || parentIndex < 1) {
      throw new RangeError(`bad master index ${parentIndex}`);
    }
  }
}

/** Throws RangeError unless `group` can mark an attachment; 0 is every ungrouped link's group. */
function assertGroup(group: number): void {
  if (!Number.isInteger(group) || group < 1 || group >= DOOMED_GROUP) {
    throw new RangeError(`bad link group ${group}`);
  }
}

/** True for the kinds of links that are made for pods; no other link is removed by name. */
export function isPodLinkKind(kind: string): boolean {
  return kind === 'ipvlan' || kind === 'macvlan';
}
