// A link of a pod's namespace as callers see it, from the kernel's description.
import type { LinkAddress, PodLink } from './host-net.ts';
import { IFF_UP } from './netlink/constants.ts';
import type { LinkRecord } from './netlink/link.ts';

/** The link with its addresses. */
export function toPodLink(link: LinkRecord, addresses: readonly LinkAddress[]): PodLink {
  return {
    name: link.name,
    index: link.index,
    mac: link.mac,
    mtu: link.mtu,
    kind: link.kind,
    mode: link.mode,
    group: link.group,
    up: (link.flags & IFF_UP) !== 0,
    // A veth's IFLA_LINK is its other end, not something it sits on.
    parentIndex: link.kind === 'veth' ? 0 : link.linkIndex,
    addresses,
  };
}
