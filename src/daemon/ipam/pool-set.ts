// This node's pools: which addresses are free, held or in quarantine, as bitmaps that mirror the
// journal. Addresses are taken here first and recorded next; a crash between frees them by itself.
import type { Core } from '../../../core-wasm/index.ts';
import { formatAddress, parseAddress } from '../../shared/model/ip/address.ts';
import { overlapsCidr } from '../../shared/model/ip/cidr.ts';
import type { QuarantinedAddress } from '../journal/attachment.ts';
import type { HeldIndex } from '../journal/journal.ts';
import { type Bitmap, createBitmap, whyNoRoom } from './bitmap.ts';
import { hasSameRange, type PoolPlan } from './pool-plan.ts';

/**
 * `planned`: gives addresses. `refused`: does not, for `reason`. `draining`: no longer planned,
 * kept while addresses of it are held or in quarantine.
 */
export type PoolState = 'planned' | 'refused' | 'draining';

/** What can be set at most (settings.ts). */
const QUARANTINE_MS_MAX = 86_400_000;

/** A pool and how it is used. */
export interface PoolRecord {
  readonly plan: PoolPlan;
  readonly pool: Bitmap;
  state: PoolState;
  /** Why it does not give addresses; '' while it does. */
  reason: string;
}

/** Where the pools learn at creation what is not free: the journal. */
export interface Holdings {
  held(): readonly HeldIndex[];
  quarantined(): readonly QuarantinedAddress[];
}

/** A pool that the node should have; with a `reason` it exists but gives nothing. */
export interface WantedPool {
  readonly plan: PoolPlan;
  readonly reason: string | undefined;
}

/** An address that was taken: its taker's until `settle` or `giveBack`. */
export interface TakenAddress {
  readonly record: PoolRecord;
  readonly index: number;
  readonly address: string;
  /** Its quarantine, if it was taken before that was over. */
  readonly rest: QuarantinedAddress | undefined;
}

/** All pools of this node. Nothing is given before the first `apply`. */
export class PoolSet {
  readonly #core: Core;
  readonly #holdings: Holdings;
  readonly #records = new Map<string, PoolRecord>();
  /** By pool: those of its network that share addresses with it. Emptied by every change. */
  #overlaps = new Map<PoolRecord, readonly PoolRecord[]>();
  #version = 0;
  /** Oldest first: when nothing is free, the first is given. */
  #quarantine: QuarantinedAddress[] = [];
  /** Taken by somebody whose row is not in the journal for certain: a new bitmap learns it here. */
  readonly #taken = new Set<TakenAddress>();

  constructor(o: { core: Core; holdings: Holdings }) {
    this.#core = o.core;
    this.#holdings = o.holdings;
    this.#quarantine = [...o.holdings.quarantined()];
  }

  /** Another number after every change of the set, of a state or of a reason. */
  get version(): number {
    return this.#version;
  }

