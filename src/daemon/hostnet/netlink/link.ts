// Link messages: what is sent to make, find, regroup and remove links, and how a link that the
// kernel describes is read.
//
//   ifinfomsg  +0 u8 family  +2 u16 hardware type  +4 i32 index  +8 u32 flags  +12 u32 change mask
import type { SlaveKind } from '../host-net.ts';
import type { NetlinkBatch } from './batch.ts';
import * as k from './constants.ts';
import {
  type Attribute,
  eachAttribute,
  eachSpan,
  type NetlinkMessage,
  numberIn,
  textIn,
} from './reader.ts';

const modeNumbers = {
  ipvlan: { l2: 0, l3: 1, l3s: 2 },
  macvlan: { private: 1, vepa: 2, bridge: 4, passthru: 8 },
} as const;

/** The same the other way round. */
const modeNames = {
  ipvlan: namesByNumber(modeNumbers.ipvlan),
  macvlan: namesByNumber(modeNumbers.macvlan),
};

function namesByNumber(numbers: Readonly<Record<string, number>>): Record<number, string> {
  return Object.fromEntries(Object.entries(numbers).map(([name, number]) => [number, name]));
}

/** A link as the kernel describes it. */
export interface LinkRecord {
  readonly index: number;
  readonly name: string;
  readonly kind: string;
  readonly mode: string;
  readonly flags: number;
  readonly mtu: number;
  readonly mac: string;
  readonly group: number;
  /** IFLA_LINK, or 0; an index in another namespace if `isLinkElsewhere`. */
  readonly linkIndex: number;
  readonly isLinkElsewhere: boolean;
  readonly masterIndex: number;
}

/** A link to be made on a master of the socket's namespace, in another namespace. */
export interface NewLink {
  readonly name: string;
  readonly masterIndex: number;
  /** Open file of the namespace that the link is made in. */
  readonly netnsDescriptor: number;
  readonly link: SlaveKind;
  /** 0 leaves it to the kernel, which takes the master's. */
  readonly mtu: number;
  readonly group: number;
  readonly up: boolean;
}

function ifinfomsg(o: { index?: number; flags?: number } = {}): Uint8Array {
  const view = new DataView(new ArrayBuffer(16));
  view.setInt32(4, o.index ?? 0, true);
  view.setUint32(8, o.flags ?? 0, true);
  view.setUint32(12, o.flags ?? 0, true);
  return new Uint8Array(view.buffer);
}

/**
 * Makes a link; EEXIST if the name is taken in its namespace. Kernels before 6.15 also say EEXIST
 * if a link of the socket's namespace has the name.
 */
export function addNewLink(batch: NetlinkBatch, o: NewLink): void {
  const header = ifinfomsg(o.up ? { flags: k.IFF_UP } : {});
  const flags = k.NLM_F_CREATE | k.NLM_F_EXCL;
  batch.add({ type: k.RTM_NEWLINK, flags, header }, (out) => {
    out.text(k.IFLA_IFNAME, o.name);
    out.u32(k.IFLA_LINK, o.masterIndex);
    out.u32(k.IFLA_NET_NS_FD, o.netnsDescriptor);
    out.u32(k.IFLA_GROUP, o.group);
    if (o.mtu > 0) out.u32(k.IFLA_MTU, o.mtu);
    out.nested(k.IFLA_LINKINFO, (info) => {
      info.text(k.IFLA_INFO_KIND, o.link.kind);
      info.nested(k.IFLA_INFO_DATA, (data) => {
        if (o.link.kind === 'ipvlan') data.u16(k.IFLA_IPVLAN_MODE, modeNumbers.ipvlan[o.link.mode]);
        else data.u32(k.IFLA_MACVLAN_MODE, modeNumbers.macvlan[o.link.mode]);
      });
    });
  });
}

/** Asks for one link, by index or by name; ENODEV if there is none. */
export function addGetLink(batch: NetlinkBatch, o: { index: number } | { name: string }): void {
  const header = 'index' in o ? ifinfomsg({ index: o.index }) : ifinfomsg();
  batch.add({ type: k.RTM_GETLINK, flags: 0, header }, (out) => {
    if ('name' in o) out.text(k.IFLA_IFNAME, o.name);
    out.u32(k.IFLA_EXT_MASK, k.RTEXT_FILTER_SKIP_STATS);
  });
}

