// Namespace ids: the number under which one namespace knows another one. A link's master in
// another namespace is named by such an id.
//
//   rtgenmsg  +0 u8 family, then attributes
import type { NetlinkBatch } from './batch.ts';
import * as k from './constants.ts';
import { eachAttribute, type NetlinkMessage, numberIn } from './reader.ts';

const rtgenmsg = new Uint8Array(4);
/** "Any free number" in a request, "none assigned" in an answer; -1 as the kernel writes it. */
const NSID_NOT_ASSIGNED = 0xffff_ffff;

/** Gives the namespace behind an open file an id in the socket's namespace; EEXIST if it has one. */
export function addNewNetnsId(batch: NetlinkBatch, descriptor: number): void {
  batch.add({ type: k.RTM_NEWNSID, flags: 0, header: rtgenmsg }, (out) => {
    out.u32(k.NETNSA_FD, descriptor);
    out.u32(k.NETNSA_NSID, NSID_NOT_ASSIGNED);
  });
}

/** Asks for the id of the namespace behind an open file. */
export function addGetNetnsId(batch: NetlinkBatch, descriptor: number): void {
  batch.add({ type: k.RTM_GETNSID, flags: 0, header: rtgenmsg }, (out) => {
    out.u32(k.NETNSA_FD, descriptor);
  });
}

/** Reads an answer; undefined if no id is assigned. */
export function readNetnsId({ type, view, start, end }: NetlinkMessage): number | undefined {
  let id: number | undefined;
  if (type !== k.RTM_NEWNSID) return undefined;
  eachAttribute({ view, start: start + 4, end }, (attribute) => {
    if (attribute.type === k.NETNSA_NSID) id = numberIn(attribute);
  });
  return id === NSID_NOT_ASSIGNED ? undefined : id;
}
