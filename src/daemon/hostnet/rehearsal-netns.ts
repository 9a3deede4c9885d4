// A pod's namespace that does not exist. Whatever is asked for in it is written as it would be, and
// then a description of the host's loopback is asked for instead, so that nothing changes anywhere
// while everything that writes and reads messages runs.
import type { NetnsHandle } from './host-net.ts';
import type { LinkIoctl } from './link-ioctl.ts';
import { NetlinkBatch } from './netlink/batch.ts';
import { addGetLink } from './netlink/link.ts';
import type { NetlinkSocket, RequestSocket } from './netlink/socket.ts';
import { createPodLinks } from './netlink-create.ts';

/** The loopback is the first link of every namespace. */
const LOOPBACK_INDEX = 1;

/** See HostNet.openRehearsal. */
export function openRehearsalNetns(o: { socket: NetlinkSocket; links: LinkIoctl }): NetnsHandle {
  const harmless: RequestSocket = {
    request: (batch, onReply) => {
      batch.slice({ start: 0, end: batch.count, sequence: 1, lastFlags: 0 });
      const instead = new NetlinkBatch();
      for (let n = 0; n < batch.count; n += 1) addGetLink(instead, { index: LOOPBACK_INDEX });
      return o.socket.request(instead, onReply);
    },
  };
  const sockets = { pod: harmless, host: harmless, hostLinks: o.links };
  const context = { ...sockets, podNetnsDescriptor: 0, faults: undefined };
  return {
    id: '0:0',
    enter: () => undefined,
    links: () => [],
    createLinks: (requests) =>
      createPodLinks(
        context,
        requests.map((request) => ({ ...request, parentIndex: LOOPBACK_INDEX })),
      ),
    deleteLinks: () => ({ deleted: 0 }),
    addRoutes: () => undefined,
    routes: () => [],
    [Symbol.dispose]: () => undefined,
  };
}
