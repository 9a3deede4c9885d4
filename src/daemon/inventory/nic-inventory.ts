// This node's NICs: what discovery finds, overridden by what a user listed by hand. Read again from
// the kernel after it reported a change.
import { isDeepStrictEqual } from 'node:util';
import { canonicalCidr } from '../../shared/model/ip/cidr.ts';
import type { InterfaceInfo } from '../../shared/model/objects/host-interface.ts';
import { chooseInterfaces } from '../../shared/model/plan/host-pools.ts';
import type { NicInventory } from '../attach/ports.ts';
import type { DiscoveredInterface } from '../hostnet/discover-interfaces.ts';
import type { HostLink } from '../hostnet/host-net.ts';
import type { HostNic } from '../select/select-nics.ts';

/** What discovery says: the NICs, and why other interfaces are none. */
export interface Discovery {
  readonly interfaces: readonly InterfaceInfo[];
  readonly skipped: readonly { readonly interfaceName: string; readonly reason: string }[];
}

/** Where the inventory looks. */
export interface InventorySources {
  readonly discover: () => Discovery;
  readonly links: () => readonly HostLink[];
  /** The interfaces of an unmanaged HostInterface; empty where a program manages it. */
  readonly listed: () => readonly InterfaceInfo[];
}

interface Snapshot {
  readonly discovered: readonly InterfaceInfo[];
  readonly interfaces: readonly InterfaceInfo[];
  readonly inventory: NicInventory;
}

/** The NICs as of the last reported change. */
export class Inventory {
  readonly #sources: InventorySources;
  #snapshot: Snapshot | undefined;

  constructor(sources: InventorySources) {
    this.#sources = sources;
  }

  /**
   * Looks again; true if the NICs are different. Kernel events come for much that does not matter:
   * every macvlan that is made or removed changes flags of its NIC for a moment, and with virtual
   * links as NICs every pod's own veth is one that is skipped.
   */
  refresh(): boolean {
    const last = this.#snapshot;
    const next = takeSnapshot(this.#sources);
    if (last === undefined || !isDeepStrictEqual(withoutSkipped(last), withoutSkipped(next))) {
      this.#snapshot = next;
      return true;
    }
    const { nics } = last.inventory; // the same object: plans rest on it
    this.#snapshot = { ...last, inventory: { nics, skipped: next.inventory.skipped } };
    return false;
  }

  /** What the user lists changed: look again at the next question. */
  invalidate(): void {
    this.#snapshot = undefined;
  }

  /** Candidates for pods. */
  get current(): NicInventory {
    return this.#read().inventory;
  }

  /** All NICs, for plans. */
  get interfaces(): readonly InterfaceInfo[] {
    return this.#read().interfaces;
  }

  /** What discovery alone found: the content of this node's own HostInterface. */
  get discovered(): readonly InterfaceInfo[] {
    return this.#read().discovered;
  }

  #read(): Snapshot {
    this.#snapshot ??= takeSnapshot(this.#sources);
    return this.#snapshot;
  }
}

function takeSnapshot(sources: InventorySources): Snapshot {
  const { interfaces: discovered, skipped } = sources.discover();
  const listed = sources.listed();
  const names = new Set(listed.map(({ interfaceName }) => interfaceName));
  const interfaces = [
    ...discovered.filter(({ interfaceName }) => !names.has(interfaceName)),
    ...listed,
  ];
  const links = new Map(sources.links().map((link) => [link.name, link]));
  const chosen = chooseInterfaces(interfaces);
  const isChosen = (info: InterfaceInfo): boolean => winner(chosen, info) === info;
  const losers = interfaces
    .filter((info) => !isChosen(info))
    .map((info) => ({
      interfaceName: info.interfaceName,
      reason: whyLost(winner(chosen, info)),
    }));
  return {
    discovered,
    interfaces,
    inventory: {
      nics: interfaces.filter(isChosen).map((info) => toHostNic(info, links)),
      skipped: [...skipped.filter(({ interfaceName }) => !names.has(interfaceName)), ...losers],
    },
  };
}

function withoutSkipped({ discovered, interfaces, inventory }: Snapshot): object {
  return { discovered, interfaces, nics: inventory.nics };
}

function winner(
  chosen: ReadonlyMap<string, InterfaceInfo>,
  { netAddress = '' }: InterfaceInfo,
): InterfaceInfo | undefined {
  return chosen.get(canonicalCidr(netAddress) ?? '');
}

function whyLost(other: InterfaceInfo | undefined): string {
  return other === undefined
    ? 'it has no net address'
    : `${other.interfaceName} serves the same net address`;
}

function toHostNic(info: InterfaceInfo, links: ReadonlyMap<string, HostLink>): HostNic {
  const link = links.get(info.interfaceName);
  return {
    interfaceName: info.interfaceName,
    netAddress: canonicalCidr(info.netAddress ?? '') ?? '',
    hostIp: info.hostIP ?? '',
    vendor: info.vendor ?? '',
    product: info.product ?? '',
    pciAddress: info.pciAddress ?? '',
    index: link?.index ?? 0,
    isUp: link?.up ?? false,
    mtu: link?.mtu ?? 0,
  };
}

/** Splits what discovery looked at into NICs for pods and the others with their reasons. */
export function toDiscovery(found: readonly DiscoveredInterface[]): Discovery {
  return {
    interfaces: found
      .filter(({ skipped }) => skipped.length === 0)
      .map(({ skipped: _skipped, addresses, ...info }) => ({ ...info, addresses: [...addresses] })),
    skipped: found
      .filter(({ skipped }) => skipped.length > 0)
      .map(({ interfaceName, skipped }) => ({ interfaceName, reason: skipped.join(', ') })),
  };
}
