// Pools never give what is held or set aside, whatever happened to their plans in between.
import { beforeAll, describe, expect, test } from 'bun:test';
import { type Core, loadCore } from '../../../core-wasm/index.ts';
import { type Cidr, parseCidr } from '../../shared/model/ip/cidr.ts';
import type { QuarantinedAddress } from '../journal/attachment.ts';
import type { HeldIndex } from '../journal/journal.ts';
import type { PoolPlan } from './pool-plan.ts';
import { type PoolRecord, PoolSet, type TakenAddress } from './pool-set.ts';

let core: Core;
beforeAll(async () => {
  core = await loadCore();
});

const cidr = (text: string): Cidr => {
  const parsed = parseCidr(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
};

const plan = (podCidr: string, o: { excludes?: string[]; nic?: string } = {}): PoolPlan => ({
  name: `net-${podCidr.replace('/', '-')}`,
  network: 'net',
  hostName: 'n1',
  interfaceName: o.nic ?? 'eth1',
  netAddress: '10.0.1.0/24',
  family: 4,
  vlanCidr: cidr('192.168.0.0/18'),
  podCidr: cidr(podCidr),
  excludes: (o.excludes ?? []).map(cidr),
});

/** A journal of two lists. */
class Ledger {
  rows: HeldIndex[] = [];
  aside: QuarantinedAddress[] = [];
  held = (): HeldIndex[] => this.rows;
  quarantined = (): QuarantinedAddress[] => this.aside;
  hold(pool: string, index: number, address: string): void {
    this.rows.push({ network: 'net', pool, index, address });
  }
}

const wanted = (one: PoolPlan, reason?: string) => ({ plan: one, reason });
const setUp = (ledger = new Ledger()): { ledger: Ledger; pools: PoolSet } => ({
  ledger,
  pools: new PoolSet({ core, holdings: ledger }),
});
const get = (pools: PoolSet, name: string): PoolRecord => {
  const record = pools.get(name);
  if (record === undefined) throw new Error(`no pool ${name}`);
  return record;
};
const takeAll = (pools: PoolSet, record: PoolRecord): string[] => {
  const addresses: string[] = [];
  for (let one = pools.take(record); one !== undefined; one = pools.take(record)) {
    addresses.push(one.address);
  }
  return addresses;
};

const take = (pools: PoolSet, name: string): TakenAddress => {
  const taken = pools.take(get(pools, name));
  if (taken === undefined) throw new Error(`nothing free in ${name}`);
  return taken;
};

const NAME = 'net-192.168.0.0-29';
const WHOLE = [1, 2, 3, 4, 5, 6].map((i) => `192.168.0.${i}`);

describe('restore', () => {
  test('what the journal holds or has in quarantine is not given', () => {
    const ledger = new Ledger();
    ledger.hold(NAME, 2, '192.168.0.2');
    ledger.aside = [{ network: 'net', pool: NAME, index: 4, address: '192.168.0.4', untilMs: 9 }];
    const { pools } = setUp(ledger);
    pools.apply([wanted(plan('192.168.0.0/29'))]);
    const record = get(pools, NAME);
    expect(record.pool.occupied).toBe(1);
    expect(record.pool.quarantined).toBe(1);
    const given = [pools.take(record), pools.take(record), pools.take(record), pools.take(record)];
    expect(given.map((one) => one?.address).sort()).toEqual(
      [1, 3, 5, 6].map((i) => `192.168.0.${i}`),
    );
  });

  test('addresses of another network do not count', () => {
    const ledger = new Ledger();
    ledger.rows = [{ network: 'other', pool: NAME, index: 2, address: '192.168.0.2' }];
    const { pools } = setUp(ledger);
    pools.apply([wanted(plan('192.168.0.0/29'))]);
    expect(takeAll(pools, get(pools, NAME))).toEqual(WHOLE);
  });

  test('what was taken over while a pool was refused is occupied when it is planned', () => {
    const { ledger, pools } = setUp();
    pools.apply([wanted(plan('192.168.0.0/29'), 'not known yet')]);
    expect(pools.take(get(pools, NAME))).toBeUndefined();
    ledger.hold(NAME, 1, '192.168.0.1');
    pools.apply([wanted(plan('192.168.0.0/29'))]);
    expect(takeAll(pools, get(pools, NAME))).toEqual(WHOLE.slice(1));
  });
});

describe('quarantine', () => {
  test('begun by a clock that was ahead ends, and holds up no other', () => {
    const { pools } = setUp();
    pools.apply([wanted(plan('192.168.0.0/29'))]);
    const record = get(pools, 'net-192.168.0.0-29');
    const rest = (untilMs: number): QuarantinedAddress => {
      const taken = pools.take(record);
      if (taken === undefined) throw new Error('no address');
      const { address, index } = taken;
      const entry = { network: 'net', address, pool: record.plan.name, index, untilMs };
      pools.quarantine(entry);
      return entry;
    };
    const nowMs = Date.UTC(2026, 0, 1);
    const ahead = rest(Date.UTC(2036, 0, 1));
    const long = rest(nowMs + 3_600_000);
    const short = rest(nowMs + 60_000);
    expect(pools.expired(nowMs)).toEqual([ahead]);
    expect(pools.expired(nowMs + 60_000)).toEqual([ahead, short]);
    expect(pools.expired(nowMs + 3_600_000)).toEqual([ahead, long, short]);
  });

  const aside = (index: number, untilMs: number): QuarantinedAddress => ({
    network: 'net',
    pool: NAME,
    index,
    address: `192.168.0.${index}`,
    untilMs,
  });

  test('a released address is given again only after its end', () => {
    const { pools } = setUp();
    pools.apply([wanted(plan('192.168.0.0/29'))]);
    const record = get(pools, NAME);
    expect(pools.take(record)?.index).toBe(1);
    const entry = aside(1, 60);
    pools.quarantine(entry);
    expect(pools.expired(59)).toEqual([]);
    expect(pools.expired(60)).toEqual([entry]);
    expect(record.pool.isQuarantined(1)).toBe(true);
    pools.endQuarantine([entry]);
    expect(record.pool.isQuarantined(1)).toBe(false);
    expect(pools.quarantined).toBe(0);
  });

  test('an exhausted pool gives the address that waited longest, once', () => {
    const { pools } = setUp();
    pools.apply([wanted(plan('192.168.0.0/29'))]);
    const record = get(pools, NAME);
    expect(takeAll(pools, record)).toEqual(WHOLE);
    const entries = [aside(5, 10), aside(2, 20)];
    for (const entry of entries) pools.quarantine(entry);
    expect(pools.take(record)?.address).toBe('192.168.0.5');
    // The end of its quarantine must not free what is held again.
    pools.endQuarantine(entries.slice(0, 1));
    expect(pools.take(record)?.address).toBe('192.168.0.2');
    expect(pools.take(record)).toBeUndefined();
  });
});

describe('changes of the plan', () => {
  test('a pool that is no longer planned gives nothing and goes when nothing holds it', () => {
    const { ledger, pools } = setUp();
    pools.apply([wanted(plan('192.168.0.0/29'))]);
    const taken = take(pools, NAME);
    ledger.hold(NAME, 1, '192.168.0.1');
    expect(pools.apply([])).toEqual([]);
    expect(get(pools, NAME).state).toBe('draining');
    expect(pools.take(get(pools, NAME))).toBeUndefined();
    ledger.rows = [];
    pools.giveBack(taken, {});
    expect(pools.dropDrained()).toEqual([NAME]);
    expect(pools.get(NAME)).toBeUndefined();
  });

  test('an address that became excluded keeps its pool while the journal holds it', () => {
    const { ledger, pools } = setUp();
    ledger.hold(NAME, 1, '192.168.0.1');
    pools.apply([wanted(plan('192.168.0.0/29', { excludes: ['192.168.0.0/30'] }))]);
    expect(get(pools, NAME).pool.occupied).toBe(0);
    expect(pools.apply([])).toEqual([]);
    expect(pools.get(NAME)).toBeDefined();
  });

  test('excludes that change keep what is held', () => {
    const { ledger, pools } = setUp();
    pools.apply([wanted(plan('192.168.0.0/29'))]);
    expect(pools.take(get(pools, NAME))?.index).toBe(1);
    ledger.hold(NAME, 1, '192.168.0.1');
    pools.apply([wanted(plan('192.168.0.0/29', { excludes: ['192.168.0.6/32'] }))]);
    expect(takeAll(pools, get(pools, NAME))).toEqual(WHOLE.slice(1, 5));
  });

  test('an old and a new pool that overlap never give the same address', () => {
    const { ledger, pools } = setUp();
    pools.apply([wanted(plan('192.168.0.0/29'))]);
    const taken = take(pools, NAME);
    ledger.hold(NAME, 1, '192.168.0.1');
    const wide = plan('192.168.0.0/28');
    pools.apply([wanted(wide)]);
    expect(takeAll(pools, get(pools, wide.name))).not.toContain('192.168.0.1');
    ledger.rows = [];
    pools.giveBack(taken, {});
    expect(pools.take(get(pools, wide.name))?.address).toBe('192.168.0.1');
  });

  test('whoever found a pool before its excludes changed takes from it as it is now', () => {
    const { pools } = setUp();
    pools.apply([wanted(plan('192.168.0.0/29'))]);
    const record = get(pools, NAME);
    pools.apply([wanted(plan('192.168.0.0/29', { excludes: ['192.168.0.1/32'] }))]);
    expect(pools.take(record)?.address).toBe('192.168.0.2');
    pools.apply([]);
    expect(pools.take(record)).toBeUndefined();
  });

  test('pools of a NIC come with IPv4 first and without draining ones', () => {
    const { ledger, pools } = setUp();
    ledger.hold(NAME, 1, '192.168.0.1');
    pools.load([plan('192.168.0.0/29')]);
    const six: PoolPlan = {
      ...plan('192.168.8.0/29'),
      name: 'six',
      family: 6,
      podCidr: cidr('fd00::/120'),
    };
    pools.apply([wanted(six), wanted(plan('192.168.1.0/29'))]);
    const found = pools.find({ network: 'net', interfaceName: 'eth1' });
    expect(found.map((record) => record.plan.family)).toEqual([4, 6]);
    expect(found.map((record) => record.plan.name)).not.toContain(NAME);
  });
});

describe('an address that was taken and is not recorded yet', () => {
  const given = (pools: PoolSet) => takeAll(pools, get(pools, NAME));
  const exclude = (pools: PoolSet, ...excludes: string[]): void => {
    pools.apply([wanted(plan('192.168.0.0/29', { excludes }))]);
  };

  test('is free at once when it is given back', () => {
    const { pools } = setUp();
    exclude(pools);
    const taken = take(pools, NAME);
    expect(given(pools)).toEqual(WHOLE.slice(1));
    pools.giveBack(taken, {});
    expect(given(pools)).toEqual([taken.address]);
  });

  test('is not given again when the excludes change', () => {
    const { pools } = setUp();
    exclude(pools);
    const taken = take(pools, NAME);
    exclude(pools, '192.168.0.6/32');
    expect(given(pools)).toEqual(WHOLE.slice(1, 5));
    pools.giveBack(taken, {});
    expect(given(pools)).toEqual([taken.address]);
  });

  test('is not given by a new pool that overlaps', () => {
    const { pools } = setUp();
    exclude(pools);
    const taken = take(pools, NAME);
    const wide = plan('192.168.0.0/28');
    pools.apply([wanted(wide)]);
    expect(takeAll(pools, get(pools, wide.name))).not.toContain(taken.address);
  });

  test('keeps its pool, even if it became excluded', () => {
    const { pools } = setUp();
    exclude(pools);
    const taken = take(pools, NAME);
    exclude(pools, '192.168.0.0/30');
    expect(pools.apply([])).toEqual([]);
    pools.giveBack(taken, {});
    expect(pools.apply([])).toEqual([NAME]);
  });

  test('is forgotten when its taker says that the journal has it', () => {
    const { ledger, pools } = setUp();
    exclude(pools);
    const taken = take(pools, NAME);
    ledger.hold(NAME, taken.index, taken.address);
    pools.settle([taken]);
    pools.giveBack(taken, {});
    expect(get(pools, NAME).pool.isOccupied(taken.index)).toBe(true);
    ledger.rows = [];
    exclude(pools, '192.168.0.6/32');
    expect(given(pools)).toEqual(WHOLE.slice(0, 5));
  });

  test('is not freed by its taker after somebody else turned out to hold it', () => {
    const { pools } = setUp();
    exclude(pools);
    const taken = take(pools, NAME);
    pools.hold({ network: 'net', address: taken.address });
    pools.giveBack(taken, {});
    expect(given(pools)).toEqual(WHOLE.slice(1));
  });

  test('rests again if it is given back before its quarantine is over', () => {
    const ledger = new Ledger();
    ledger.aside = WHOLE.map((address, i) => ({
      network: 'net',
      pool: NAME,
      index: i + 1,
      address,
      untilMs: 100 + i,
    }));
    const { pools } = setUp(ledger);
    exclude(pools);
    const taken = take(pools, NAME);
    expect(taken.address).toBe('192.168.0.1');
    exclude(pools, '192.168.0.6/32');
    expect(get(pools, NAME).pool.isOccupied(taken.index)).toBe(true);
    pools.giveBack(taken, {});
    expect(get(pools, NAME).pool.isQuarantined(taken.index)).toBe(true);
    expect(pools.expired(100).map(({ address }) => address)).toEqual([taken.address]);
  });
});

test('a release that the journal has before the list does is no free address', () => {
  const { ledger, pools } = setUp();
  pools.apply([wanted(plan('192.168.0.0/29'))]);
  const taken = take(pools, NAME);
  pools.settle([taken]);
  const { index, address } = taken;
  const entry = { network: 'net', pool: NAME, index, address, untilMs: 60 };
  ledger.aside = [entry];
  pools.apply([wanted(plan('192.168.0.0/29', { excludes: ['192.168.0.6/32'] }))]);
  expect(takeAll(pools, get(pools, NAME))).toEqual(WHOLE.slice(1, 5));
  pools.quarantine(entry);
  pools.endQuarantine([entry]);
  expect(takeAll(pools, get(pools, NAME))).toEqual([address]);
});

describe('more pools than there is room for', () => {
  const large = (n: number): PoolPlan => ({
    ...plan(`10.${n % 256}.0.0/16`),
    name: `net-${n}`,
    network: `net-${n}`,
  });

  test('only those without room are refused, and get room when some is free', async () => {
    const pools = new PoolSet({ core: await loadCore(), holdings: new Ledger() });
    const plans = Array.from({ length: 1_400 }, (_, n) => large(n));
    pools.apply(plans.map((one) => wanted(one)));
    const refused = pools.records().filter(({ state }) => state === 'refused');
    expect(refused.length).toBeGreaterThan(0);
    expect(refused.length).toBeLessThan(200);
    for (const record of refused) {
      expect(record.reason).toContain('too large together');
      expect(pools.take(record)).toBeUndefined();
    }
    const first = get(pools, 'net-0');
    expect(pools.take(first)?.address).toBe('10.0.0.1');
    // Another range of the same size always finds the room that it had.
    const exclude = { ...large(0), excludes: [cidr('10.0.0.2/32')] };
    pools.apply([wanted(exclude), ...plans.slice(1).map((one) => wanted(one))]);
    expect(pools.take(get(pools, 'net-0'))?.address).toBe('10.0.0.3');
    pools.apply([wanted(exclude), ...plans.slice(-200).map((one) => wanted(one))]);
    expect(pools.records().filter(({ state }) => state === 'refused')).toEqual([]);
    expect(pools.take(get(pools, 'net-1399'))?.address).toBe('10.119.0.1');
  });

  test('what the journal knows from before is no obstacle to a start', async () => {
    const pools = new PoolSet({ core: await loadCore(), holdings: new Ledger() });
    pools.load(Array.from({ length: 1_400 }, (_, n) => large(n)));
    expect(pools.records()).toHaveLength(1_400);
  });
});
