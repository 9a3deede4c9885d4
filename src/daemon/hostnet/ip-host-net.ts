// HostNet through the `ip` program: slower (a few ms per call instead of a fraction of one), but
// independent of bun:ffi.
import { DomainError } from '../../shared/model/errors.ts';
import { changeHostRoutes, type RouteWriter } from './change-routes.ts';
import type { FailedRoute, HostLink, HostNet, HostNetEvent, HostRoute } from './host-net.ts';
import { IpCommand } from './ip/command.ts';
import { type ListedRoute, readHostLinks, readRoutes } from './ip/listing.ts';
import { watchIp } from './ip/monitor.ts';
import { namespaceId, OpenNetns } from './ip/netns-path.ts';
import { openIpNetns } from './ip-netns.ts';

const OWN_NETNS_PATH = '/proc/self/ns/net';
const MAIN_TABLE = 254;

/** HostNet on this process's namespace, or on that at `netnsPath`. */
export function openIpHostNet(o: { netnsPath?: string } = {}): HostNet {
  const ip = new IpCommand(o.netnsPath);
  const taken = [namespaceId(OWN_NETNS_PATH), namespaceId(o.netnsPath ?? OWN_NETNS_PATH)];
  const links = (): HostLink[] => readHostLinks(ip.list(['-details', '-N', 'address', 'show']));
  const routes = ({ protocol, table = MAIN_TABLE }: { protocol: number; table?: number }) =>
    listHostRoutes(ip, links(), { protocol, table });
  return {
    links,
    routes,
    defaultRoutes: () => listDefaultRoutes(ip, links()),
    changeRoutes: (change) => changeHostRoutes(createRouteWriter(ip, links(), routes), change),
    openNetns: (path) => openIpNetns(new OpenNetns(path, taken), { ip, links }),
    watch: (onEvent: (what: HostNetEvent) => void, signal) => watchIp(ip, onEvent, signal),
    [Symbol.dispose]: () => undefined,
  };
}

function listRoutes(ip: IpCommand, filter: readonly string[], family: 4 | 6): ListedRoute[] {
  return readRoutes(ip.list([`-${family}`, '-N', 'route', 'show', ...filter]), family);
}

function listHostRoutes(
  ip: IpCommand,
  links: readonly HostLink[],
  { protocol, table }: { protocol: number; table: number },
): HostRoute[] {
  const indexOf = new Map(links.map((link) => [link.name, link.index]));
  const filter = ['table', String(table), 'proto', String(protocol), 'type', 'unicast'];
  return [...listRoutes(ip, filter, 4), ...listRoutes(ip, filter, 6)].flatMap((route) =>
    route.nexthops.map(({ via, interfaceName }) => ({
      destination: route.destination,
      via,
      interfaceIndex: indexOf.get(interfaceName) ?? 0,
      table,
      protocol,
    })),
  );
}

function listDefaultRoutes(
  ip: IpCommand,
  links: readonly HostLink[],
): ReturnType<HostNet['defaultRoutes']> {
  const indexOf = new Map(links.map((link) => [link.name, link.index]));
  const filter = ['table', String(MAIN_TABLE), 'exact', 'default', 'type', 'unicast'];
  return ([4, 6] as const).flatMap((family) =>
    listRoutes(ip, filter, family).flatMap(({ metric, nexthops }) =>
      nexthops.map(({ interfaceName }) => ({
        family,
        interfaceIndex: indexOf.get(interfaceName) ?? 0,
        metric,
      })),
    ),
  );
}

function createRouteWriter(
  ip: IpCommand,
  links: readonly HostLink[],
  own: RouteWriter['own'],
): RouteWriter {
  const nameOf = new Map(links.map((link) => [link.index, link.name]));
  const run = (verb: string, routes: readonly HostRoute[]): FailedRoute[] => {
    const known = routes.filter((route) => nameOf.has(route.interfaceIndex));
    const commands = known.map((route) => {
      const via = route.via === '' ? '' : `via ${route.via} `;
      const where = `dev ${nameOf.get(route.interfaceIndex)} table ${route.table}`;
      return `route ${verb} ${route.destination} ${via}${where} proto ${route.protocol}`;
    });
    const refused = ip.batchAll(commands).map(({ position, errno }) => {
      const route = known[position];
      if (route === undefined) throw new DomainError('io-failed', 'ip named an unknown command');
      return { route, errno };
    });
    const unknown = routes.filter((route) => !nameOf.has(route.interfaceIndex));
    return [...refused, ...unknown.map((route) => ({ route, errno: 'ENODEV' }))];
  };
  return {
    add: (routes, beside) => run(beside === 'exclusive' ? 'add' : 'append', routes),
    remove: (routes) => run('delete', routes),
    own,
  };
}
