// Who has an address: what a published pool lists, and what pods that run say they have. The pods
// are right where the two differ, because the record of one can have been written over. Pure.
import { formatAddress, parseAddress } from '../../shared/model/ip/address.ts';
import type { Allocation } from '../../shared/model/objects/ip-pool.ts';

/** An address and the pod that it is said to belong to. */
export type Claim = Pick<Allocation, 'pod' | 'namespace' | 'address'>;

/** A claim that does not count, because the pod `holder` (`namespace/name`) has the address. */
export interface ContestedClaim {
  readonly claim: Claim;
  readonly holder: string;
}

/** The claims that count, one pod for each address that is stated, and the ones that do not. */
export interface MergedClaims {
  readonly claims: readonly Claim[];
  readonly contested: readonly ContestedClaim[];
}

/** `existsPod`: a record of a pod that is gone is contradicted without a word. */
export function mergeClaims(o: {
  readonly listed: readonly Claim[];
  readonly stated: readonly Claim[];
  readonly existsPod: (pod: { namespace: string; name: string }) => boolean;
}): MergedClaims {
  const { listed, stated, existsPod } = o;
  const statedBy = Map.groupBy(stated, keyOf);
  const claims: Claim[] = [];
  const contested: ContestedClaim[] = [];
  for (const claim of listed) {
    const pods = statedBy.get(keyOf(claim)) ?? [claim];
    const [holder = claim] = pods;
    if (pods.some((pod) => isSamePod(pod, claim))) claims.push(claim);
    else if (existsPod({ namespace: claim.namespace, name: claim.pod })) {
      contested.push({ claim, holder: podOf(holder) });
    }
  }
  for (const pods of statedBy.values()) {
    const { holder, isRecorded } = chooseHolder(pods, listed);
    if (!isRecorded) claims.push(holder);
    const others = pods.filter((claim) => !isSamePod(claim, holder));
    contested.push(...others.map((claim) => ({ claim, holder: podOf(holder) })));
  }
  return { claims, contested };
}

/** Of several pods that state one address, the one with a record, else the first. */
function chooseHolder(
  pods: readonly Claim[],
  listed: readonly Claim[],
): { holder: Claim; isRecorded: boolean } {
  const isRecord = (pod: Claim): boolean =>
    listed.some((record) => isSamePod(record, pod) && keyOf(record) === keyOf(pod));
  const recorded = pods.find(isRecord);
  const [first] = pods;
  const holder = recorded ?? first;
  if (holder === undefined) throw new Error('an address is stated by no pod');
  return { holder, isRecorded: recorded !== undefined };
}

/** The address in canonical form, or as it is. */
export function keyOf({ address: text }: Pick<Claim, 'address'>): string {
  const address = parseAddress(text);
  return address === undefined ? text : formatAddress(address);
}

/** A pod as it is named in conflicts. */
export function podOf({ namespace, pod }: Pick<Claim, 'namespace' | 'pod'>): string {
  return `${namespace}/${pod}`;
}

function isSamePod(a: Claim, b: Claim): boolean {
  return a.pod === b.pod && a.namespace === b.namespace;
}
