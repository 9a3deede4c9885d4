// Whole dumps: all links, all addresses, the routes of a table.
import type { LinkAddress } from '../host-net.ts';
import { SystemCallError } from '../libc.ts';
import { addDumpAddresses, groupByLink, readAddress } from './address.ts';
import { NetlinkBatch } from './batch.ts';
import * as k from './constants.ts';
import { addDumpLinks, type LinkRecord, readLink } from './link.ts';
import { addDumpRoutes, type RouteRecord, readRoute } from './route.ts';
import type { NetlinkSocket } from './socket.ts';

/** All links of the socket's namespace. */
export function dumpLinks(socket: NetlinkSocket): LinkRecord[] {
  const batch = new NetlinkBatch();
  addDumpLinks(batch);
  return socket.dump(batch, readLink);
}

/** All addresses of the socket's namespace by link index, primary ones first. */
export function dumpAddresses(socket: NetlinkSocket): Map<number, LinkAddress[]> {
  const batch = new NetlinkBatch();
  addDumpAddresses(batch);
  return groupByLink(socket.dump(batch, readAddress));
}

/** Unicast routes of a table in both families; protocol 0 means any. */
export function dumpRoutes(
  socket: NetlinkSocket,
  o: { protocol: number; table: number },
): RouteRecord[] {
  return [k.AF_INET, k.AF_INET6].flatMap((family) => {
    const asked = { ...o, family };
    const batch = new NetlinkBatch();
    addDumpRoutes(batch, asked);
    try {
      return socket.dump(batch, (message) => readRoute(message, asked));
    } catch (error) {
      // A table comes into being with its first route, the main table of a new namespace too.
      if (error instanceof SystemCallError && error.errno === 'ENOENT') return [];
      throw error;
    }
  });
}
