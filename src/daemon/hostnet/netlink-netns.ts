// A pod's namespace over rtnetlink. Everything goes through one socket that was opened inside and
// the host's own, so no call here changes the thread's namespace.
import type { NetnsHandle, PodLink, PodRoute, PodRouteRequest } from './host-net.ts';
import { routeFailure } from './link-failure.ts';
import type { LinkIoctl } from './link-ioctl.ts';
import { NetlinkBatch } from './netlink/batch.ts';
import * as k from './netlink/constants.ts';
import { dumpAddresses, dumpLinks, dumpRoutes } from './netlink/dumps.ts';
import { addDeleteRoute, addNewRoute, type RouteChange } from './netlink/route.ts';
import type { NetlinkSocket } from './netlink/socket.ts';
import { createPodLinks } from './netlink-create.ts';
import { removeGroup, removeLinks } from './netlink-remove.ts';
import type { NetnsFile } from './netns-file.ts';
import { isPodLinkKind } from './pod-link-request.ts';
import { isAutomaticProtocol } from './route-protocol.ts';
import { toPodLink } from './to-pod-link.ts';

/** What a handle works with. It owns `netns`, and borrows what is the host's. */
export interface NetlinkNetnsParts {
  readonly netns: NetnsFile;
  /** Opens a socket inside, which the handle owns; called when one is needed first. */
  readonly openSocket: () => NetlinkSocket;
  readonly hostSocket: NetlinkSocket;
  readonly hostLinks: LinkIoctl;
}

/** A handle on a pod's namespace. */
export function openNetlinkNetns(parts: NetlinkNetnsParts): NetnsHandle {
  const { netns, hostSocket: host, hostLinks } = parts;
  let opened: NetlinkSocket | undefined;
  let isDisposed = false;
  const socket = (): NetlinkSocket => {
    if (isDisposed) throw new Error('the handle on the namespace was disposed');
    opened ??= parts.openSocket();
    return opened;
  };
  const podNetnsDescriptor = netns.descriptor;
  return {
    id: netns.id,
    enter: () => void socket(),
    links: () => listLinks(socket()),
    createLinks: (requests, faults) =>
      createPodLinks({ pod: socket(), host, hostLinks, podNetnsDescriptor, faults }, requests),
    deleteLinks: (o) => deleteLinks(socket(), o),
    addRoutes: (routes) => addRoutes(socket(), routes),
    routes: () => listRoutes(socket()),
    [Symbol.dispose]: () => {
      isDisposed = true;
      opened?.[Symbol.dispose]();
      netns[Symbol.dispose]();
    },
  };
}

function listLinks(socket: NetlinkSocket): PodLink[] {
  const addresses = dumpAddresses(socket);
  return dumpLinks(socket)
    .filter((link) => (link.flags & k.IFF_LOOPBACK) === 0)
    .map((link) => toPodLink(link, addresses.get(link.index) ?? []))
    .sort((a, b) => a.index - b.index);
}

function deleteLinks(
  socket: NetlinkSocket,
  { group, names }: { group: number; names: readonly string[] },
): { deleted: number } {
  const members = dumpLinks(socket).filter((link) => link.group === group);
  if (members.length === 0) return { deleted: 0 };
  if (group > 0 && removeGroup(socket, group)) return { deleted: members.length };
  const left = members.filter((link) => names.includes(link.name) && isPodLinkKind(link.kind));
  removeLinks(
    socket,
    left.map((link) => link.index),
  );
  return { deleted: left.length };
}

function listRoutes(socket: NetlinkSocket): PodRoute[] {
  const names = new Map(dumpLinks(socket).map((link) => [link.index, link.name]));
  return dumpRoutes(socket, { protocol: 0, table: k.RT_TABLE_MAIN })
    .filter((route) => !isAutomaticProtocol(route.protocol))
    .map(({ destination, protocol, nexthops }) => ({
      destination,
      protocol,
      nexthops: nexthops.map(({ via, interfaceIndex }) => ({
        via,
        interfaceName: names.get(interfaceIndex) ?? '',
      })),
    }));
}

function addRoutes(socket: NetlinkSocket, routes: readonly PodRouteRequest[]): void {
  const indices = new Map(dumpLinks(socket).map((link) => [link.name, link.index]));
  const changes = routes.map((route) => toRouteChange(route, indices));
  const batch = new NetlinkBatch();
  for (const route of changes) addNewRoute(batch, { route, beside: 'prepend' });
  const outcomes = socket.request(batch);
  const position = outcomes.findIndex((outcome) => outcome.errno !== undefined);
  const refused = routes[position];
  if (refused === undefined) return;
  const undo = new NetlinkBatch();
  for (const [index, route] of changes.entries()) {
    if (outcomes[index]?.errno === undefined) addDeleteRoute(undo, route);
  }
  socket.request(undo);
  throw routeFailure({ ...refused, errno: outcomes[position]?.errno ?? 'EIO' });
}

function toRouteChange(
  { destination, nexthops }: PodRouteRequest,
  indices: ReadonlyMap<string, number>,
): RouteChange {
  const hops = nexthops.map(({ via, interfaceName }) => {
    if (interfaceName === undefined) return { via, interfaceIndex: 0 };
    const interfaceIndex = indices.get(interfaceName);
    if (interfaceIndex === undefined) {
      throw routeFailure({ destination, nexthops, errno: 'ENODEV' });
    }
    return { via, interfaceIndex };
  });
  return { destination, table: k.RT_TABLE_MAIN, protocol: k.RTPROT_BOOT, nexthops: hops };
}
