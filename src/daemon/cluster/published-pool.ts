// What is kept of an IPPool object of this node: its content, and what a conditional write needs.
import type { IpPool, IpPoolSpec, IpPoolStatus } from '../../shared/model/objects/ip-pool.ts';

/** An IPPool as the API server has it. */
export interface PublishedPool {
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly isDeleting: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly finalizers: readonly string[];
  readonly spec: IpPoolSpec;
  readonly status: IpPoolStatus | undefined;
}

/** Projects the object. */
export function toPublishedPool({ metadata, spec, status }: IpPool): PublishedPool {
  return {
    name: metadata.name,
    uid: metadata.uid ?? '',
    resourceVersion: metadata.resourceVersion ?? '',
    isDeleting: metadata.deletionTimestamp !== undefined,
    labels: metadata.labels ?? {},
    finalizers: metadata.finalizers ?? [],
    spec,
    status,
  };
}