/** Asks for all links; for a dump. */
export function addDumpLinks(batch: NetlinkBatch): void {
  batch.add({ type: k.RTM_GETLINK, flags: 0, header: ifinfomsg() }, (out) => {
    out.u32(k.IFLA_EXT_MASK, k.RTEXT_FILTER_SKIP_STATS);
  });
}

/** Renames a link that is down, and sets it up. */
export function addRenameAndSetUp(
  batch: NetlinkBatch,
  { index, name }: { index: number; name: string },
): void {
  const header = ifinfomsg({ index, flags: k.IFF_UP });
  batch.add({ type: k.RTM_NEWLINK, flags: 0, header }, (out) => out.text(k.IFLA_IFNAME, name));
}

/** Moves a link into another group. */
export function addSetGroup(batch: NetlinkBatch, o: { index: number; group: number }): void {
  const header = ifinfomsg({ index: o.index });
  batch.add({ type: k.RTM_NEWLINK, flags: 0, header }, (out) => out.u32(k.IFLA_GROUP, o.group));
}

/**
 * Removes all links of a group with one wait for the kernel's grace period. Throws RangeError for
 * group 0, which is every link that nobody grouped (the kernel refuses it too).
 */
export function addDeleteGroup(batch: NetlinkBatch, group: number): void {
  if (group === 0) throw new RangeError('group 0 is never removed as a whole');
  batch.add({ type: k.RTM_DELLINK, flags: 0, header: ifinfomsg() }, (out) => {
    out.u32(k.IFLA_GROUP, group);
  });
}

/** Reads a link message; undefined for messages of another type. */
export function readLink(message: NetlinkMessage): LinkRecord | undefined {
  if (message.type !== k.RTM_NEWLINK) return undefined;
  const { view, start } = message;
  const index = view.getInt32(start + 4, true);
  const link = {
    index,
    name: '',
    kind: '',
    mode: '',
    flags: view.getUint32(start + 8, true),
    mtu: 0,
    mac: '',
    group: 0,
    linkIndex: -1,
    isLinkElsewhere: false,
    masterIndex: 0,
  };
  eachSpan({ view, start: start + 16, end: message.end }, (type, from, to) => {
    if (type === k.IFLA_IFNAME) link.name = textIn({ view, type, start: from, end: to });
    else if (type === k.IFLA_ADDRESS) link.mac = macText({ view, type, start: from, end: to });
    else if (type === k.IFLA_LINKINFO) readKind({ view, start: from, end: to }, link);
    else if (type === k.IFLA_LINK_NETNSID) link.isLinkElsewhere = true;
    else if (to - from >= 4) readNumber(type, view.getUint32(from, true), link);
  });
  // Kernels before 5.11 leave IFLA_LINK out when both indices happen to be equal.
  if (link.linkIndex < 0) link.linkIndex = link.isLinkElsewhere ? index : 0;
  return link;
}

function readNumber(
  type: number,
  value: number,
  link: { mtu: number; group: number; linkIndex: number; masterIndex: number },
): void {
  if (type === k.IFLA_MTU) link.mtu = value;
  else if (type === k.IFLA_GROUP) link.group = value;
  else if (type === k.IFLA_LINK) link.linkIndex = value;
  else if (type === k.IFLA_MASTER) link.masterIndex = value;
}

function readKind(
  info: { view: DataView; start: number; end: number },
  link: { kind: string; mode: string },
): void {
  const { view } = info;
  let data: Attribute | undefined;
  eachSpan(info, (type, start, end) => {
    if (type === k.IFLA_INFO_KIND) link.kind = textIn({ view, type, start, end });
    if (type === k.IFLA_INFO_DATA) data = { view, type, start, end };
  });
  if (data === undefined || (link.kind !== 'ipvlan' && link.kind !== 'macvlan')) return;
  const names = modeNames[link.kind];
  eachAttribute(data, (attribute) => {
    // The mode has number 1 in both kinds.
    if (attribute.type === k.IFLA_MACVLAN_MODE) link.mode = names[numberIn(attribute)] ?? '';
  });
}

const hexBytes = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

function macText({ view, start, end }: Attribute): string {
  let text = '';
  for (let at = start; at < end; at += 1) {
    text += at === start ? '' : ':';
    text += hexBytes[view.getUint8(at)];
  }
  return text;
}
