// Address messages: giving an address to a link, and reading the addresses of all links.
//
//   ifaddrmsg  +0 u8 family  +1 u8 prefix  +2 u8 flags  +3 u8 scope  +4 u32 interface index
import type { LinkAddress } from '../host-net.ts';
import type { NetlinkBatch } from './batch.ts';
import * as k from './constants.ts';
import { addressBytes, addressText, broadcastOf } from './ip-bytes.ts';
import { type Attribute, bytesIn, eachAttribute, type NetlinkMessage, numberIn } from './reader.ts';

/** An address with the link it is on. */
export interface AddressRecord {
  readonly interfaceIndex: number;
  readonly isSecondary: boolean;
  readonly address: LinkAddress;
}

/**
 * Gives a link an address; EEXIST if it has it. IPv6 addresses skip duplicate detection: they
 * come from a pool that gives each address once, and a tentative address cannot be used at once.
 */
export function addNewAddress(
  batch: NetlinkBatch,
  o: { interfaceIndex: number; address: string; prefix: number },
): void {
  const { family, bytes } = addressBytes(o.address);
  const flags = k.NLM_F_CREATE | k.NLM_F_EXCL;
  const header = ifaddrmsg({ family, prefix: o.prefix, interfaceIndex: o.interfaceIndex });
  batch.add({ type: k.RTM_NEWADDR, flags, header }, (out) => {
    out.bytes(k.IFA_LOCAL, bytes);
    out.bytes(k.IFA_ADDRESS, bytes);
    if (family === k.AF_INET6) out.u32(k.IFA_FLAGS, k.IFA_F_NODAD);
    else if (o.prefix <= 30) out.bytes(k.IFA_BROADCAST, broadcastOf(bytes, o.prefix));
  });
}

/** Asks for all addresses of all links; for a dump. */
export function addDumpAddresses(batch: NetlinkBatch): void {
  const header = ifaddrmsg({ family: k.AF_UNSPEC, prefix: 0, interfaceIndex: 0 });
  batch.add({ type: k.RTM_GETADDR, flags: 0, header });
}

/** Reads an address message; undefined for messages and families of other kinds. */
export function readAddress(message: NetlinkMessage): AddressRecord | undefined {
  if (message.type !== k.RTM_NEWADDR) return undefined;
  const { view, start, end } = message;
  const family = view.getUint8(start);
  if (family !== k.AF_INET && family !== k.AF_INET6) return undefined;
  let local: Attribute | undefined;
  let plain: Attribute | undefined;
  let flags = view.getUint8(start + 2);
  eachAttribute({ view, start: start + 8, end }, (attribute) => {
    if (attribute.type === k.IFA_LOCAL) local = attribute;
    if (attribute.type === k.IFA_ADDRESS) plain = attribute;
    if (attribute.type === k.IFA_FLAGS) flags = numberIn(attribute);
  });
  // On a point-to-point link IFA_ADDRESS is the other end; IFA_LOCAL is always ours.
  const own = local ?? plain;
  if (own === undefined) return undefined;
  return {
    interfaceIndex: view.getUint32(start + 4, true),
    isSecondary: (flags & k.IFA_F_SECONDARY) !== 0,
    address: {
      family: family === k.AF_INET ? 4 : 6,
      address: addressText(bytesIn(own)),
      prefix: view.getUint8(start + 1),
      scope: scopeName(view.getUint8(start + 3)),
    },
  };
}

/** Addresses by link index: primary ones first, then secondary ones, each in kernel order. */
export function groupByLink(records: readonly AddressRecord[]): Map<number, LinkAddress[]> {
  const byLink = new Map<number, LinkAddress[]>();
  const primaryFirst = [
    ...records.filter((record) => !record.isSecondary),
    ...records.filter((record) => record.isSecondary),
  ];
  for (const { interfaceIndex, address } of primaryFirst) {
    const list = byLink.get(interfaceIndex) ?? [];
    list.push(address);
    byLink.set(interfaceIndex, list);
  }
  return byLink;
}

function ifaddrmsg(o: { family: number; prefix: number; interfaceIndex: number }): Uint8Array {
  const view = new DataView(new ArrayBuffer(8));
  view.setUint8(0, o.family);
  view.setUint8(1, o.prefix);
  view.setUint32(4, o.interfaceIndex, true);
  return new Uint8Array(view.buffer);
}

function scopeName(scope: number): LinkAddress['scope'] {
  if (scope === k.RT_SCOPE_UNIVERSE) return 'global';
  if (scope === k.RT_SCOPE_LINK) return 'link';
  return scope === k.RT_SCOPE_HOST ? 'host' : 'other';
}
