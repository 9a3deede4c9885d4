// What a pool of this node is, apart from which addresses are free: the part that is planned,
// published, and kept in the journal for starts without an API server.
import * as v from 'valibot';
import { addressBits, parseAddress } from '../../shared/model/ip/address.ts';
import { type Cidr, cidrOf, formatCidr, parseCidr } from '../../shared/model/ip/cidr.ts';
import type { IpPoolSpec } from '../../shared/model/objects/ip-pool.ts';

/** The addresses of one network on one NIC of this node. `name` is that of the IPPool object. */
export interface PoolPlan {
  readonly name: string;
  readonly network: string;
  readonly hostName: string;
  readonly interfaceName: string;
  /** '' where only the IPPool object is known (its network is gone or its NIC is away). */
  readonly netAddress: string;
  readonly family: 4 | 6;
  /** The addresses of this NIC over all hosts; its prefix length is that of pod addresses. */
  readonly vlanCidr: Cidr;
  readonly podCidr: Cidr;
  /** Ranges inside the pod CIDR that are not given. */
  readonly excludes: readonly Cidr[];
}

const CidrText = v.pipe(
  v.string(),
  v.rawTransform(({ dataset, addIssue, NEVER }): Cidr => {
    const cidr = parseCidr(dataset.value);
    if (cidr !== undefined) return cidr;
    addIssue({ message: `${dataset.value} is no CIDR` });
    return NEVER;
  }),
);

const StoredPool = v.object({
  name: v.string(),
  network: v.string(),
  hostName: v.string(),
  interfaceName: v.string(),
  netAddress: v.string(),
  vlanCidr: CidrText,
  podCidr: CidrText,
  excludes: v.array(CidrText),
});

/** JSON form of a plan. */
export function toStoredPool(plan: PoolPlan): v.InferInput<typeof StoredPool> {
  const { name, network, hostName, interfaceName, netAddress } = plan;
  return {
    name,
    network,
    hostName,
    interfaceName,
    netAddress,
    vlanCidr: formatCidr(plan.vlanCidr),
    podCidr: formatCidr(plan.podCidr),
    excludes: plan.excludes.map(formatCidr),
  };
}

/** Reads what `toStoredPool` wrote; throws a ValiError for anything else. */
export function parseStoredPool(value: unknown): PoolPlan {
  const stored = v.parse(StoredPool, value);
  return { ...stored, family: stored.podCidr.family };
}

/** Whether two plans cover the same addresses, so that a bitmap of one is valid for the other. */
export function hasSameRange(a: PoolPlan, b: PoolPlan): boolean {
  const range = (plan: PoolPlan): string =>
    [formatCidr(plan.podCidr), ...plan.excludes.map(formatCidr).sort()].join();
  return range(a) === range(b);
}

/** The plan behind a published pool that nobody plans any more; undefined if it makes no sense. */
export function parsePublishedPlan(name: string, spec: IpPoolSpec): PoolPlan | undefined {
  const vlanCidr = parseCidr(spec.vlanCIDR, { allowHostBits: true });
  const podCidr = parseCidr(spec.podCIDR, { allowHostBits: true });
  if (vlanCidr === undefined || podCidr === undefined) return undefined;
  return {
    name,
    network: spec.netAttachDef,
    hostName: spec.hostName,
    interfaceName: spec.interfaceName,
    netAddress: '',
    family: podCidr.family,
    vlanCidr,
    podCidr,
    excludes: spec.excludes.flatMap((text) => parseExclude(text) ?? []),
  };
}

/** A block, host bits or not, or a single address; undefined if it is neither. */
export function parseExclude(text: string): Cidr | undefined {
  const address = parseAddress(text);
  if (address !== undefined) return cidrOf(address, addressBits[address.family]);
  return parseCidr(text, { allowHostBits: true });
}
