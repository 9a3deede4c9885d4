// Publishes this node's pools as IPPool objects in the original's shape: a copy of the journal for
// people, tools and a node that lost its file. Writes only differences, conditionally, and not more
// often per pool than asked.
import { isDeepStrictEqual } from 'node:util';
import { formatCidr } from '../../shared/model/ip/cidr.ts';
import {
  API_VERSION,
  FIELD_MANAGER_DAEMON,
  HOST_NAME_LABEL,
  IP_POOL_FINALIZER,
  NETWORK_NAME_LABEL,
} from '../../shared/model/names.ts';
import type { IpPool, IpPoolSpec, IpPoolStatus } from '../../shared/model/objects/ip-pool.ts';
import type { Clock } from '../../shared/platform/clock.ts';
import type { KubeClient } from '../../shared/platform/kube/client.ts';
import { IP_POOLS } from '../../shared/platform/kube/resource.ts';
import type { Logger } from '../../shared/platform/log.ts';
import type { Outcome } from '../../shared/platform/work-queue.ts';
import type { ClusterView } from '../cluster/cluster-view.ts';
import { toHostLabel } from '../cluster/host-label.ts';
import { type PublishedPool, toPublishedPool } from '../cluster/published-pool.ts';
import type { PoolKeeper } from '../ipam/pool-keeper.ts';
import type { PoolRecord, PoolSet } from '../ipam/pool-set.ts';
import type { Journal } from '../journal/journal.ts';
import { excludeTexts, spellExcludes } from './spell-excludes.ts';

const BY_US = { fieldManager: FIELD_MANAGER_DAEMON };
/** Counts are for people: they may be so many times as old as the allocations, and cost as less. */
const STATUS_INTERVALS = 10;

/** What the publisher works with. */
export interface PublisherPorts {
  readonly client: KubeClient;
  readonly view: ClusterView;
  readonly pools: PoolSet;
  readonly keeper: PoolKeeper;
  readonly journal: Journal;
  readonly clock: Clock;
  readonly log: Logger;
  /** Shortest time between two writes of one object. */
  readonly intervalMs: number;
}

/** Counts for metrics. */
export interface PublishCounts {
  written: number;
  deleted: number;
}

/** Writes one pool at a time; which ones and when again is a work queue's matter. */
export class PoolPublisher {
  readonly counts: PublishCounts = { written: 0, deleted: 0 };
  readonly #ports: PublisherPorts;
  readonly #lastWriteMs = new Map<string, number>();
  readonly #lastStatusMs = new Map<string, number>();
  /** Objects as our last request showed them, and the version that a watch had told by then. */
  readonly #known = new Map<
    string,
    { readonly heard: string; readonly object: PublishedPool | undefined }
  >();
  /** Objects of which the last write has not succeeded. */
  readonly #unsure = new Set<string>();

  constructor(ports: PublisherPorts) {
    this.#ports = ports;
  }

  /** Makes the object of one pool what the journal says. Throws KubeError: again, with backoff. */
  async publish(name: string, signal: AbortSignal): Promise<Outcome> {
    const { view, pools, keeper } = this.#ports;
    if (!view.isLive) return 'done'; // the first complete picture brings every pool back here
    const record = pools.get(name);
    if (record === undefined) return await this.#remove(name, signal);
    if (!keeper.isComplete(name)) return 'done';
    const object = await this.#newest(name, signal);
    const wanted = this.#desired(record, object);
    if (object === undefined || !isPublished(object, wanted)) {
      const waitMs = this.#waitMs(this.#lastWriteMs.get(name), this.#ports.intervalMs);
      if (waitMs > 0) return { afterMs: waitMs };
      this.#lastWriteMs.set(name, this.#ports.clock.monotonic());
      if (!(await this.#write(name, wanted, object, signal))) return 'done';
    }
    return await this.#publishCounts(record, object, signal);
  }

  /**
   * The object as a watch told it last, or as we wrote it since: after an outage of the API server
   * watches come back later than writes succeed. After a write that failed it is read: the write
   * may have been done all the same, or have met something newer.
   */
  async #newest(name: string, signal: AbortSignal): Promise<PublishedPool | undefined> {
    const { view, client } = this.#ports;
    const heard = view.publishedPools().get(name);
    if (this.#unsure.has(name)) {
      const object = await client.get(IP_POOLS, { name }, { signal });
      this.#noteRead(name, { heard, object });
      this.#unsure.delete(name);
    }
    const known = this.#known.get(name);
    if (known !== undefined && known.heard === heard?.resourceVersion) return known.object;
    this.#known.delete(name);
    return heard;
  }

  async #writeObject(name: string, write: () => Promise<IpPool>): Promise<void> {
    const heard = this.#ports.view.publishedPools().get(name);
    this.#unsure.add(name);
    this.#noteRead(name, { heard, object: await write() });
    this.#unsure.delete(name);
  }

