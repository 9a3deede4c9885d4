// Keeps the pools of this node what the cluster's plan says. A pool gives addresses only after its
// published object was looked at once, so that what other programs, or a journal that was lost,
// gave from it is held here too.
import { isDeepStrictEqual } from 'node:util';
import type { Core } from '../../../core-wasm/index.ts';
import { type IpAddress, parseAddress } from '../../shared/model/ip/address.ts';
import { containsAddress } from '../../shared/model/ip/cidr.ts';
import { type IpPoolSpec, POOL_INDEX_END } from '../../shared/model/objects/ip-pool.ts';
import type { KubeClient } from '../../shared/platform/kube/client.ts';
import { IP_POOLS } from '../../shared/platform/kube/resource.ts';
import type { Logger } from '../../shared/platform/log.ts';
import { externalRow } from '../attach/external.ts';
import type { AttachPorts } from '../attach/ports.ts';
import type { ClusterView } from '../cluster/cluster-view.ts';
import type { PeerPlans } from '../cluster/peer-plans.ts';
import type { PublishedPool } from '../cluster/published-pool.ts';
import type { Inventory } from '../inventory/nic-inventory.ts';
import { type Attachment, addressesOf } from '../journal/attachment.ts';
import { type Claim, type ContestedClaim, keyOf, mergeClaims, podOf } from './claims.ts';
import { type NetworkPools, planNetworkPools } from './plan-pools.ts';
import { type PoolPlan, parsePublishedPlan, parseStoredPool, toStoredPool } from './pool-plan.ts';
import type { PoolSet, WantedPool } from './pool-set.ts';
import { findBeyondJournal } from './published-beyond.ts';

/** An address that two records claim, or that is in no pool; nobody but the first gets it. */
export interface AdoptionConflict {
  readonly pool: string;
  readonly address: string;
  readonly pod: string;
  readonly reason: string;
}

/** What the keeper works with. */
export interface PoolKeeperPorts extends Pick<AttachPorts, 'journal' | 'clock' | 'bootId'> {
  readonly core: Core;
  readonly client: KubeClient;
  readonly pools: PoolSet;
  readonly view: ClusterView;
  readonly peers: PeerPlans;
  readonly inventory: Inventory;
  readonly log: Logger;
}

/** Plans, takes over, applies. */
export class PoolKeeper {
  readonly #ports: PoolKeeperPorts;
  /** Pools whose objects were looked at, as the journal has them. */
  readonly #complete: Map<string, PoolPlan>;
  /** Those of them whose objects this process has compared with the journal. */
  readonly #compared = new Set<string>();
  #plans = new Map<string, NetworkPools>();
  #conflicts: AdoptionConflict[] = [];

