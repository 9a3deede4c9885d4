// Which routes of the network configuration go over which link of a pod. Pure.
import { parseAddress } from '../../shared/model/ip/address.ts';
import { type Cidr, containsAddress } from '../../shared/model/ip/cidr.ts';
import type { PodLinkRoute, PodRouteRequest } from '../hostnet/host-net.ts';
import type { WantedRoute } from './attach-config.ts';

/** A link of the attachment, with the subnets that its addresses are in. */
export interface RoutableNic {
  readonly name: string;
  readonly vlanCidrs: readonly Cidr[];
}

/** Routes by link, routes over several links, and those left out. */
export interface PlannedRoutes {
  readonly byNic: ReadonlyMap<string, readonly PodLinkRoute[]>;
  readonly shared: readonly PodRouteRequest[];
  /** In the order of the configuration: what the result reports. */
  readonly installed: readonly WantedRoute[];
  /** Their gateway is on a NIC of the network that this attachment does not have. */
  readonly leftOut: readonly WantedRoute[];
  /** Gateways that no NIC of the network reaches: nothing may be attached. */
  readonly unreachable: readonly WantedRoute[];
}

/**
 * A route goes to the link whose subnet holds its gateway. Several routes to one destination become
 * one with several next hops, as does a route without gateway when there are several links.
 * `network`: the subnets of all NICs of the network, attached here or not.
 */
export function planRoutes(o: {
  wanted: readonly WantedRoute[];
  nics: readonly RoutableNic[];
  network: readonly Cidr[];
}): PlannedRoutes {
  const placed = o.wanted.map((route) => ({ route, nics: place(route, o.nics) }));
  const installed = placed.filter(({ nics }) => nics.length > 0);
  const lost = placed.filter(({ nics }) => nics.length === 0).map(({ route }) => route);
  const isElsewhere = (route: WantedRoute): boolean =>
    o.network.some((cidr) => holds(cidr, route.gw ?? ''));
  const byNic = new Map<string, PodLinkRoute[]>();
  const shared: PodRouteRequest[] = [];
  for (const [destination, routes] of Map.groupBy(installed, ({ route }) => route.dst)) {
    const hops = routes.flatMap(({ route, nics }) =>
      nics.map(({ name }) => ({ via: route.gw ?? '', interfaceName: name })),
    );
    const [first] = hops;
    if (hops.length === 1 && first !== undefined) {
      const via = first.via === '' ? {} : { via: first.via };
      byNic.set(first.interfaceName, [
        ...(byNic.get(first.interfaceName) ?? []),
        { destination, ...via },
      ]);
    } else {
      shared.push({ destination, nexthops: hops });
    }
  }
  return {
    byNic,
    shared,
    installed: installed.map(({ route }) => route),
    leftOut: lost.filter(isElsewhere),
    unreachable: lost.filter((route) => !isElsewhere(route)),
  };
}

/** The links that carry the route: one for a gateway, all of the family without. */
function place(route: WantedRoute, nics: readonly RoutableNic[]): readonly RoutableNic[] {
  const { dst, gw } = route;
  if (gw !== undefined) {
    const nic = nics.find(({ vlanCidrs }) => vlanCidrs.some((cidr) => holds(cidr, gw)));
    return nic === undefined ? [] : [nic];
  }
  const family = dst.includes(':') ? 6 : 4;
  return nics.filter(({ vlanCidrs }) => vlanCidrs.some((cidr) => cidr.family === family));
}

function holds(cidr: Cidr, text: string): boolean {
  const address = parseAddress(text);
  return address !== undefined && containsAddress(cidr, address);
}
