// The core against the golden files of address division, test/golden/cidr; those of the choice of indices are checked
// where indices are chosen (src/controller/plan/index-core.test.ts).
import { describe, expect, test } from 'bun:test';
import covered from '../../test/golden/cidr/covered.json';
import hostSubnet from '../../test/golden/cidr/host-subnet-mode.json';
import indexOf from '../../test/golden/cidr/index-of.json';
import poolExcludes from '../../test/golden/cidr/pool-excludes.json';
import subnetAt from '../../test/golden/cidr/subnet-at.json';
import { loadCore } from '../index.ts';
import { addressOf, blockOf, cidr, excludeOf, excludes } from './text.ts';

const core = await loadCore();

describe('a block of a division', () => {
  for (const row of subnetAt.rows) {
    const answer = row.block ?? row.refused;
    test(`${row.parent} index ${row.index} of 2^${row.bits} is ${answer}`, () => {
      const parent = blockOf(row.parent);
      if (parent === undefined) {
        expect(row.refused).toBe('not-a-cidr');
        return;
      }
      const division = core.subnetAt(parent, row.index, row.bits);
      if (row.block === undefined) expect(division).toMatchObject({ reason: row.refused });
      else expect(division).toEqual({ ok: true, cidr: cidr(row.block) });
    });
  }
});

describe('a block left out', () => {
  for (const row of covered.rows) {
    const what = `${row.parent} index ${row.index} of 2^${row.bits} under [${row.excludes}]`;
    test(`${what}: ${row.covered ?? row.refused}`, () => {
      const parsed = row.excludes.map(excludeOf);
      const list = parsed.filter((exclude) => exclude !== undefined);
      if (list.length < parsed.length) {
        expect(row.refused).toBe('not-a-cidr');
        return;
      }
      const division = core.subnetAt(cidr(row.parent), row.index, row.bits);
      if (!division.ok) throw new Error(division.reason);
      expect(core.isCovered(division.cidr, list)).toBe(row.covered === true);
    });
  }
});

describe('the index of an address', () => {
  for (const row of indexOf.rows) {
    test(`${row.address} in ${row.podCidr}: ${row.refused ?? row.index}`, () => {
      const podCidr = cidr(row.podCidr);
      const address = addressOf(row.address)?.value ?? -1n;
      if (row.refused !== undefined) {
        expect(() => core.createPool({ podCidr, excludes: [] })).toThrow(RangeError);
        return;
      }
      using pool = core.createPool({ podCidr, excludes: [] });
      expect(core.contains(podCidr, address)).toBe(row.contained);
      expect(pool.indexOf(address) ?? null).toBe(row.index);
    });
  }
});

describe('host-subnet mode', () => {
  // A row without hosts is refused before the core is asked.
  for (const row of hostSubnet.blocks.filter(({ hosts }) => hosts.length > 0)) {
    const count = row.hosts.length;
    test(`${row.netAddress} in 2^${row.hostBits} for ${count} of the hosts`, () => {
      for (const host of row.hosts) {
        const division = core.subnetAt(cidr(row.vlanCidr), host.hostIndex, row.hostBits);
        expect(division).toEqual({ ok: true, cidr: cidr(host.podCidr) });
      }
      for (const host of row.hosts) {
        using pool = core.createPool({
          podCidr: cidr(host.podCidr),
          excludes: excludes(host.excludes),
        });
        expect(pool.usable).toBe(host.usable);
        const own = pool.indexOf(addressOf(host.hostIp)?.value ?? -1n);
        expect(own !== undefined && pool.isUsable(own)).toBe(false);
      }
    });
  }
});

describe('what is excluded from a pool', () => {
  for (const row of poolExcludes.excludes) {
    test(`[${row.excludes}] of ${row.podCidr}: [${row.poolExcludes}]`, () => {
      const podCidr = cidr(row.podCidr);
      const all = excludes(row.excludes);
      expect(core.isCovered(podCidr, all)).toBe(row.covered);
      using withAll = core.createPool({ podCidr, excludes: all });
      using withOwn = core.createPool({ podCidr, excludes: excludes(row.poolExcludes) });
      if (row.covered) expect(withAll.usable).toBe(0);
      else expect(withAll.snapshot()).toEqual(withOwn.snapshot());
    });
  }

  for (const row of poolExcludes.conflicts) {
    test(`of [${row.addresses}] lie in [${row.excludes}]: [${row.conflicts}]`, () => {
      const blocks = excludes(row.excludes ?? []);
      const inside = (row.addresses ?? []).filter((text) => {
        const address = addressOf(text);
        return blocks.some((b) => b.family === address?.family && core.contains(b, address.value));
      });
      expect(inside).toEqual(row.conflicts);
    });
  }
});
