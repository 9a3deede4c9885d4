// Test equipment: an in-memory HostNet. It passes the contract suite that the kernel back ends
// pass, so attach logic can be tested without root. It does not model neighbours, metrics,
// policy rules, or anything that no caller of HostNet can see.
import { assertOurs } from '../../src/daemon/hostnet/change-routes.ts';
import type {
  FailedRoute,
  HostLink,
  HostNet,
  HostNetEvent,
  HostRoute,
  LinkAddress,
  NetnsHandle,
  PodLink,
} from '../../src/daemon/hostnet/host-net.ts';
import type { LinkStep } from '../../src/daemon/hostnet/link-failure.ts';
import { DomainError } from '../../src/shared/model/errors.ts';
import { formatAddress } from '../../src/shared/model/ip/address.ts';
import { parseAddressInCidr } from '../../src/shared/model/ip/cidr.ts';
import {
  createFakeNetns,
  type FakeNetns,
  isInBlock,
  openFakeNetns,
  removeFakeLinks,
} from './fake-netns.ts';

/** The path of the in-memory host's own namespace. */
export const OWN_PATH = '/fake/host';

/** What a test says about a NIC; everything else has a default. */
export type FakeLink = Partial<Omit<HostLink, 'index' | 'addresses'>> & {
  readonly name: string;
  /** "a.b.c.d/len" or IPv6, in order. */
  readonly addresses?: readonly string[];
};

interface DefaultRoute {
  readonly family: 4 | 6;
  readonly interfaceIndex: number;
  readonly metric: number;
}

const NOT_A_NAMESPACE = 'not-a-namespace';

/** An in-memory host. The methods below `disposed` are the test's hands on the "kernel". */
export class FakeHostNet implements HostNet {
  readonly #links: HostLink[] = [];
  readonly #routes: HostRoute[] = [];
  readonly #defaults: DefaultRoute[] = [];
  readonly #netns = new Map<string, FakeNetns>();
  readonly #orphans: FakeNetns[] = [];
  readonly #faults: { name: string; step: LinkStep; errno: string }[] = [];
  readonly #watchers = new Set<(what: HostNetEvent) => void>();
  #lastIndex = 1;
  #lastNetns = 0;
  disposed = false;

