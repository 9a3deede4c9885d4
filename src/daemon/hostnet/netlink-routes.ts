// Changing the host's routes without ever touching one of another protocol.
//
// The kernel's own replace would replace whatever has the same destination, so it is not used. A
// route is first added exclusively. Where that finds the destination taken, ours are looked up:
// if we hold it, the new next hop is added beside the old one, which is then removed by its exact
// next hop and protocol, so packets always find a route; if we do not, EEXIST is reported.
import { canonicalCidr } from '../../shared/model/ip/cidr.ts';
import { canonicalAddress } from './canonical-address.ts';
import type { FailedRoute, HostRoute } from './host-net.ts';
import { NetlinkBatch } from './netlink/batch.ts';
import { addDeleteRoute, addNewRoute, type RouteChange } from './netlink/route.ts';
import type { NetlinkSocket } from './netlink/socket.ts';

/** Protocol numbers up to this one belong to the kernel and to administrators. */
const SYSTEM_PROTOCOL_MAX = 4;

/** errno values of a removal that mean that there is nothing left to remove. */
const absentErrnos = new Set(['ESRCH', 'ENODEV', 'ENOENT']);

/** Looks up the routes that exist with one protocol in one table. */
type OwnRoutes = (key: { protocol: number; table: number }) => HostRoute[];

/** See HostNet.changeRoutes. `own` is asked only if a destination was found taken. */
export function changeHostRoutes(
  socket: NetlinkSocket,
  o: { add: readonly HostRoute[]; remove: readonly HostRoute[]; own: OwnRoutes },
): { failed: FailedRoute[] } {
  for (const { protocol } of [...o.add, ...o.remove]) {
    if (protocol <= SYSTEM_PROTOCOL_MAX || protocol > 255) {
      throw new RangeError(`routes of protocol ${protocol} are not ours to change`);
    }
  }
  const isDefault = (route: HostRoute): boolean => route.destination.endsWith('/0');
  const refused = o.add.filter(isDefault).map((route) => ({ route, errno: 'EINVAL' }));
  const added = addRoutes(
    socket,
    o.add.filter((route) => !isDefault(route)),
  );
  const taken = added.filter(({ errno }) => errno === 'EEXIST').map(({ route }) => route);
  const replaced = replaceOwn(socket, taken, o.own);
  const removed = removeRoutes(
    socket,
    o.remove.filter((route) => !isDefault(route)),
  );
  const others = added.filter(({ errno }) => errno !== 'EEXIST');
  return { failed: [...refused, ...others, ...replaced, ...removed] };
}

function addRoutes(
  socket: NetlinkSocket,
  routes: readonly HostRoute[],
  beside: 'exclusive' | 'append' = 'exclusive',
): FailedRoute[] {
  const batch = new NetlinkBatch();
  for (const route of routes) addNewRoute(batch, { route: toChange(route), beside });
  return failures(socket, batch, routes);
}

function removeRoutes(socket: NetlinkSocket, routes: readonly HostRoute[]): FailedRoute[] {
  const batch = new NetlinkBatch();
  for (const route of routes) addDeleteRoute(batch, toChange(route));
  return failures(socket, batch, routes).filter(({ errno }) => !absentErrnos.has(errno));
}

function failures(
  socket: NetlinkSocket,
  batch: NetlinkBatch,
  routes: readonly HostRoute[],
): FailedRoute[] {
  const failed: FailedRoute[] = [];
  for (const [position, { errno }] of socket.request(batch).entries()) {
    const route = routes[position];
    if (errno !== undefined && route !== undefined) failed.push({ route, errno });
  }
  return failed;
}

function replaceOwn(
  socket: NetlinkSocket,
  taken: readonly HostRoute[],
  own: OwnRoutes,
): FailedRoute[] {
  if (taken.length === 0) return [];
  const held = ownByDestination(taken, own);
  const append: HostRoute[] = [];
  const foreign: FailedRoute[] = [];
  const stale = new Map<HostRoute, HostRoute[]>();
  for (const route of taken) {
    const mine = held.get(placeOf(route)) ?? [];
    if (mine.length === 0) foreign.push({ route, errno: 'EEXIST' });
    else if (!mine.some((other) => isSameHop(other, route))) append.push(route);
    stale.set(
      route,
      mine.filter((other) => !isSameHop(other, route)),
    );
  }
  const failed = addRoutes(socket, append, 'append');
  // Where the new next hop was refused, the old one stays.
  for (const { route } of failed) stale.delete(route);
  return [...foreign, ...failed, ...removeRoutes(socket, [...stale.values()].flat())];
}

function ownByDestination(taken: readonly HostRoute[], own: OwnRoutes): Map<string, HostRoute[]> {
  const keys = new Map(
    taken.map(({ protocol, table }) => [`${protocol}/${table}`, { protocol, table }]),
  );
  const held = new Map<string, HostRoute[]>();
  for (const route of [...keys.values()].flatMap(own)) {
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

function toChange(route: HostRoute): RouteChange {
  const { destination, table, protocol, via, interfaceIndex } = route;
  return { destination, table, protocol, nexthops: [{ via, interfaceIndex }] };
}