  constructor(ports: PoolKeeperPorts) {
    this.#ports = ports;
    this.#complete = ports.journal.parsePlans('pool', parseStoredPool);
    ports.pools.load([...this.#complete.values()]);
  }

  /** The last plan of a network. */
  plan(network: string): NetworkPools | undefined {
    return this.#plans.get(network);
  }

  get conflicts(): readonly AdoptionConflict[] {
    return this.#conflicts;
  }

  /** Whether the journal knows everything that was ever given from this pool. */
  isComplete(name: string): boolean {
    return this.#complete.has(name) && this.#compared.has(name);
  }

  /** Pools that the journal has a plan of, whether they are in the set or not. */
  names(): Iterable<string> {
    return this.#complete.keys();
  }

  /** Makes the pools what is planned now. Failing to reach the API server delays new pools only. */
  async replan(signal: AbortSignal): Promise<void> {
    const { pools, peers } = this.#ports;
    // Why a pool, or an object of one, is left alone. Each is asked about once.
    const refusals = new Map<string, string>();
    for (;;) {
      await peers.refresh(signal);
      signal.throwIfAborted();
      if (peers.isOutdated) continue;
      const plans = this.#planAll();
      const wanted = plans.flatMap((plan) => plan.pools);
      const questions = this.#findUnknown(wanted, { refusals, signal });
      if (questions.length > 0) {
        for (const answer of questions) await answer();
        continue; // what changed while the API server was asked counts as well
      }
      const usable = wanted.map((pool) => this.#complement(pool, refusals));
      this.#plans = new Map(plans.map((plan) => [plan.network, plan]));
      pools.apply(usable);
      await this.#savePlans(usable);
      return;
    }
  }

  /**
   * The object of a pool that is not in the set any more was removed. False if it is in the set
   * again.
   */
  async forget(name: string): Promise<boolean> {
    const { journal, pools } = this.#ports;
    if (pools.get(name) !== undefined) return false;
    this.#compared.delete(name);
    if (this.#complete.delete(name)) await journal.deletePlan({ kind: 'pool', name });
    return true;
  }

  #planAll(): NetworkPools[] {
    const { core, view, peers, inventory } = this.#ports;
    const self = view.self();
    if (self === undefined) return [];
    const hosts = [self, ...view.peers()];
    return view.networks().map((network) =>
      planNetworkPools(core, {
        network,
        self,
        interfaces: inventory.interfaces,
        hosts,
        duplicates: peers.duplicates(network.name),
      }),
    );
  }

  /** What to look at before the pools can be what is wanted; nothing, in the ordinary case. */
  #findUnknown(
    wanted: readonly WantedPool[],
    o: { refusals: Map<string, string>; signal: AbortSignal },
  ): (() => Promise<void>)[] {
    const { view } = this.#ports;
    if (!view.isLive) return [];
    const isUnknown = ({ name }: { name: string }): boolean =>
      !this.#complete.has(name) && !o.refusals.has(name);
    const plans = wanted.map(({ plan }) => plan);
    const planned = new Set(plans.map(({ name }) => name));
    const left = [...view.publishedPools().values()].filter(({ name }) => !planned.has(name));
    return [
      ...[...this.#complete.values()]
        .filter(({ name }) => !this.#compared.has(name))
        .map((plan) => () => this.#compare(plan)),
      ...left.filter(isUnknown).map((pool) => () => this.#adoptLeft(pool, o.refusals)),
      ...plans.filter(isUnknown).map((plan) => () => this.#adoptWanted(plan, o)),
    ];
  }

  /** Once per process: a journal can be older than it should be without being damaged. */
  async #compare(plan: PoolPlan): Promise<void> {
    const { view, log } = this.#ports;
    const { name } = plan;
    const spec = view.publishedPools().get(name)?.spec;
    const listed = spec?.hostName === view.node ? spec.allocations : [];
    const lost = this.#findLost(plan, this.#mergeClaims(plan, listed));
    if (lost.length > 0) {
      await this.#takeOver(plan, lost);
      log.info('took over allocations', { pool: name, count: lost.length, why: 'not recorded' });
    }
    this.#compared.add(name);
  }

  /** What the object lists, and what pods state where the object is wrong or says nothing. */
  #mergeClaims(plan: PoolPlan, listed: readonly Claim[]): readonly Claim[] {
    const { view } = this.#ports;
    const stated = view.statedAddresses(plan.network).filter(({ address: text }) => {
      const address = parseAddress(text);
      return address !== undefined && containsAddress(plan.podCidr, address);
    });
    const existsPod = (pod: { namespace: string; name: string }): boolean =>
      view.podUid(pod) !== undefined;
    const { claims, contested } = mergeClaims({ listed, stated, existsPod });
    this.#addContested(plan.name, contested);
    return claims;
  }

  #findLost({ name, network }: PoolPlan, claims: readonly Claim[]): readonly Claim[] {
    const { journal, view, clock } = this.#ports;
    const pods = new Map(
      journal
        .allocationsOf(name)
        .map(({ address, podNamespace, podName }) => [address, `${podNamespace}/${podName}`]),
    );
    // In the ordinary case there are none, and nothing else of the journal is read.
    const unknown = claims.filter((claim) => pods.get(keyOf(claim)) !== podOf(claim));
    if (unknown.length === 0) return [];
    const ofNetwork = (one: { network: string }): boolean => one.network === network;
    const held = journal.held().filter(ofNetwork);
    const resting = journal
      .quarantined()
      .filter((one) => ofNetwork(one) && one.untilMs > clock.now());
    const { lost, contested } = findBeyondJournal(unknown, {
      holders: new Map([...held.map((one) => [one.address, one.pool] as const), ...pods]),
      resting: new Set(resting.map(({ address }) => address)),
      existsPod: (pod) => view.podUid(pod) !== undefined,
    });
    this.#addContested(name, contested);
    return lost;
  }

  #addContested(pool: string, contested: readonly ContestedClaim[]): void {
    for (const { claim, holder } of contested) {
      this.#addConflict(pool, claim, `${holder} has it as well`);
    }
  }

  #addConflict(pool: string, { namespace, pod, address }: Claim, reason: string): void {
    const conflict = { pool, address, pod: `${namespace}/${pod}`, reason };
    // A plan that fails is made again, and finds the same.
    if (this.#conflicts.some((one) => isDeepStrictEqual(one, conflict))) return;
    this.#conflicts.push(conflict);
    this.#ports.log.error('allocation not taken over', { ...conflict });
  }

  /** Takes over an object of this node that is in no plan: its pods still hold the addresses. */
  async #adoptLeft({ name, spec }: PublishedPool, refusals: Map<string, string>): Promise<void> {
    const { view, log } = this.#ports;
    const plan = parsePublishedPlan(name, spec);
    if (plan !== undefined && spec.hostName === view.node) {
      await this.#adopt(plan, spec);
      return;
    }
    log.error('published pool not understood', { pool: name, hostName: spec.hostName });
    refusals.set(name, 'its IPPool is not understood');
  }

  /** Asked by name, because objects of old versions have no labels to be found by. */
  async #adoptWanted(
    plan: PoolPlan,
    { refusals, signal }: { refusals: Map<string, string>; signal: AbortSignal },
  ): Promise<void> {
    const { client, view } = this.#ports;
    const { name } = plan;
    const object = await client.get(IP_POOLS, { name }, { signal });
    if (object === undefined || object.spec.hostName === view.node) {
      await this.#adopt(plan, object?.spec);
    } else {
      refusals.set(name, `its IPPool belongs to host ${object.spec.hostName}`);
    }
  }

  /** A wanted pool, refused if it cannot be known yet what was given from it. */
  #complement(pool: WantedPool, refusals: ReadonlyMap<string, string>): WantedPool {
    const { isLive } = this.#ports.view;
    const { plan } = pool;
    const known = this.#complete.get(plan.name);
    // Other hosts are not known while the API server was not heard, but where their addresses are.
    if (known !== undefined) return isLive ? pool : withExcludesOf(pool, known);
    const reason = isLive
      ? refusals.get(plan.name)
      : 'the API server has not said yet what is in use';
    return { plan, reason };
  }