  links(): HostLink[] {
    return structuredClone(this.#links);
  }

  routes({ protocol, table = 254 }: { protocol: number; table?: number }): HostRoute[] {
    const isAsked = (route: HostRoute): boolean =>
      route.protocol === protocol && route.table === table;
    return structuredClone(this.#routes.filter(isAsked));
  }

  defaultRoutes(): DefaultRoute[] {
    return structuredClone(this.#defaults);
  }

  changeRoutes(o: { add: readonly HostRoute[]; remove: readonly HostRoute[] }): {
    failed: FailedRoute[];
  } {
    for (const { protocol } of [...o.add, ...o.remove]) assertOurs(protocol);
    const failed: FailedRoute[] = [];
    for (const route of o.add) {
      const errno = this.#addErrno(route);
      if (errno === undefined) this.#put(route);
      else failed.push({ route, errno });
    }
    for (const route of o.remove) {
      const position = this.#routes.findIndex((other) => isSameRoute(other, route));
      if (position >= 0) this.#routes.splice(position, 1);
    }
    this.#emit('route');
    return { failed };
  }

  openNetns(path: string): NetnsHandle {
    const details = { netns: path };
    if (path === OWN_PATH) {
      throw new DomainError('netns-invalid', `${path} is the host's own namespace`, { details });
    }
    const netns = this.#netns.get(path);
    if (netns === undefined) {
      throw new DomainError('netns-gone', `there is no network namespace at ${path}`, { details });
    }
    if (netns.id === NOT_A_NAMESPACE) {
      throw new DomainError('netns-invalid', `${path} is not a network namespace`, { details });
    }
    return openFakeNetns(netns, {
      link: (index) => this.#links.find((link) => link.index === index),
      slaves: (index) => this.#slaves(index),
      takeFault: (name, step) => {
        const found = this.#faults.findIndex((f) => f.name === name && f.step === step);
        return found < 0 ? undefined : this.#faults.splice(found, 1)[0]?.errno;
      },
    });
  }

  watch(onEvent: (what: HostNetEvent) => void, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    this.#watchers.add(onEvent);
    return new Promise((resolve) => {
      signal.addEventListener('abort', () => {
        this.#watchers.delete(onEvent);
        resolve();
      });
    });
  }

  [Symbol.dispose](): void {
    this.disposed = true;
  }

  /** Plugs a NIC in: up, MTU 1500, no kind, unless said otherwise. */
  addLink(link: FakeLink): HostLink {
    this.#lastIndex += 1;
    const index = this.#lastIndex;
    const added: HostLink = {
      kind: '',
      mtu: 1500,
      mac: `02:00:00:00:01:${index.toString(16).padStart(2, '0')}`,
      up: true,
      running: true,
      loopback: false,
      parentIndex: 0,
      masterIndex: 0,
      group: 0,
      ...link,
      index,
      addresses: (link.addresses ?? []).map(toLinkAddress),
    };
    this.#links.push(added);
    this.#emit('link');
    return structuredClone(added);
  }

  /** Changes a NIC. Throws if there is none of that name. */
  changeLink(name: string, change: Omit<FakeLink, 'name'>): void {
    const position = this.#links.findIndex((link) => link.name === name);
    const old = this.#links[position];
    if (old === undefined) throw new RangeError(`no link ${name}`);
    const addresses = change.addresses?.map(toLinkAddress) ?? old.addresses;
    const next = { ...old, ...change, addresses };
    this.#links[position] = next;
    this.#emit(change.addresses === undefined ? 'link' : 'address');
    this.#dropUnreachable(next);
    if (networksOf(old).join() !== networksOf(next).join()) this.#emit('route');
  }

  /** As the kernel does with IPv4 routes, without a word. */
  #dropUnreachable(link: HostLink): void {
    const isLeft = ({ interfaceIndex, via }: HostRoute): boolean =>
      interfaceIndex !== link.index || (link.up && (via === '' || isOnLink(link, via)));
    this.#routes.splice(0, Infinity, ...this.#routes.filter(isLeft));
  }

  /** Unplugs a NIC: the pod links on it and the routes over it go with it. */
  removeLink(name: string): void {
    const position = this.#links.findIndex((link) => link.name === name);
    const [gone] = position < 0 ? [] : this.#links.splice(position, 1);
    if (gone === undefined) throw new RangeError(`no link ${name}`);
    for (const netns of this.#allNetns()) {
      removeFakeLinks(netns, (link) => link.parentIndex === gone.index);
    }
    const isLeft = (route: { interfaceIndex: number }): boolean =>
      route.interfaceIndex !== gone.index;
    this.#routes.splice(0, Infinity, ...this.#routes.filter(isLeft));
    this.#defaults.splice(0, Infinity, ...this.#defaults.filter(isLeft));
    this.#emit('link');
  }

  /** A route that somebody else made. */
  addForeignRoute(route: HostRoute): void {
    this.#routes.push(route);
    this.#emit('route');
  }

  /** Removes a route as an administrator would, whoever made it. */
  removeRoute(destination: string): void {
    const left = this.#routes.filter((route) => route.destination !== destination);
    this.#routes.splice(0, Infinity, ...left);
    this.#emit('route');
  }

  addDefaultRoute(interfaceIndex: number, o: { family?: 4 | 6; metric?: number } = {}): void {
    this.#defaults.push({ family: o.family ?? 4, interfaceIndex, metric: o.metric ?? 0 });
    this.#emit('route');
  }

  /** A pod's namespace at `path`. */
  addNetns(path: string): void {
    this.#lastNetns += 1;
    this.#netns.set(path, createFakeNetns(`4:${this.#lastNetns}`));
  }

  /** A file at `path` that is no network namespace. */
  addInvalidNetns(path: string): void {
    this.#netns.set(path, createFakeNetns(NOT_A_NAMESPACE));
  }

  /** The path disappears; open handles stay usable, as with the kernel's. */
  removeNetns(path: string): void {
    const netns = this.#netns.get(path);
    if (netns !== undefined) this.#orphans.push(netns);
    this.#netns.delete(path);
  }

  /** The next time a link of this name reaches `step`, the kernel answers `errno`. */
  refuseOnce(fault: { name: string; step: LinkStep; errno: string }): void {
    this.#faults.push(fault);
  }

  /** Somebody else's link in a pod, such as `eth0` or one of the original's. */
  addPodLink(path: string, link: Partial<PodLink> & { name: string }): void {
    const netns = this.#netns.get(path);
    if (netns === undefined) throw new RangeError(`no namespace ${path}`);
    netns.lastIndex += 1;
    netns.links.push({
      mac: '02:00:00:00:02:00',
      mtu: 1500,
      kind: 'veth',
      mode: '',
      group: 0,
      up: true,
      parentIndex: 0,
      addresses: [],
      ...link,
      index: netns.lastIndex,
    });
  }

  #allNetns(): FakeNetns[] {
    return [...this.#netns.values(), ...this.#orphans];
  }

  #slaves(index: number): PodLink[] {
    return this.#allNetns().flatMap((netns) =>
      netns.links.filter((link) => link.parentIndex === index),
    );
  }

  #addErrno(route: HostRoute): string | undefined {
    if (route.destination.endsWith('/0')) return 'EINVAL';
    const link = this.#links.find((candidate) => candidate.index === route.interfaceIndex);
    if (link === undefined) return 'ENODEV';
    if (!link.up) return 'ENETDOWN';
    if (route.via !== '' && !isOnLink(link, route.via)) return 'ENETUNREACH';
    const other = this.#routes.find((candidate) => isSamePlace(candidate, route));
    return other === undefined || other.protocol === route.protocol ? undefined : 'EEXIST';
  }

  #put(route: HostRoute): void {
    const position = this.#routes.findIndex((candidate) => isSamePlace(candidate, route));
    if (position < 0) this.#routes.push({ ...route });
    else this.#routes[position] = { ...route };
  }

  #emit(what: HostNetEvent): void {
    for (const watcher of this.#watchers) watcher(what);
  }
}

const isOnLink = ({ addresses }: HostLink, via: string): boolean =>
  addresses.some(({ address, prefix }) => isInBlock(via, `${address}/${prefix}`));

/** IPv4 networks that the kernel keeps routes to while the link is up. */
const networksOf = ({ up, addresses }: HostLink): string[] =>
  addresses
    .filter(({ family, prefix }) => up && family === 4 && prefix < 32)
    .map(({ address, prefix }) => `${address}/${prefix}`);

const isSamePlace = (a: HostRoute, b: HostRoute): boolean =>
  a.destination === b.destination && a.table === b.table;

const isSameRoute = (a: HostRoute, b: HostRoute): boolean =>
  isSamePlace(a, b) &&
  a.protocol === b.protocol &&
  a.via === b.via &&
  a.interfaceIndex === b.interfaceIndex;

function toLinkAddress(text: string): LinkAddress {
  const parsed = parseAddressInCidr(text);
  if (parsed === undefined) throw new RangeError(`no address with a length: ${text}`);
  const address = formatAddress(parsed.address);
  const scope = address.startsWith('fe80:') ? 'link' : 'global';
  return { family: parsed.address.family, address, prefix: parsed.cidr.prefix, scope };
}
