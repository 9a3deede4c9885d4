// The cluster as this node knows it: live collections once the API server was heard, the saved plan
// until then. Answers from memory; only the proof that a pod is gone asks the API server.

import { HOST_NAME_LABEL } from '../../shared/model/names.ts';
import type { KubeClient } from '../../shared/platform/kube/client.ts';
import { type Collection, watchCollection } from '../../shared/platform/kube/collection.ts';
import {
  DEVICE_CLASSES,
  HOST_INTERFACES,
  IP_POOLS,
  MULTI_NIC_NETWORKS,
  PODS,
} from '../../shared/platform/kube/resource.ts';
import type { Logger } from '../../shared/platform/log.ts';
import type { PodIdentity } from '../attach/ports.ts';
import type { DeviceIds } from '../select/select-nics.ts';
import { toHostLabel } from './host-label.ts';
import { type PodRecord, toPodRecord } from './pod-record.ts';
import { type PublishedPool, toPublishedPool } from './published-pool.ts';
import {
  type HostRecord,
  type NetworkRecord,
  toHostRecord,
  toNetworkRecord,
  toOwnHostRecord,
} from './records.ts';

/** What changed; `key` is the object's. */
export type ClusterChange = 'network' | 'host' | 'pool' | 'class' | 'pod';

/** What was known when the daemon last ran. */
export interface SavedCluster {
  readonly networks: readonly NetworkRecord[];
  /** Undefined on the first start ever. */
  readonly self: HostRecord | undefined;
  readonly classes: ReadonlyMap<string, DeviceIds>;
}

const POD_LOOKUP_MS = 5_000;

/** Watches what this node needs and nothing else. */
export class ClusterView {
  readonly #client: KubeClient;
  readonly node: string;
  readonly #saved: SavedCluster;
  readonly #networks: Collection<NetworkRecord>;
  readonly #hosts: Collection<HostRecord>;
  readonly #pools: Collection<PublishedPool>;
  readonly #classes: Collection<DeviceIds>;
  readonly #pods: Collection<PodRecord>;

