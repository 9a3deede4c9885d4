// What a published pool lists and the journal does not: the journal may be older than it should be
// (an old copy was put back, its log was cut off), or the copy is older than the journal. Pure.
import { formatAddress, parseAddress } from '../../shared/model/ip/address.ts';
import type { Allocation } from '../../shared/model/objects/ip-pool.ts';

/** A line of a published pool. */
type Listed = Pick<Allocation, 'pod' | 'namespace' | 'address'>;

/** What the journal and the API server know. */
export interface KnownHoldings {
  /** Pods, as `namespace/name`, by the address of this network that they hold. */
  readonly holders: ReadonlyMap<string, string>;
  /** Addresses that were released a moment ago: there the copy is what is old. */
  readonly resting: ReadonlySet<string>;
  readonly existsPod: (pod: { namespace: string; name: string }) => boolean;
}

/** `lost`: to be held for the pods listed. `contested`: held by another pod meanwhile. */
export interface BeyondJournal<T> {
  readonly lost: readonly T[];
  readonly contested: readonly { readonly listed: T; readonly holder: string }[];
}

/**
 * A pod that is there, has nothing in the journal, and whose address another one has, is contested;
 * any other address that changed hands did so in the ordinary way.
 */
export function findBeyondJournal<T extends Listed>(
  allocations: readonly T[],
  { holders, resting, existsPod }: KnownHoldings,
): BeyondJournal<T> {
  const knownPods = new Set(holders.values());
  const lost: T[] = [];
  const contested: { listed: T; holder: string }[] = [];
  for (const listed of allocations) {
    const parsed = parseAddress(listed.address);
    const address = parsed === undefined ? listed.address : formatAddress(parsed);
    const holder = holders.get(address);
    const isUnknownPod = !knownPods.has(`${listed.namespace}/${listed.pod}`);
    if (holder === undefined) {
      if (!resting.has(address)) lost.push(listed);
    } else if (isUnknownPod && existsPod({ namespace: listed.namespace, name: listed.pod })) {
      contested.push({ listed, holder });
    }
  }
  return { lost, contested };
}
