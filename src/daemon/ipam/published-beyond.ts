// Claims to addresses that the journal does not know of: the journal may be older than it should be
// (an old copy was put back, its log was cut off), or the claim is older than the journal. Pure.
import { type Claim, type ContestedClaim, keyOf, podOf } from './claims.ts';

/** What the journal and the API server know. */
export interface KnownHoldings {
  /** Pods, as `namespace/name`, by the address of this network that they hold. */
  readonly holders: ReadonlyMap<string, string>;
  /** Addresses that were released a moment ago: there the claim is what is old. */
  readonly resting: ReadonlySet<string>;
  readonly existsPod: (pod: { namespace: string; name: string }) => boolean;
}

/** `lost`: to be held. `contested`: held by another pod meanwhile. */
export interface BeyondJournal {
  readonly lost: readonly Claim[];
  readonly contested: readonly ContestedClaim[];
}

/**
 * Pods that are gone hold nothing. A pod that is there and has nothing in the journal, while
 * another one has its address, is contested; other addresses changed hands in the ordinary way.
 */
export function findBeyondJournal(
  claims: readonly Claim[],
  { holders, resting, existsPod }: KnownHoldings,
): BeyondJournal {
  const knownPods = new Set(holders.values());
  const lost: Claim[] = [];
  const contested: ContestedClaim[] = [];
  for (const claim of claims) {
    if (!existsPod({ namespace: claim.namespace, name: claim.pod })) continue;
    const address = keyOf(claim);
    const holder = holders.get(address);
    if (holder === undefined) {
      if (!resting.has(address)) lost.push(claim);
    } else if (!knownPods.has(podOf(claim))) {
      contested.push({ claim, holder });
    }
  }
  return { lost, contested };
}
