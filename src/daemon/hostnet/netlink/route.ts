// Route messages: adding and removing unicast routes, and reading a dump of them.
//
//   rtmsg  +0 u8 family  +1 u8 destination prefix  +2 u8 source prefix  +3 u8 tos
//          +4 u8 table   +5 u8 protocol  +6 u8 scope  +7 u8 type  +8 u32 flags
import type { NetlinkBatch } from './batch.ts';
import * as k from './constants.ts';
import { addressBytes, addressText, blockBytes, unspecified } from './ip-bytes.ts';
import { type Attribute, bytesIn, eachAttribute, type NetlinkMessage, numberIn } from './reader.ts';

/** A next hop: a gateway, '' for none, and the link, 0 if the kernel shall find it. */
export interface Nexthop {
  readonly via: string;
  readonly interfaceIndex: number;
}

/** A unicast route; more than one next hop makes it a multipath route. */
export interface RouteRecord {
  readonly destination: string;
  readonly table: number;
  readonly protocol: number;
  readonly metric: number;
  readonly nexthops: readonly Nexthop[];
}

/** What a change needs to know of a route. */
export type RouteChange = Omit<RouteRecord, 'metric'>;

interface RouteHeader {
  family: number;
  prefix?: number;
  table: number;
  protocol: number;
  scope?: number;
  type?: number;
}

function rtmsg(o: RouteHeader): Uint8Array {
  const view = new DataView(new ArrayBuffer(12));
  view.setUint8(0, o.family);
  view.setUint8(1, o.prefix ?? 0);
  // Tables above 255 are carried by the RTA_TABLE attribute only.
  view.setUint8(4, o.table < 256 ? o.table : 0);
  view.setUint8(5, o.protocol);
  view.setUint8(6, o.scope ?? 0);
  view.setUint8(7, o.type ?? 0);
  return new Uint8Array(view.buffer);
}

/** How a new route behaves towards another one with the same destination and metric. */
const newRouteFlags = {
  /** EEXIST, whoever made the other one. */
  exclusive: k.NLM_F_CREATE | k.NLM_F_EXCL,
  /** Beside it, after it. EEXIST only if both are the same. */
  append: k.NLM_F_CREATE | k.NLM_F_APPEND,
  /** Beside it, before it. EEXIST only if both are the same. */
  prepend: k.NLM_F_CREATE,
};

/** Adds a route. */
export function addNewRoute(
  batch: NetlinkBatch,
  o: { route: RouteChange; beside: keyof typeof newRouteFlags },
): void {
  const { route } = o;
  const isDirect = route.nexthops.every((hop) => hop.via === '');
  const scope = isDirect ? k.RT_SCOPE_LINK : k.RT_SCOPE_UNIVERSE;
  const flags = newRouteFlags[o.beside];
  addRoute(batch, { type: k.RTM_NEWROUTE, flags, scope, routeType: k.RTN_UNICAST, route });
}

/** Removes the route that has this destination, table, protocol and these next hops; else ESRCH. */
export function addDeleteRoute(batch: NetlinkBatch, route: RouteChange): void {
  const scope = k.RT_SCOPE_NOWHERE; // any scope
  addRoute(batch, { type: k.RTM_DELROUTE, flags: 0, scope, routeType: 0, route });
}

function addRoute(
  batch: NetlinkBatch,
  o: { type: number; flags: number; scope: number; routeType: number; route: RouteChange },
): void {
  const { route } = o;
  const { family, bytes, prefix } = blockBytes(route.destination);
  const header = rtmsg({ ...route, family, prefix, scope: o.scope, type: o.routeType });
  batch.add({ type: o.type, flags: o.flags, header }, (out) => {
    if (prefix > 0) out.bytes(k.RTA_DST, bytes);
    out.u32(k.RTA_TABLE, route.table);
    const [only, ...others] = route.nexthops;
    if (only !== undefined && others.length === 0) {
      if (only.via !== '') out.bytes(k.RTA_GATEWAY, addressBytes(only.via).bytes);
      if (only.interfaceIndex > 0) out.u32(k.RTA_OIF, only.interfaceIndex);
      return;
    }
    out.nested(k.RTA_MULTIPATH, (hops) => {
      for (const { via, interfaceIndex } of route.nexthops) {
        hops.nexthop(interfaceIndex, (hop) => {
          if (via !== '') hop.bytes(k.RTA_GATEWAY, addressBytes(via).bytes);
        });
      }
    });
  });
}

/** Asks for unicast routes of a family; the kernel filters by table and protocol, 0 means any. */
export function addDumpRoutes(
  batch: NetlinkBatch,
  o: { family: number; table: number; protocol: number },
): void {
  const header = rtmsg({ ...o, type: k.RTN_UNICAST });
  batch.add({ type: k.RTM_GETROUTE, flags: 0, header }, (out) => {
    if (o.table > 0) out.u32(k.RTA_TABLE, o.table);
  });
}

/**
 * Reads a route message; undefined for anything but a unicast route that answers `asked`. Kernels
 * before 4.20 do not filter, and one without IPv6 answers its dump with IPv4 routes.
 */
export function readRoute(
  message: NetlinkMessage,
  asked: { family: number; table: number; protocol: number },
): RouteRecord | undefined {
  const { view, start, end } = message;
  if (message.type !== k.RTM_NEWROUTE || view.getUint8(start) !== asked.family) return undefined;
  if (view.getUint8(start + 7) !== k.RTN_UNICAST) return undefined;
  const protocol = view.getUint8(start + 5);
  if (asked.protocol > 0 && protocol !== asked.protocol) return undefined;
  const draft = { table: view.getUint8(start + 4), metric: 0, via: '', interfaceIndex: 0 };
  let base = unspecified(asked.family);
  let multipath: Attribute | undefined;
  eachAttribute({ view, start: start + 12, end }, (attribute) => {
    if (attribute.type === k.RTA_TABLE) draft.table = numberIn(attribute);
    else if (attribute.type === k.RTA_PRIORITY) draft.metric = numberIn(attribute);
    else if (attribute.type === k.RTA_DST) base = addressText(bytesIn(attribute));
    else if (attribute.type === k.RTA_MULTIPATH) multipath = attribute;
    else readHopAttribute(attribute, draft);
  });
  if (asked.table > 0 && draft.table !== asked.table) return undefined;
  const { table, metric, via, interfaceIndex } = draft;
  return {
    destination: `${base}/${view.getUint8(start + 1)}`,
    table,
    protocol,
    metric,
    nexthops: multipath === undefined ? [{ via, interfaceIndex }] : readMultipath(multipath),
  };
}

function readHopAttribute(
  attribute: Attribute,
  hop: { via: string; interfaceIndex: number },
): void {
  if (attribute.type === k.RTA_GATEWAY) hop.via = addressText(bytesIn(attribute));
  else if (attribute.type === k.RTA_OIF) hop.interfaceIndex = numberIn(attribute);
  // RTA_VIA: u16 family, then the address; an IPv4 route over an IPv6 gateway.
  else if (attribute.type === k.RTA_VIA) hop.via = addressText(bytesIn(attribute).subarray(2));
}

function readMultipath({ view, start, end }: Attribute): Nexthop[] {
  const hops: Nexthop[] = [];
  let at = start;
  while (at + 8 <= end) {
    const length = view.getUint16(at, true);
    if (length < 8 || at + length > end) return hops;
    const hop = { via: '', interfaceIndex: view.getInt32(at + 4, true) };
    eachAttribute({ view, start: at + 8, end: at + length }, (a) => readHopAttribute(a, hop));
    hops.push(hop);
    at += (length + 3) & ~3;
  }
  return hops;
}