  async #adopt(plan: PoolPlan, spec: IpPoolSpec | undefined): Promise<void> {
    const listed = spec?.allocations ?? [];
    const recorded = new Set(listed.map(keyOf));
    const held = this.#heldAddresses(plan.network);
    // What a pod states and the journal has already needs no other record.
    const claims = this.#mergeClaims(plan, listed).filter(
      (claim) => recorded.has(keyOf(claim)) || !held.has(keyOf(claim)),
    );
    const count = await this.#takeOver(plan, claims);
    this.#complete.set(plan.name, plan);
    this.#compared.add(plan.name);
    // Also where it is planned: by now that may not be so any more.
    this.#ports.pools.load([plan]);
    if (count > 0) this.#ports.log.info('took over allocations', { pool: plan.name, count });
  }

  #heldAddresses(network: string): Set<string> {
    const held = this.#ports.journal.held().filter((one) => one.network === network);
    return new Set(held.map(({ address }) => address));
  }

  async #takeOver(plan: PoolPlan, claims: readonly Claim[]): Promise<number> {
    const { journal, pools } = this.#ports;
    const { name, network } = plan;
    const attachments = this.#toRows(plan, claims);
    // Before the write: meanwhile nobody shall be given one of them.
    const addresses = attachments.flatMap((row) => addressesOf(row).map(({ address }) => address));
    for (const address of addresses) pools.hold({ network, address });
    await journal.adoptPool({ name, body: toStoredPool(plan), attachments });
    return attachments.length;
  }

  #toRows(plan: PoolPlan, claims: readonly Claim[]): Attachment[] {
    const { view } = this.#ports;
    const held = this.#heldAddresses(plan.network);
    return claims.flatMap((claim) => {
      const { pod, namespace, address: text } = claim;
      const address = parseAddress(text);
      const reason = held.has(text) ? 'recorded twice' : whyNoIndex(plan, address);
      if (address === undefined || reason !== undefined) {
        this.#addConflict(plan.name, claim, reason ?? 'no address');
        return [];
      }
      held.add(text);
      const uid = view.podUid({ namespace, name: pod }) ?? '';
      return externalRow(this.#ports, {
        network: plan.network,
        pod: { namespace, name: pod, uid },
        interfaceName: plan.interfaceName,
        netAddress: plan.netAddress,
        held: {
          pool: plan.name,
          index: Number(address.value - plan.podCidr.base),
          family: plan.family,
          address: text,
          prefix: plan.vlanCidr.prefix,
        },
      });
    });
  }

  /** Ranges can change with the excludes; what is saved must be what is used. */
  async #savePlans(usable: readonly WantedPool[]): Promise<void> {
    for (const { plan } of usable) {
      const known = this.#complete.get(plan.name);
      if (known === undefined) continue;
      const body = toStoredPool(plan);
      if (JSON.stringify(body) === JSON.stringify(toStoredPool(known))) continue;
      this.#complete.set(plan.name, plan);
      await this.#ports.journal.putPlan({ kind: 'pool', name: plan.name, body });
    }
  }
}

/** Why an address has no place in the pool, or undefined if it has. */
function whyNoIndex({ podCidr }: PoolPlan, address: IpAddress | undefined): string | undefined {
  if (address === undefined) return 'no address';
  if (!containsAddress(podCidr, address)) return 'not in the pool';
  // Nobody is given it by us, so nobody gets it twice.
  return address.value - podCidr.base < POOL_INDEX_END ? undefined : 'beyond what a pool can give';
}

/** Its name says that it is the same block. */
function withExcludesOf(pool: WantedPool, { excludes }: PoolPlan): WantedPool {
  return { ...pool, plan: { ...pool.plan, excludes } };
}
