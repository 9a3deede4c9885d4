// The host's routes over rtnetlink: adding and removing in batches.
import type { RouteWriter } from './change-routes.ts';
import type { FailedRoute, HostRoute } from './host-net.ts';
import { NetlinkBatch } from './netlink/batch.ts';
import { dumpRoutes } from './netlink/dumps.ts';
import { addDeleteRoute, addNewRoute, type RouteChange } from './netlink/route.ts';
import type { NetlinkSocket } from './netlink/socket.ts';

/** Writes routes through a socket of the host's namespace. */
export function createNetlinkRouteWriter(socket: NetlinkSocket): RouteWriter {
  return {
    add: (routes, beside) =>
      request(socket, routes, (batch, route) => addNewRoute(batch, { route, beside })),
    remove: (routes) => request(socket, routes, addDeleteRoute),
    own: (key) => listRoutes(socket, key),
  };
}

/** The routes of one protocol in one table, one entry per next hop. */
export function listRoutes(
  socket: NetlinkSocket,
  { protocol, table }: { protocol: number; table: number },
): HostRoute[] {
  return dumpRoutes(socket, { protocol, table }).flatMap(({ destination, nexthops }) =>
    nexthops.map((hop) => ({ destination, ...hop, table, protocol })),
  );
}

function request(
  socket: NetlinkSocket,
  routes: readonly HostRoute[],
  write: (batch: NetlinkBatch, route: RouteChange) => void,
): FailedRoute[] {
  const batch = new NetlinkBatch();
  for (const { destination, table, protocol, via, interfaceIndex } of routes) {
    write(batch, { destination, table, protocol, nexthops: [{ via, interfaceIndex }] });
  }
  const failed: FailedRoute[] = [];
  for (const [position, { errno }] of socket.request(batch).entries()) {
    const route = routes[position];
    if (errno !== undefined && route !== undefined) failed.push({ route, errno });
  }
  return failed;
}
