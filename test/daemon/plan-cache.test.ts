// A plan is made once and again when anything changes that it follows from.
import { expect, setDefaultTimeout, test } from 'bun:test';
import { parseDemand, parseIdentity } from '../../src/daemon/attach/attach-config.ts';
import { DemandCache } from '../../src/daemon/attach/demand-cache.ts';
import { PlanCache } from '../../src/daemon/attach/plan-cache.ts';
import { setUp } from './attach-scene.ts';
import { cniRequest } from './harness.ts';

setDefaultTimeout(20_000);

const request = cniRequest('ADD');

test('equal configurations give the same demand, other ones another', () => {
  const demands = new DemandCache();
  const first = demands.demandOf(request);
  expect(first).toEqual(parseDemand(request));
  expect(demands.demandOf(cniRequest('ADD', { container: 'c2' }))).toBe(first);
  const fewer = cniRequest('ADD', { config: { args: { cni: { nics: 1 } } } });
  expect(demands.demandOf(fewer)).toEqual(parseDemand(fewer));
});

test('a configuration that is refused is refused again', () => {
  const demands = new DemandCache();
  const bad = cniRequest('ADD', { config: { plugin: { type: 'nothing' } } });
  for (let n = 0; n < 2; n += 1) {
    expect(() => demands.demandOf(bad)).toThrow(
      expect.objectContaining({ kind: 'invalid-config' }),
    );
  }
});

test('a plan is made again when pools, NICs or the name of the interface change', async () => {
  const { hostNet, h } = await setUp();
  await using _ = h;
  const ports = h.daemon.parts.attachPorts;
  const { inventory, keeper, pools } = h.daemon.parts;
  const demand = parseDemand(request);
  const plans = new PlanCache();
  const plan = (ifName = 'net1') =>
    plans.plan(ports, { identity: parseIdentity(cniRequest('ADD', { ifName })), demand });
  const first = plan();
  expect(plan()).toBe(first);
  expect(plan('net2').nics.map(({ name }) => name)).toContain('net2-0');
  const again = plan();
  inventory.refresh();
  expect(plan()).toBe(again);
  pools.apply(pools.records().map(({ plan: wanted }) => ({ plan: wanted, reason: 'full' })));
  expect(() => plan()).toThrow(expect.objectContaining({ kind: 'no-master' }));
  await keeper.replan(new AbortController().signal);
  expect(plan().nics).toHaveLength(4);
  hostNet.changeLink('eth2', { up: false });
  inventory.refresh();
  expect(() => plan()).toThrow(expect.objectContaining({ kind: 'no-master' }));
});
