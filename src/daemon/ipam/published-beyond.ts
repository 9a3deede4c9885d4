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
 * Pods that are gone hold nothing. A pod that is there and has nothing in the journal, while
 * another one has its address, is contested; other addresses changed hands in the ordinary way.
 */
export function findBeyondJournal<T extends Listed>(
  allocations: readonly T[],
  { holders, resting, existsPod }: KnownHoldings,
): BeyondJournal<T> {
  const knownPods = new Set(holders.values());
  const lost: T[] = [];
  const contested: { listed: T; holder: string }[] = [];
  for (const listed of allocations) {
    const { namespace, pod, address: text } = listed;
    if (!existsPod({ namespace, name: pod })) continue;
    const parsed = parseAddress(text);
    const address = parsed === undefined ? text : formatAddress(parsed);
    const holder = holders.get(address);
    if (holder === undefined) {
      if (!resting.has(address)) lost.push(listed);
    } else if (!knownPods.has(`${namespace}/${pod}`)) {
      contested.push({ listed, holder });
    }
  }
  return { lost, contested };
}
