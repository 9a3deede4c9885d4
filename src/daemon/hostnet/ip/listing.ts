// Reads what `ip -json` prints. Only the fields used here are checked; others may come and go.
import * as v from 'valibot';
import type { HostLink, LinkAddress, PodLink } from '../host-net.ts';

const Address = v.looseObject({
  family: v.string(),
  local: v.optional(v.string()),
  prefixlen: v.number(),
  scope: v.optional(v.string()),
  secondary: v.optional(v.boolean()),
  temporary: v.optional(v.boolean()),
});

const Link = v.looseObject({
  ifindex: v.number(),
  ifname: v.string(),
  flags: v.array(v.string()),
  mtu: v.number(),
  group: v.optional(v.string(), 'default'),
  address: v.optional(v.string(), ''),
  link: v.optional(v.nullable(v.string())),
  link_index: v.optional(v.number()),
  link_netnsid: v.optional(v.number()),
  master: v.optional(v.string()),
  linkinfo: v.optional(
    v.looseObject({
      info_kind: v.optional(v.string(), ''),
      info_data: v.optional(v.looseObject({ mode: v.optional(v.string()) })),
    }),
  ),
  addr_info: v.optional(v.array(v.unknown()), []),
});
type Link = v.InferOutput<typeof Link>;

const Nexthop = v.looseObject({ gateway: v.optional(v.string()), dev: v.optional(v.string()) });

const Route = v.looseObject({
  dst: v.string(),
  gateway: v.optional(v.string()),
  dev: v.optional(v.string()),
  protocol: v.optional(v.string()),
  metric: v.optional(v.number()),
  type: v.optional(v.string()),
  nexthops: v.optional(v.array(Nexthop)),
});

/** A route as listed: a next hop's link is named. */
export interface ListedRoute {
  readonly destination: string;
  /** 0 if the listing was filtered by protocol, which leaves it out. */
  readonly protocol: number;
  readonly metric: number;
  readonly nexthops: readonly { readonly via: string; readonly interfaceName: string }[];
}

/** Reads `ip -json -details -N address show`. */
export function readHostLinks(listing: readonly unknown[]): HostLink[] {
  const links = readLinks(listing);
  const indexOf = (name: string | null | undefined): number =>
    links.find((link) => link.ifname === name)?.ifindex ?? 0;
  return links.map((link) => {
    const kind = kindOf(link);
    return {
      index: link.ifindex,
      name: link.ifname,
      kind,
      mtu: link.mtu,
      mac: link.address,
      up: link.flags.includes('UP'),
      running: link.flags.includes('LOWER_UP') && link.flags.includes('UP'),
      loopback: link.flags.includes('LOOPBACK'),
      parentIndex: kind === 'veth' || link.link_netnsid !== undefined ? 0 : indexOf(link.link),
      masterIndex: indexOf(link.master),
      group: groupNumber(link.group),
      addresses: readAddresses(link),
    };
  });
}

/** Reads `ip -json -details -N address show` of a pod's namespace; without loopback. */
export function readPodLinks(listing: readonly unknown[]): PodLink[] {
  return readLinks(listing)
    .filter((link) => !link.flags.includes('LOOPBACK'))
    .map((link) => {
      const kind = kindOf(link);
      return {
        name: link.ifname,
        index: link.ifindex,
        mac: link.address,
        mtu: link.mtu,
        kind,
        mode: link.linkinfo?.info_data?.mode ?? '',
        group: groupNumber(link.group),
        up: link.flags.includes('UP'),
        parentIndex: kind === 'veth' ? 0 : (link.link_index ?? 0),
        addresses: readAddresses(link),
      };
    });
}

/** Reads `ip -json -N route show`; only unicast routes. `family` completes short destinations. */
export function readRoutes(listing: readonly unknown[], family: 4 | 6): ListedRoute[] {
  return v
    .parse(v.array(Route), listing)
    .filter((route) => route.type === undefined || route.type === 'unicast' || route.type === '1')
    .map((route) => ({
      destination: fullDestination(route.dst, family),
      protocol: Number(route.protocol ?? 0),
      metric: route.metric ?? 0,
      nexthops: (route.nexthops ?? [route]).map((hop) => ({
        via: hop.gateway ?? '',
        interfaceName: hop.dev ?? '',
      })),
    }));
}

function readLinks(listing: readonly unknown[]): Link[] {
  // `ip address show` prints empty objects for links that a filter leaves out.
  const entries = listing.filter((entry) => Object.keys(Object(entry)).length > 0);
  return v.parse(v.array(Link), entries).sort((a, b) => a.ifindex - b.ifindex);
}

const kindOf = (link: Link): string => link.linkinfo?.info_kind ?? '';

/** Group 0 has a name in every installation. */
const groupNumber = (text: string): number => (text === 'default' ? 0 : Number(text));

/** `default` and single addresses are printed without a length. */
function fullDestination(text: string, family: 4 | 6): string {
  if (text === 'default') return family === 4 ? '0.0.0.0/0' : '::/0';
  if (text.includes('/')) return text;
  return `${text}/${family === 4 ? 32 : 128}`;
}

function readAddresses(link: Link): LinkAddress[] {
  // Links without addresses have one empty object in this place.
  const entries = link.addr_info.filter((entry) => Object.keys(Object(entry)).length > 0);
  const parsed = v.parse(v.array(Address), entries);
  const isLater = (a: (typeof parsed)[number]): boolean =>
    a.secondary === true || a.temporary === true;
  return [...parsed.filter((a) => !isLater(a)), ...parsed.filter(isLater)].map((a) => ({
    family: a.family === 'inet' ? 4 : 6,
    address: a.local ?? '',
    prefix: a.prefixlen,
    scope: scopeName(a.scope),
  }));
}

/** With numeric output: 0 is global, 253 link, 254 host; names otherwise. */
function scopeName(scope: string | undefined): LinkAddress['scope'] {
  if (scope === 'global' || scope === '0') return 'global';
  if (scope === 'link' || scope === '253') return 'link';
  return scope === 'host' || scope === '254' ? 'host' : 'other';
}
