// Notifications about the host's links, addresses and routes. The socket is looked at a few times
// a second instead of being waited for: an empty look costs under a microsecond, needs no thread,
// and gathers a burst of changes into one report.
import type { HostNetEvent } from './host-net.ts';
import * as k from './netlink/constants.ts';
import type { NetlinkSocket } from './netlink/socket.ts';

/** How late a change can be noticed. */
const LOOK_INTERVAL_MS = 100;
/** Datagrams per look; a longer backlog is worked off in the next ones. */
const DATAGRAMS_MAX = 1000;

const eventOf: Record<number, HostNetEvent> = {
  [k.RTM_NEWLINK]: 'link',
  [k.RTM_DELLINK]: 'link',
  [k.RTM_NEWADDR]: 'address',
  [k.RTM_DELADDR]: 'address',
  [k.RTM_NEWROUTE]: 'route',
  [k.RTM_DELROUTE]: 'route',
};

/** Reports until `signal` aborts; owns and disposes the socket, which has joined its groups. */
export async function watchNetlink(
  socket: NetlinkSocket,
  onEvent: (what: HostNetEvent) => void,
  signal: AbortSignal,
): Promise<void> {
  using _owned = socket;
  while (!signal.aborted) {
    for (const what of takeEvents(socket)) onEvent(what);
    await pause(signal);
  }
}

function takeEvents(socket: NetlinkSocket): Set<HostNetEvent> {
  const events = new Set<HostNetEvent>();
  for (let count = 0; count < DATAGRAMS_MAX; count += 1) {
    const taken = socket.takeNotification();
    if (taken === undefined) break;
    // What was lost is unknown, so everything may have changed.
    if (taken === 'lost') for (const what of Object.values(eventOf)) events.add(what);
    else for (const { type } of taken) addEvent(events, type);
  }
  return events;
}

function addEvent(events: Set<HostNetEvent>, type: number): void {
  const what = eventOf[type];
  if (what !== undefined) events.add(what);
}

function pause(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const finish = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', finish);
      resolve();
    };
    const timer = setTimeout(finish, LOOK_INTERVAL_MS);
    signal.addEventListener('abort', finish);
  });
}
