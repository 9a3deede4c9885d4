// Test equipment: one pod namespace of the in-memory host, with the kernel's rules for names,
// masters, MTU, groups and gateways as far as the daemon can notice them.

import type {
  HostLink,
  LinkAddress,
  NetnsHandle,
  PodLink,
  PodLinkRequest,
  PodRoute,
  PodRouteRequest,
} from '../../src/daemon/hostnet/host-net.ts';
import { type LinkStep, linkFailure, routeFailure } from '../../src/daemon/hostnet/link-failure.ts';
import { LINK_FAULT_POINTS, type LinkFaults } from '../../src/daemon/hostnet/link-faults.ts';
import { assertPodLinkRequests, isPodLinkKind } from '../../src/daemon/hostnet/pod-link-request.ts';
import { parseAddress } from '../../src/shared/model/ip/address.ts';
import { containsAddress, parseCidr } from '../../src/shared/model/ip/cidr.ts';

/** Everything in one pod namespace. */
export interface FakeNetns {
  readonly id: string;
  readonly links: PodLink[];
  readonly routes: PodRoute[];
  lastIndex: number;
}

/** What a pod namespace needs to know about its host. */
export interface FakeMasters {
  link(index: number): HostLink | undefined;
  /** All pod links made on this master, in every namespace. */
  slaves(index: number): PodLink[];
  /** The refusal that a test asked for, taken once. */
  takeFault(name: string, step: LinkStep): string | undefined;
}

/** A fresh pod namespace with nothing but loopback (which is never listed by the daemon's use). */
export function createFakeNetns(id: string): FakeNetns {
  return { id, links: [], routes: [], lastIndex: 1 };
}

/** A handle on `netns`. */
export function openFakeNetns(netns: FakeNetns, masters: FakeMasters): NetnsHandle {
  let open = true;
  const assertOpen = (): void => {
    if (!open) throw new Error('the namespace handle was disposed');
  };
  return {
    id: netns.id,
    enter: () => undefined,
    links: () => {
      assertOpen();
      return structuredClone(netns.links);
    },
    createLinks: (requests, faults) => {
      assertOpen();
      dieHalfway(netns, requests, faults);
      return createLinks(netns, masters, requests);
    },
    deleteLinks: (o) => {
      assertOpen();
      return deleteLinks(netns, o);
    },
    addRoutes: (routes) => {
      assertOpen();
      addRoutes(netns, routes);
    },
    routes: () => {
      assertOpen();
      return structuredClone(netns.routes);
    },
    [Symbol.dispose]: () => {
      open = false;
    },
  };
}

/** Removes pod links and what depends on them, as the kernel does. */
export function removeFakeLinks(netns: FakeNetns, isGone: (link: PodLink) => boolean): number {
  const gone = netns.links.filter(isGone);
  const names = new Set(gone.map((link) => link.name));
  netns.links.splice(0, Infinity, ...netns.links.filter((link) => !names.has(link.name)));
  const routes = netns.routes
    .map((route) => ({
      ...route,
      nexthops: route.nexthops.filter((hop) => !names.has(hop.interfaceName)),
    }))
    .filter((route) => route.nexthops.length > 0);
  netns.routes.splice(0, Infinity, ...routes);
  return gone.length;
}

function createLinks(
  netns: FakeNetns,
  masters: FakeMasters,
  requests: readonly PodLinkRequest[],
): { created: PodLink[] } {
  assertPodLinkRequests(requests);
  const before = { links: [...netns.links], routes: [...netns.routes] };
  try {
    for (const request of requests) createLink(netns, masters, request);
  } catch (error) {
    netns.links.splice(0, Infinity, ...before.links);
    netns.routes.splice(0, Infinity, ...before.routes);
    throw error;
  }
  const created = netns.links.slice(before.links.length);
  return { created: structuredClone(created) };
}

/** What a process leaves that dies on the way; it does nothing else. */
function dieHalfway(
  netns: FakeNetns,
  requests: readonly PodLinkRequest[],
  faults: LinkFaults | undefined,
): void {
  const point = LINK_FAULT_POINTS.find((name) => faults?.isActive(name));
  if (point === undefined) return;
  for (const [n, { name, link, group, addresses, parentIndex }] of requests.entries()) {
    netns.lastIndex += 1;
    netns.links.push({
      name: point === 'add-links-under-own-names' ? `mn${n}` : name,
      index: netns.lastIndex,
      mac: fakeMac(netns.lastIndex),
      mtu: 1500,
      ...link,
      group,
      up: point !== 'add-links-under-own-names',
      parentIndex,
      addresses:
        point === 'add-links-addressed' ? addresses.map((a) => ({ ...a, scope: 'global' })) : [],
    });
  }
  faults?.reach(point);
}

