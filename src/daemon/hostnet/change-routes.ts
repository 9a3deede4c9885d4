// Changing the host's routes without ever touching one of another protocol. Shared by the back
// ends, which only know how to add and remove.
//
// The kernel's own replace would replace whatever has the same destination, so it is not used. A
// route is first added exclusively. Where that finds the destination taken, ours are looked up:
// if we hold it, the new next hop is added beside the old one, which is then removed by its exact
// next hop and protocol, so packets always find a route; if we do not, EEXIST is reported.
import { canonicalCidr } from '../../shared/model/ip/cidr.ts';
import { canonicalAddress } from './canonical-address.ts';
import type { FailedRoute, HostRoute } from './host-net.ts';

/** Protocol numbers up to this one belong to the kernel and to administrators. */
const SYSTEM_PROTOCOL_MAX = 4;

/** errno values of a removal that mean that there is nothing left to remove. */
const absentErrnos = new Set(['ESRCH', 'ENODEV', 'ENOENT']);

/** What a back end can do with routes; each call does all it can and names what was refused. */
export interface RouteWriter {
  /** 'exclusive': EEXIST if the destination is taken; 'append': beside what is there. */
  add(routes: readonly HostRoute[], beside: 'exclusive' | 'append'): FailedRoute[];
  /** Only a route with this table, protocol and next hop; ESRCH if there is none. */
  remove(routes: readonly HostRoute[]): FailedRoute[];
  /** The routes of one protocol in one table. */
  own(key: { protocol: number; table: number }): HostRoute[];
}

/** See HostNet.changeRoutes. */
export function changeHostRoutes(
  writer: RouteWriter,
  o: { add: readonly HostRoute[]; remove: readonly HostRoute[] },
): { failed: FailedRoute[] } {
  for (const { protocol } of [...o.add, ...o.remove]) assertOurs(protocol);
  const refused = o.add.filter(isDefault).map((route) => ({ route, errno: 'EINVAL' }));
  const wanted = o.add.filter((route) => !isDefault(route));
  const added = writer.add(wanted, 'exclusive');
  const taken = added.filter(({ errno }) => errno === 'EEXIST').map(({ route }) => route);
  const replaced = replaceOwn(writer, taken);
  const unwanted = o.remove.filter((route) => !isDefault(route));
  const removed = removePresent(writer, unwanted);
  const others = added.filter(({ errno }) => errno !== 'EEXIST');
  return { failed: [...refused, ...others, ...replaced, ...removed] };
}

/** Throws RangeError for protocols that are not for programs like this one. */
export function assertOurs(protocol: number): void {
  if (protocol <= SYSTEM_PROTOCOL_MAX || protocol > 255) {
    throw new RangeError(`routes of protocol ${protocol} are not ours to change`);
  }
}

const isDefault = (route: HostRoute): boolean => route.destination.endsWith('/0');

function removePresent(writer: RouteWriter, routes: readonly HostRoute[]): FailedRoute[] {
  return writer.remove(routes).filter(({ errno }) => !absentErrnos.has(errno));
}

function replaceOwn(writer: RouteWriter, taken: readonly HostRoute[]): FailedRoute[] {
  if (taken.length === 0) return [];
  const held = ownByPlace(writer, taken);
  const append: HostRoute[] = [];
  const foreign: FailedRoute[] = [];
  const stale = new Map<HostRoute, HostRoute[]>();
  for (const route of taken) {
    const mine = held.get(placeOf(route)) ?? [];
    const old = mine.filter((other) => !isSameHop(other, route));
    if (mine.length === 0) foreign.push({ route, errno: 'EEXIST' });
    else if (old.length === mine.length) append.push(route);
    stale.set(route, old);
  }
  const failed = writer.add(append, 'append');
  // Where the new next hop was refused, the old one stays.
  for (const { route } of failed) stale.delete(route);
  return [...foreign, ...failed, ...removePresent(writer, [...stale.values()].flat())];
}

function ownByPlace(writer: RouteWriter, taken: readonly HostRoute[]): Map<string, HostRoute[]> {
  const keys = new Map(
    taken.map(({ protocol, table }) => [`${protocol}/${table}`, { protocol, table }]),
  );
  const held = new Map<string, HostRoute[]>();
  for (const route of [...keys.values()].flatMap((key) => writer.own(key))) {
    const place = placeOf(route);
    const list = held.get(place) ?? [];
    list.push(route);
    held.set(place, list);
  }
  return held;
}

/** Key of what one route can exist for; the destination in canonical text, as dumps have it. */
const placeOf = ({ destination, table, protocol }: HostRoute): string =>
  `${canonicalCidr(destination)} ${table} ${protocol}`;

const isSameHop = (a: HostRoute, b: HostRoute): boolean =>
  a.interfaceIndex === b.interfaceIndex && canonicalAddress(a.via) === canonicalAddress(b.via);