  constructor(o: {
    client: KubeClient;
    node: string;
    saved: SavedCluster;
    onChange: (what: ClusterChange, key: string) => void;
    signal: AbortSignal;
    log: Logger;
  }) {
    this.#client = o.client;
    this.node = o.node;
    this.#saved = o.saved;
    const common = { client: o.client, signal: o.signal, log: o.log };
    const on = (what: ClusterChange) => (key: string) => o.onChange(what, key);
    this.#networks = watchCollection({
      ...common,
      resource: MULTI_NIC_NETWORKS,
      project: (object) => toNetworkRecord(object, this.#formerNetwork(object.metadata.name)),
      onChange: on('network'),
    });
    this.#hosts = watchCollection({
      ...common,
      resource: HOST_INTERFACES,
      project: (object) =>
        object.metadata.name === o.node ? toOwnHostRecord(object) : toHostRecord(object),
      onChange: on('host'),
    });
    this.#pools = watchCollection({
      ...common,
      resource: IP_POOLS,
      labelSelector: `${HOST_NAME_LABEL}=${toHostLabel(o.node)}`,
      project: toPublishedPool,
      onChange: on('pool'),
    });
    this.#classes = watchCollection({
      ...common,
      resource: DEVICE_CLASSES,
      project: ({ spec }): DeviceIds => spec.ids,
      onChange: on('class'),
    });
    this.#pods = watchCollection({
      ...common,
      resource: PODS,
      fieldSelector: `spec.nodeName=${o.node}`,
      project: toPodRecord,
      onChange: on('pod'),
    });
  }

  /** Resolves when every collection was listed once; rejects only at the end of the process. */
  async synced(): Promise<void> {
    await Promise.all([
      this.#networks.synced,
      this.#hosts.synced,
      this.#pools.synced,
      this.#classes.synced,
      this.#pods.synced,
    ]);
  }

  /** Every collection was listed once. Stays true when the API server goes away later. */
  get isLive(): boolean {
    return (
      this.#networks.isSynced &&
      this.#hosts.isSynced &&
      this.#pools.isSynced &&
      this.#classes.isSynced &&
      this.#pods.isSynced
    );
  }

  /** What was not listed yet, in the words of the API. */
  get unlisted(): string[] {
    const collections = {
      multinicnetworks: this.#networks,
      hostinterfaces: this.#hosts,
      ippools: this.#pools,
      deviceclasses: this.#classes,
      pods: this.#pods,
    };
    return Object.entries(collections).flatMap(([name, { isSynced }]) => (isSynced ? [] : name));
  }

  /** Live, or saved from before. */
  get isKnown(): boolean {
    return this.isLive || this.#saved.self !== undefined;
  }

  networks(): readonly NetworkRecord[] {
    return this.isLive ? [...this.#networks.values()] : this.#saved.networks;
  }

  network(name: string): NetworkRecord | undefined {
    return this.isLive ? this.#networks.get(name) : this.#savedNetwork(name);
  }

  #formerNetwork(name: string): NetworkRecord | undefined {
    return this.#networks.get(name) ?? this.#savedNetwork(name);
  }

  #savedNetwork(name: string): NetworkRecord | undefined {
    return this.#saved.networks.find((network) => network.name === name);
  }

  /** This node, as its HostInterface says. */
  self(): HostRecord | undefined {
    return this.isLive ? this.#hosts.get(this.node) : this.#saved.self;
  }

  host(name: string): HostRecord | undefined {
    return this.#hosts.get(name);
  }

  /** All hosts but this one; none unless live. */
  *peers(): IterableIterator<HostRecord> {
    if (!this.isLive) return;
    for (const host of this.#hosts.values()) if (host.hostName !== this.node) yield host;
  }

  deviceClass(name: string): DeviceIds | undefined {
    return this.isLive ? this.#classes.get(name) : this.#saved.classes.get(name);
  }

  classes(): ReadonlyMap<string, DeviceIds> {
    const names = [...this.#classes.keys()];
    return new Map(names.map((name) => [name, this.#classes.get(name) ?? []]));
  }

  /** IPPool objects with this node's label; none unless live. */
  publishedPools(): ReadonlyMap<string, PublishedPool> {
    if (!this.isLive) return new Map();
    return new Map([...this.#pools.values()].map((pool) => [pool.name, pool]));
  }

  /** The UID of a pod of this node, if there is one of that name. */
  podUid(pod: { namespace: string; name: string }): string | undefined {
    return this.#pods.get(`${pod.namespace}/${pod.name}`)?.uid;
  }

  /** What pods of this node that run say they have of a network; nothing unless live. */
  statedAddresses(network: string): { namespace: string; pod: string; address: string }[] {
    if (!this.isLive) return [];
    return [...this.#pods.keys()].flatMap((key) => {
      const slash = key.indexOf('/');
      const pod = { namespace: key.slice(0, slash), pod: key.slice(slash + 1) };
      const stated = this.#pods.get(key)?.stated ?? [];
      return stated
        .filter((entry) => entry.network === network)
        .flatMap(({ addresses }) => addresses.map((address) => ({ ...pod, address })));
    });
  }

  /** See `ClusterFacts.podState`. */
  async podState(pod: PodIdentity): Promise<'exists' | 'gone' | 'unknown'> {
    if (pod.name === '' || !this.#pods.isSynced) return 'unknown';
    if (isSamePod(pod, this.podUid(pod))) return 'exists';
    // Absence, or another UID, in a copy that may lag behind proves nothing.
    try {
      const object = await this.#client.get(PODS, pod, { timeoutMs: POD_LOOKUP_MS });
      const isHere = pod.uid !== '' || object?.spec?.nodeName === this.node;
      return isHere && isSamePod(pod, object?.metadata?.uid) ? 'exists' : 'gone';
    } catch {
      return 'unknown'; // not an answer: the pod may well be there
    }
  }
}

/** A pod without a known UID is any pod of its name. */
function isSamePod(pod: PodIdentity, uid: string | undefined): boolean {
  return uid !== undefined && (pod.uid === '' || pod.uid === uid);
}
