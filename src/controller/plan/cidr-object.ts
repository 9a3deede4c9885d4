// The CIDR object of a network in the original's shape: a readable copy of the division for tools
// and for taking a cluster over. Nothing of ours depends on it (design D6), so it is left out when
// the API server could not store it (W-70).

import { formatCidr } from '../../shared/model/ip/cidr.ts';
import type {
  CidrEntry,
  CidrHost,
  CidrObjectSpec,
} from '../../shared/model/objects/cidr-object.ts';
import type { HostPool } from '../../shared/model/plan/host-pools.ts';
import { sortKeys } from './go-json.ts';
import { compareText } from './net-order.ts';

/** etcd refuses requests above 1.5 MiB; the copy stays well below. */
export const CIDR_BYTES_MAX = 1_000_000;
/** A host's record has at least this many bytes; above the quotient nothing is built at all. */
const RECORD_BYTES_MIN = 120;

/** `vlanCidrs`: one per address family, in the order of the subnets. */
export interface CidrNet {
  readonly netAddress: string;
  readonly interfaceIndex: number;
  readonly vlanCidrs: readonly string[];
}

export interface CidrInput {
  readonly config: CidrObjectSpec['config'];
  readonly nets: readonly CidrNet[];
  readonly pools: Iterable<HostPool>;
  /** Number of pools that `pools` will yield. */
  readonly poolCount: number;
  /** The stored copy: its records are kept for NICs that hosts do not report at the moment. */
  readonly previous: CidrObjectSpec | undefined;
  /** True for a host whose index in the net address is the one of the stored record. */
  readonly isStillHeld: (netAddress: string, host: CidrHost) => boolean;
}

export type CidrPlan =
  | { readonly kind: 'spec'; readonly spec: CidrObjectSpec; readonly bytes: number }
  | { readonly kind: 'too-large'; readonly bytes: number };

export function planCidrObject(input: CidrInput): CidrPlan {
  const bytesLeast = input.poolCount * RECORD_BYTES_MIN;
  if (bytesLeast > CIDR_BYTES_MAX) return { kind: 'too-large', bytes: bytesLeast };
  const hosts = collectHosts(input);
  const cidr = input.nets.flatMap(({ netAddress, interfaceIndex, vlanCidrs }) =>
    vlanCidrs.map((vlanCIDR): CidrEntry => {
      const records = hosts.get(`${netAddress} ${vlanCIDR}`) ?? [];
      return { netAddress, interfaceIndex, vlanCIDR, hosts: records.sort(compareHosts) };
    }),
  );
  const spec = { config: input.config, cidr };
  const bytes = JSON.stringify(spec).length;
  return bytes > CIDR_BYTES_MAX ? { kind: 'too-large', bytes } : { kind: 'spec', spec, bytes };
}

/** Records by net address and vlan CIDR; one per host there (W-11). */
function collectHosts(input: CidrInput): Map<string, CidrHost[]> {
  const byBlock = new Map<string, Map<string, CidrHost>>();
  const put = (key: string, host: CidrHost): void => {
    const hosts = byBlock.get(key) ?? new Map<string, CidrHost>();
    if (!hosts.has(host.hostName)) hosts.set(host.hostName, host);
    byBlock.set(key, hosts);
  };
  for (const pool of input.pools) {
    put(`${pool.netAddress} ${formatCidr(pool.vlanCidr)}`, {
      hostIndex: pool.hostIndex,
      hostName: pool.hostName,
      interfaceName: pool.interfaceName,
      hostIP: pool.hostIp,
      podCIDR: formatCidr(pool.podCidr),
      ippool: pool.name,
    });
  }
  for (const entry of input.previous?.cidr ?? []) {
    for (const host of entry.hosts) {
      if (!input.isStillHeld(entry.netAddress, host)) continue;
      put(`${entry.netAddress} ${entry.vlanCIDR}`, host);
    }
  }
  return new Map([...byBlock].map(([key, hosts]) => [key, [...hosts.values()]]));
}

function compareHosts(a: CidrHost, b: CidrHost): number {
  return a.hostIndex - b.hostIndex || compareText(a.hostName, b.hostName);
}

/**
 * Whether two specs say the same, whatever the order of entries and keys (the order has no
 * meaning).
 */
export function isSameCidr(a: CidrObjectSpec, b: CidrObjectSpec): boolean {
  return canonical(a) === canonical(b);
}

function canonical(spec: CidrObjectSpec): string {
  const entries = spec.cidr.map((entry) => ({
    ...entry,
    hosts: [...entry.hosts].sort(compareHosts),
  }));
  entries.sort(
    (a, b) => compareText(a.netAddress, b.netAddress) || compareText(a.vlanCIDR, b.vlanCIDR),
  );
  return JSON.stringify(sortKeys({ config: spec.config, cidr: entries }));
}