  records(): PoolRecord[] {
    return [...this.#records.values()];
  }

  get(name: string): PoolRecord | undefined {
    return this.#records.get(name);
  }

  get quarantined(): number {
    return this.#quarantine.length;
  }

  /** The pools of one NIC in one network, IPv4 first; those that are draining are left out. */
  find(o: { network: string; interfaceName: string }): PoolRecord[] {
    return this.records()
      .filter(
        ({ plan, state }) =>
          state !== 'draining' &&
          plan.network === o.network &&
          plan.interfaceName === o.interfaceName,
      )
      .sort((a, b) => a.plan.family - b.plan.family);
  }

  /** Pools known from before, draining until a plan wants them. */
  load(plans: readonly PoolPlan[]): void {
    const created = plans
      .filter(({ name }) => !this.#records.has(name))
      .map((plan): PoolRecord => {
        const pool = createBitmap(this.#core, plan);
        return { plan, pool, state: 'draining', reason: 'not planned for this node' };
      });
    for (const record of created) this.#records.set(record.plan.name, record);
    this.#changed();
    this.#fill(created);
  }

  /**
   * Makes the set what the plan wants. A pool that is no longer wanted stays, giving nothing, for
   * as long as addresses of it are not free. One that there is no room for is refused. Returns the
   * names of pools that are gone.
   */
  apply(wanted: readonly WantedPool[]): string[] {
    const names = new Set(wanted.map(({ plan }) => plan.name));
    for (const [name, record] of this.#records) {
      if (names.has(name)) continue;
      record.state = 'draining';
      record.reason = 'no longer planned for this node';
    }
    const gone = this.dropDrained(); // first: others need their room
    this.#fill(wanted.flatMap((one) => this.#renew(one) ?? []));
    this.#changed();
    return gone;
  }

  /** Sets the record of a wanted pool; returns it if its bitmap has to learn what is held. */
  #renew({ plan, reason }: WantedPool): PoolRecord | undefined {
    const existing = this.#records.get(plan.name);
    const kept =
      existing !== undefined && this.#hasBitmap(existing) && hasSameRange(existing.plan, plan)
        ? existing
        : undefined;
    // Given back before, so that there is room for the new one whenever there was for the old.
    if (kept === undefined) existing?.pool[Symbol.dispose]();
    const pool = kept?.pool ?? createBitmap(this.#core, plan);
    const why = reason ?? whyNoRoom(this.#core, pool);
    const state = why === undefined ? 'planned' : 'refused';
    const record = { plan, pool, state, reason: why ?? '' } satisfies PoolRecord;
    this.#records.set(plan.name, record);
    // While it gave nothing, allocations may have been taken over that its bitmap has not seen.
    return kept?.state === 'planned' ? undefined : record;
  }

  #hasBitmap({ pool }: PoolRecord): boolean {
    return whyNoRoom(this.#core, pool) === undefined;
  }

  /**
   * Takes a free address, or the one that has been in quarantine for longest if none is free. It is
   * the caller's until `settle` or `giveBack`, whatever becomes of the plan in between.
   */
  take(of: PoolRecord): TakenAddress | undefined {
    const record = this.#records.get(of.plan.name); // its bitmap may be another one by now
    if (record?.state !== 'planned') return undefined;
    const free = record.pool.take();
    const rest = free === undefined ? this.#takeQuarantined(record) : undefined;
    const index = free ?? rest?.index;
    if (index === undefined) return undefined;
    const address = formatAddress({
      family: record.plan.family,
      value: record.pool.addressAt(index),
    });
    if (this.#overlapsOf(record).length > 0) {
      this.#mirror(record.plan, address, (pool, at) => pool.occupy(at));
    }
    const taken = { record, index, address, rest };
    this.#taken.add(taken);
    return taken;
  }

  /** The journal says from now on who holds these, or that nobody does. */
  settle(addresses: readonly TakenAddress[]): void {
    for (const taken of addresses) this.#taken.delete(taken);
  }

  /**
   * Gives an address back, free or, if others may have seen it, set aside until `untilMs`. Nothing
   * happens if it is not the taker's any more.
   */
  giveBack(taken: TakenAddress, o: { untilMs?: number }): void {
    if (!this.#taken.delete(taken)) return;
    const { record, index, address, rest } = taken;
    const { network, name } = record.plan;
    const { untilMs } = o;
    const entry = untilMs === undefined ? rest : { network, address, pool: name, index, untilMs };
    if (entry === undefined) this.#mirror(record.plan, address, (pool, at) => pool.release(at));
    else this.quarantine(entry);
  }

  #overlapsOf(record: PoolRecord): readonly PoolRecord[] {
    const known = this.#overlaps.get(record);
    if (known !== undefined) return known;
    const { network, podCidr } = record.plan;
    const others = this.records().filter(
      (other) =>
        other !== record &&
        other.plan.network === network &&
        overlapsCidr(other.plan.podCidr, podCidr),
    );
    this.#overlaps.set(record, others);
    return others;
  }

  /**
   * Occupies an address that somebody holds already, by the journal; its quarantine is over, and
   * whoever has just taken it cannot give it back.
   */
  hold(o: { network: string; address: string }): void {
    for (const taken of this.#taken) {
      if (taken.address === o.address && taken.record.plan.network === o.network) {
        this.#taken.delete(taken);
      }
    }
    this.#quarantine = this.#quarantine.filter(
      ({ network, address }) => network !== o.network || address !== o.address,
    );
    this.#mirror(o, o.address, (pool, index) => pool.occupy(index));
  }

  /** Puts a released address aside until `untilMs`. */
  quarantine(address: QuarantinedAddress): void {
    this.#quarantine.push(address);
    this.#mirror(address, address.address, setAside);
  }

  /**
   * Addresses whose quarantine is over at `nowMs`; they stay aside until `endQuarantine`. One that
   * would last longer than any was begun by a clock that was ahead.
   */
  expired(nowMs: number): QuarantinedAddress[] {
    return this.#quarantine.filter(
      ({ untilMs }) => untilMs <= nowMs || untilMs > nowMs + QUARANTINE_MS_MAX,
    );
  }

  /** Makes addresses takeable again, after the journal forgot their quarantine. */
  endQuarantine(addresses: readonly QuarantinedAddress[]): void {
    const ended = new Set(addresses);
    const present = new Set(this.#quarantine);
    const wasLifted = new Set(addresses.filter((entry) => !present.has(entry)));
    this.#quarantine = this.#quarantine.filter((entry) => !ended.has(entry));
    for (const entry of addresses) {
      if (wasLifted.has(entry)) continue;
      this.#mirror(entry, entry.address, (pool, index) => pool.endQuarantine(index));
    }
  }

  /** Forgets draining pools that hold nothing any more; returns their names. */
  dropDrained(): string[] {
    const draining = this.records().filter(({ state }) => state === 'draining');
    if (draining.length === 0) return [];
    // The bitmap alone does not tell: an address that became excluded is held without a bit.
    const holding = new Set(this.#holdings.held().map((entry) => entry.pool));
    for (const { record } of this.#taken) holding.add(record.plan.name);
    const gone = draining.filter(
      ({ plan, pool }) => pool.occupied === 0 && pool.quarantined === 0 && !holding.has(plan.name),
    );
    for (const { plan, pool } of gone) {
      this.#records.delete(plan.name);
      pool[Symbol.dispose]();
    }
    this.#changed();
    return gone.map(({ plan }) => plan.name);
  }

  #changed(): void {
    this.#version += 1;
    this.#overlaps = new Map();
  }

  #takeQuarantined(record: PoolRecord): QuarantinedAddress | undefined {
    const { network, name } = record.plan;
    const isOfPool = (entry: QuarantinedAddress): boolean =>
      entry.network === network && entry.pool === name;
    for (const entry of this.#quarantine.filter(isOfPool)) {
      if (record.pool.occupy(entry.index) !== 'occupied') continue;
      this.#quarantine = this.#quarantine.filter((other) => other !== entry);
      return entry;
    }
    return undefined;
  }

  /**
   * Does the same in every pool of the network that covers the address: after a change of the plan
   * an old and a new pool can overlap, and what one gives the other must not.
   */
  #mirror(
    { network }: { network: string },
    address: string,
    change: (pool: Bitmap, index: number) => void,
  ): void {
    const parsed = parseAddress(address);
    if (parsed === undefined) return;
    for (const { plan, pool } of this.#records.values()) {
      if (plan.network !== network || plan.family !== parsed.family) continue;
      const index = pool.indexOf(parsed.value);
      if (index !== undefined) change(pool, index);
    }
  }

  /** The restore barrier: a bitmap learns what is held before anything is taken from it. */
  #fill(records: readonly PoolRecord[]): void {
    if (records.length === 0) return;
    const byNetwork = Map.groupBy(records, (record) => record.plan.network);
    const mark = (
      entry: { network: string; address: string },
      change: (pool: Bitmap, index: number) => void,
    ): void => {
      const affected = byNetwork.get(entry.network) ?? [];
      if (affected.length === 0) return;
      const parsed = parseAddress(entry.address);
      for (const { plan, pool } of affected) {
        if (plan.family !== parsed?.family) continue;
        const index = pool.indexOf(parsed.value);
        if (index !== undefined) change(pool, index);
      }
    };
    // Its release is in the journal before it is in the list, its end the other way round.
    for (const entry of this.#holdings.quarantined()) mark(entry, setAside);
    for (const entry of this.#quarantine) mark(entry, setAside);
    for (const entry of this.#holdings.held()) mark(entry, (pool, index) => pool.occupy(index));
    for (const { record, address } of this.#taken) {
      mark({ network: record.plan.network, address }, (pool, index) => pool.occupy(index));
    }
  }
}

/** Whatever the bit was: after this the index is neither free nor held. */
function setAside(pool: Bitmap, index: number): void {
  pool.occupy(index);
  pool.quarantine(index);
}
