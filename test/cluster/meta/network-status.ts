// Test equipment. Derives the annotation `k8s.v1.cni.cncf.io/network-status` from CNI results: one
// entry per container interface, as Multus does since 4.1.

import { isRecord } from './selection.ts';

/** One entry of the annotation. */
export interface NetworkStatus {
  readonly name: string;
  readonly interface: string;
  readonly ips: string[];
  readonly mac?: string;
  readonly mtu?: number;
  readonly default: boolean;
  readonly dns: unknown;
  readonly gateway?: string[];
}

/**
 * The entries of one network. With exactly one interface in the result it gets all addresses.
 * Otherwise each interface with a sandbox has an entry with the addresses of its index, and an
 * address without an index goes to the last one.
 */
export function statusesOf(
  result: unknown,
  network: { name: string; isDefault: boolean },
): NetworkStatus[] {
  if (!isRecord(result)) return [];
  const interfaces = records(result.interfaces);
  const addresses = records(result.ips);
  const gateway = defaultGateways(result);
  const entry = (link: Record<string, unknown>, ips: Record<string, unknown>[]): NetworkStatus => ({
    name: network.name,
    interface: String(link.name ?? ''),
    ips: ips.map((ip) => String(ip.address).replace(/\/\d+$/, '')),
    ...(typeof link.mac === 'string' && link.mac !== '' ? { mac: link.mac } : {}),
    ...(typeof link.mtu === 'number' && link.mtu > 0 ? { mtu: link.mtu } : {}),
    default: network.isDefault,
    dns: isRecord(result.dns) ? result.dns : {},
    ...(gateway.length > 0 ? { gateway } : {}),
  });
  const [only] = interfaces;
  if (interfaces.length === 1 && only !== undefined) return [entry(only, addresses)];
  const inside = interfaces
    .map((link, index) => ({ link, index }))
    .filter(({ link }) => typeof link.sandbox === 'string' && link.sandbox !== '');
  const last = inside.at(-1)?.index;
  return inside.map(({ link, index }) =>
    entry(
      link,
      addresses.filter((ip) => (typeof ip.interface === 'number' ? ip.interface : last) === index),
    ),
  );
}

function defaultGateways(result: Readonly<Record<string, unknown>>): string[] {
  return records(result.routes)
    .filter((route) => route.dst === '0.0.0.0/0' || route.dst === '::/0')
    .flatMap((route) => (typeof route.gw === 'string' && route.gw !== '' ? [route.gw] : []));
}

function records(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.filter(isRecord) : [];
}