function createLink(netns: FakeNetns, masters: FakeMasters, request: PodLinkRequest): void {
  const found = masters.link(request.parentIndex);
  const isOther = request.parentName !== undefined && request.parentName !== found?.name;
  const master = isOther ? undefined : found;
  const refuse = (step: LinkStep, errno: string | undefined, subject?: string): void => {
    const refusal = masters.takeFault(request.name, step) ?? errno;
    if (refusal === undefined) return;
    throw linkFailure({
      request,
      step,
      errno: refusal,
      ...(master === undefined ? {} : { master: master.name, masterMtu: master.mtu }),
      ...(subject === undefined ? {} : { subject }),
    });
  };
  refuse('master', master === undefined ? 'ENODEV' : undefined);
  if (master === undefined) return;
  refuse('create', createErrno(netns, master, masters.slaves(master.index), request));
  netns.lastIndex += 1;
  const link: PodLink = {
    name: request.name,
    index: netns.lastIndex,
    mac: request.link.kind === 'ipvlan' ? master.mac : fakeMac(netns.lastIndex),
    mtu: request.mtu === 0 ? master.mtu : request.mtu,
    kind: request.link.kind,
    mode: request.link.mode,
    group: request.group,
    up: true,
    parentIndex: master.index,
    addresses: request.addresses.map((a): LinkAddress => ({ ...a, scope: 'global' })),
  };
  const texts = request.addresses.map((a) => `${a.address}/${a.prefix}`);
  const repeated = texts.find((text, position) => texts.indexOf(text) < position);
  refuse('address', repeated === undefined ? undefined : 'EEXIST', repeated ?? texts[0]);
  netns.links.push(link);
  for (const { destination, via = '' } of request.routes) {
    const nexthops = [{ via, interfaceName: link.name }];
    refuse('route', routeErrno(netns, { destination, nexthops }), destination);
    netns.routes.push({ destination, protocol: 3, nexthops });
  }
}

function createErrno(
  netns: FakeNetns,
  master: HostLink,
  slaves: readonly PodLink[],
  request: PodLinkRequest,
): string | undefined {
  const { kind, mode } = request.link;
  if (netns.links.some((link) => link.name === request.name)) return 'EEXIST';
  if (slaves.some((slave) => slave.kind !== kind)) return 'EBUSY';
  if (request.mtu > master.mtu) return 'EINVAL';
  const isExclusive = mode === 'passthru' ? slaves.length > 0 : hasPassthru(slaves);
  if (isExclusive) return 'EINVAL';
  return kind === 'macvlan' && !master.up ? 'ENETDOWN' : undefined;
}

const hasPassthru = (slaves: readonly PodLink[]): boolean =>
  slaves.some((slave) => slave.mode === 'passthru');

const fakeMac = (index: number): string => `02:00:00:00:00:${index.toString(16).padStart(2, '0')}`;

function deleteLinks(
  netns: FakeNetns,
  { group, names }: { group: number; names: readonly string[] },
): { deleted: number } {
  const isGone = (link: PodLink): boolean =>
    link.group === group && (group > 0 || (names.includes(link.name) && isPodLinkKind(link.kind)));
  return { deleted: removeFakeLinks(netns, isGone) };
}

function addRoutes(netns: FakeNetns, routes: readonly PodRouteRequest[]): void {
  const before = [...netns.routes];
  for (const { destination, nexthops } of routes) {
    const resolved = nexthops.map((hop) => ({
      via: hop.via,
      interfaceName: hop.interfaceName ?? linkFor(netns, hop.via)?.name ?? '',
    }));
    const errno = routeErrno(netns, { destination, nexthops: resolved });
    if (errno === undefined) {
      netns.routes.push({ destination, protocol: 3, nexthops: resolved });
      continue;
    }
    netns.routes.splice(0, Infinity, ...before);
    throw routeFailure({ destination, nexthops, errno });
  }
}

function routeErrno(
  netns: FakeNetns,
  { destination, nexthops }: Omit<PodRoute, 'protocol'>,
): string | undefined {
  const isSame = (route: PodRoute): boolean =>
    route.destination === destination && Bun.deepEquals(route.nexthops, nexthops);
  if (netns.routes.some(isSame)) return 'EEXIST';
  for (const { via, interfaceName } of nexthops) {
    const link = netns.links.find((candidate) => candidate.name === interfaceName);
    if (link === undefined) return interfaceName === '' ? 'ENETUNREACH' : 'ENODEV';
    if (via !== '' && !reaches(netns, link, via)) return 'ENETUNREACH';
  }
  return undefined;
}

const linkFor = (netns: FakeNetns, via: string): PodLink | undefined =>
  netns.links.find((link) => reaches(netns, link, via));

/** True if the block holds the address; host bits of the block are ignored. */
export function isInBlock(address: string, block: string): boolean {
  const parsed = parseAddress(address);
  const cidr = parseCidr(block, { allowHostBits: true });
  return parsed !== undefined && cidr !== undefined && containsAddress(cidr, parsed);
}

/** True if `via` is on the link: in one of its subnets or under one of its direct routes. */
function reaches(netns: FakeNetns, link: PodLink, via: string): boolean {
  const direct = netns.routes.filter((route) =>
    route.nexthops.some((hop) => hop.via === '' && hop.interfaceName === link.name),
  );
  return (
    link.addresses.some((a) => isInBlock(via, `${a.address}/${a.prefix}`)) ||
    direct.some((route) => isInBlock(via, route.destination))
  );
}