  /** One that no watch has told of, or not any more, is not kept: it is read before each write. */
  #noteRead(
    name: string,
    o: { heard: PublishedPool | undefined; object: IpPool | undefined },
  ): void {
    if (o.heard === undefined) return;
    const object = o.object === undefined ? undefined : toPublishedPool(o.object);
    this.#known.set(name, { heard: o.heard.resourceVersion, object });
  }

  #waitMs(last: number | undefined, intervalMs: number): number {
    return last === undefined ? 0 : Math.ceil(last + intervalMs - this.#ports.clock.monotonic());
  }

  /**
   * What `kubectl get` shows. Addresses that rest after a release count as free: they are given
   * when nothing else is left.
   */
  async #publishCounts(
    { plan, pool }: PoolRecord,
    object: PublishedPool | undefined,
    signal: AbortSignal,
  ): Promise<Outcome> {
    const { name } = plan;
    const { usable, occupied } = pool;
    const status = { usable, occupied, free: usable - occupied } satisfies IpPoolStatus;
    if (object !== undefined && hasCounts(object, status)) return 'done';
    const { client, intervalMs, clock } = this.#ports;
    const waitMs = this.#waitMs(this.#lastStatusMs.get(name), STATUS_INTERVALS * intervalMs);
    if (waitMs > 0) return { afterMs: waitMs };
    this.#lastStatusMs.set(name, clock.monotonic());
    const patch = { type: 'merge', subresource: 'status', body: { status }, ...BY_US } as const;
    await this.#writeObject(name, () => client.patch(IP_POOLS, { name }, patch, { signal }));
    return 'done';
  }

  /** A network that is gone cannot say any more how it wrote its excludes; the object can. */
  #desired({ plan }: PoolRecord, object: PublishedPool | undefined): IpPoolSpec {
    const network = this.#ports.view.network(plan.network);
    const spellings = [...excludeTexts(network?.definition), ...(object?.spec.excludes ?? [])];
    return {
      podCIDR: formatCidr(plan.podCidr),
      vlanCIDR: formatCidr(plan.vlanCidr),
      netAttachDef: plan.network,
      hostName: plan.hostName,
      interfaceName: plan.interfaceName,
      excludes: spellExcludes(plan.excludes, spellings),
      allocations: this.#ports.journal
        .allocationsOf(plan.name)
        .map(({ podName, podNamespace, index, address }) => ({
          pod: podName,
          namespace: podNamespace,
          index,
          address,
        })),
    };
  }

  /** False for an object of another host: it is not ours to write. */
  async #write(
    name: string,
    spec: IpPoolSpec,
    cached: PublishedPool | undefined,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { client, journal, log } = this.#ports;
    // Nobody elsewhere may see an allocation that a power cut could undo.
    await journal.onDisk();
    const labels = {
      [HOST_NAME_LABEL]: toHostLabel(spec.hostName),
      [NETWORK_NAME_LABEL]: spec.netAttachDef,
    };
    const object = cached ?? (await this.#findUnlabelled(name, signal));
    if (object === undefined) {
      const created = { apiVersion: API_VERSION, kind: 'IPPool', metadata: { name, labels }, spec };
      await this.#writeObject(name, () => client.create(IP_POOLS, created, { signal, ...BY_US }));
    } else if (object.spec.hostName !== spec.hostName) {
      const { hostName } = object.spec;
      log.error('pool not published, its object is of another host', { pool: name, hostName });
      return false;
    } else {
      const { resourceVersion } = object;
      const finalizers = object.finalizers.filter((finalizer) => finalizer !== IP_POOL_FINALIZER);
      const body = { metadata: { resourceVersion, labels, finalizers }, spec };
      const patch = { type: 'merge', body, ...BY_US } as const;
      await this.#writeObject(name, () => client.patch(IP_POOLS, { name }, patch, { signal }));
    }
    this.counts.written += 1;
    return true;
  }

  /** Objects of old versions lack the label by which ours are watched. */
  async #findUnlabelled(name: string, signal: AbortSignal): Promise<PublishedPool | undefined> {
    const object = await this.#ports.client.get(IP_POOLS, { name }, { signal });
    return object === undefined ? undefined : toPublishedPool(object);
  }

  /** Removes the object of a pool that is not planned any more and holds nothing. */
  async #remove(name: string, signal: AbortSignal): Promise<Outcome> {
    const { client, view, pools, keeper, intervalMs } = this.#ports;
    // An object that nobody looked at may hold allocations: it is taken over first.
    if (!keeper.isComplete(name)) return 'done';
    const object = view.publishedPools().get(name);
    if (object !== undefined && object.spec.hostName === view.node) {
      if (object.finalizers.includes(IP_POOL_FINALIZER)) {
        const finalizers = object.finalizers.filter((one) => one !== IP_POOL_FINALIZER);
        const metadata = { resourceVersion: object.resourceVersion, finalizers };
        await client.patch(
          IP_POOLS,
          { name },
          { type: 'merge', body: { metadata }, ...BY_US },
          { signal },
        );
      }
      // Planned again meanwhile, it may have given addresses.
      if (pools.get(name) !== undefined) return { afterMs: intervalMs };
      await client.delete(IP_POOLS, { name }, { uid: object.uid, signal });
      this.counts.deleted += 1;
    }
    this.#lastWriteMs.delete(name);
    this.#lastStatusMs.delete(name);
    this.#known.delete(name);
    this.#unsure.delete(name);
    if (await keeper.forget(name)) return 'done';
    this.#unsure.add(name); // no watch has told yet that the object is gone
    return { afterMs: intervalMs };
  }
}

function hasCounts({ status }: PublishedPool, wanted: IpPoolStatus): boolean {
  return (
    status?.usable === wanted.usable &&
    status?.occupied === wanted.occupied &&
    status?.free === wanted.free
  );
}

/** Only members that we write are compared; a user's extra labels are left alone. */
function isPublished(object: PublishedPool, wanted: IpPoolSpec): boolean {
  const { spec, labels, finalizers } = object;
  const own = {
    podCIDR: spec.podCIDR,
    vlanCIDR: spec.vlanCIDR,
    netAttachDef: spec.netAttachDef,
    hostName: spec.hostName,
    interfaceName: spec.interfaceName,
    excludes: spec.excludes,
    allocations: spec.allocations,
  };
  return (
    labels[HOST_NAME_LABEL] === toHostLabel(wanted.hostName) &&
    labels[NETWORK_NAME_LABEL] === wanted.netAttachDef &&
    !finalizers.includes(IP_POOL_FINALIZER) &&
    isDeepStrictEqual(own, wanted)
  );
}
