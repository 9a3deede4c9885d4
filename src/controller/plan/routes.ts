// What the original's `routeStatus` says, from what the daemons report of themselves. Daemons set
// their own routes (design D4); the controller only counts. A host that does not report is Unknown,
// never Success (W-46, W-47, W-58).
import { listNames } from './problem.ts';

/** Hosts whose own words are repeated. */
const QUOTED_MAX = 3;

export type RouteStatus = 'N/A' | 'WaitForRoutes' | 'Unknown' | 'Success' | 'Failed';

export interface RouteHost {
  readonly name: string;
  /** Status of its `RoutesReady` condition; undefined when it has none. */
  readonly routes: 'True' | 'False' | 'Unknown' | undefined;
  /** What the condition says for people. */
  readonly message?: string;
  /** Whether its daemon's pod is ready. */
  readonly hasDaemon: boolean;
}

export interface RouteFinding {
  readonly status: RouteStatus;
  /** The original's words where it has any, with the names of the hosts (spec api 3.3.5). */
  readonly message: string;
}

/** `hosts`: those with an index in the network. */
export function planRouteStatus(isRouted: boolean, hosts: readonly RouteHost[]): RouteFinding {
  if (!isRouted) return { status: 'N/A', message: '' };
  if (hosts.length < 2) return { status: 'Success', message: '' }; // no peers, so no routes
  const named = (routes: RouteHost['routes']): RouteHost[] =>
    hosts.filter((host) => host.routes === routes);
  const failed = named('False');
  if (failed.length > 0) {
    const message = `some route cannot be applied, need attention: ${list(failed)}`;
    return { status: 'Failed', message: message + quote(failed) };
  }
  const silent = named(undefined);
  const away = silent.filter(({ hasDaemon }) => !hasDaemon);
  if (away.length > 0) {
    return { status: 'Unknown', message: `some daemon cannot be connected: ${list(away)}` };
  }
  if (silent.length > 0) {
    return { status: 'Unknown', message: `no report of routes from ${list(silent)}` };
  }
  const waiting = named('Unknown');
  if (waiting.length > 0) {
    return { status: 'WaitForRoutes', message: `waiting for route update: ${list(waiting)}` };
  }
  return { status: 'Success', message: '' };
}

/** What the first hosts say of themselves: with thousands, each has much the same to say. */
function quote(hosts: readonly RouteHost[]): string {
  const said = hosts.filter(({ message = '' }) => message !== '').slice(0, QUOTED_MAX);
  return said.map(({ name, message }) => `; ${name}: ${message}`).join('');
}

function list(hosts: readonly RouteHost[]): string {
  return listNames(hosts.map(({ name }) => name));
}
