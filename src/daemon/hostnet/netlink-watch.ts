// Notifications about the host's links, addresses and routes. The socket is read as a stream: the
// event loop wakes up when something happened and at no other time, and hands over all waiting
// datagrams in one chunk.
import { DomainError } from '../../shared/model/errors.ts';
import type { HostNetEvent } from './host-net.ts';
import * as k from './netlink/constants.ts';
import { type NetlinkMessage, readMessages } from './netlink/reader.ts';
import type { NetlinkSocket } from './netlink/socket.ts';

type OnEvent = (what: HostNetEvent) => void;

const allEvents: readonly HostNetEvent[] = ['link', 'address', 'route'];

const eventOf: Record<number, HostNetEvent> = {
  [k.RTM_NEWLINK]: 'link',
  [k.RTM_DELLINK]: 'link',
  [k.RTM_NEWADDR]: 'address',
  [k.RTM_DELADDR]: 'address',
  [k.RTM_NEWROUTE]: 'route',
  [k.RTM_DELROUTE]: 'route',
};

/**
 * Reports until `signal` aborts. `open` gives a socket that has joined its groups. When the kernel
 * had to drop notifications, a new socket is opened first and then everything is reported as
 * changed, so that nothing falls between.
 */
export async function watchNetlink(
  open: () => NetlinkSocket,
  onEvent: OnEvent,
  signal: AbortSignal,
): Promise<void> {
  for (let isFirst = true; !signal.aborted; isFirst = false) {
    using socket = open();
    if (!isFirst) for (const what of allEvents) onEvent(what);
    await readUntilLost(socket, onEvent, signal);
  }
}

/** Returns when notifications were lost or `signal` aborted. */
async function readUntilLost(
  socket: NetlinkSocket,
  onEvent: OnEvent,
  signal: AbortSignal,
): Promise<void> {
  const reader = Bun.file(socket.descriptor).stream().getReader();
  const stop = (): void => void reader.cancel().catch(() => undefined);
  signal.addEventListener('abort', stop);
  try {
    for (;;) {
      const chunk = await reader.read().catch(toLost);
      if (chunk === 'lost' || chunk.done || signal.aborted) return;
      for (const what of eventsIn(chunk.value)) onEvent(what);
    }
  } finally {
    signal.removeEventListener('abort', stop);
    stop();
  }
}

/** ENOBUFS is how the kernel says that it dropped notifications. */
function toLost(error: unknown): 'lost' {
  if (error instanceof Error && 'code' in error && error.code === 'ENOBUFS') return 'lost';
  throw new DomainError('io-failed', 'cannot receive network notifications', { cause: error });
}

/** What changed, each kind once. A chunk that cannot be read to its end may have held anything. */
function eventsIn(chunk: Uint8Array): Iterable<HostNetEvent> {
  const events = new Set<HostNetEvent>();
  let readBytes = 0;
  for (const message of readMessages(new DataView(chunk.buffer, chunk.byteOffset, chunk.length))) {
    const what = eventOf[message.type];
    if (what !== undefined && !isOwnMatterOfKernel(message)) events.add(what);
    readBytes = message.end;
  }
  return readBytes + 3 < chunk.length ? allEvents : events;
}

/**
 * Of the routes that the kernel keeps itself, only those to the networks of NICs matter: see
 * `watch`. Bytes of struct rtmsg: 0 family, 4 table, 5 protocol, 7 type.
 */
function isOwnMatterOfKernel({ type, view, start, end }: NetlinkMessage): boolean {
  if (eventOf[type] !== 'route' || start + 7 >= end) return false;
  if (view.getUint8(start + 5) !== k.RTPROT_KERNEL) return false;
  const isToNetwork =
    view.getUint8(start) === k.AF_INET &&
    view.getUint8(start + 4) === k.RT_TABLE_MAIN &&
    view.getUint8(start + 7) === k.RTN_UNICAST;
  return !isToNetwork;
}
