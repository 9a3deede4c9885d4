// Clusters that change step by step (test/golden/scenarios): which indices are given, and the blocks,
// pools and routes that follow from them on every host.
import { describe, expect, test } from 'bun:test';
import * as v from 'valibot';
import { loadCore } from '../../core-wasm/index.ts';
import { formatLedger } from '../../src/controller/plan/ledger.ts';
import { formatCidr } from '../../src/shared/model/ip/cidr.ts';
import { InterfaceInfo } from '../../src/shared/model/objects/host-interface.ts';
import {
  type HostPool,
  type PlanHost,
  planHostPools,
} from '../../src/shared/model/plan/host-pools.ts';
import { planPeerRoutes } from '../../src/shared/model/plan/peer-routes.ts';
import golden from '../golden/scenarios/indices.json';
import { block, define } from '../helpers/plan-network.ts';
import { IndexScene } from './index-scene.ts';

const core = await loadCore();

const Texts = v.record(v.string(), v.string());
const optionalMap = <T extends v.GenericSchema>(value: T) =>
  v.optional(v.record(v.string(), value));
const Step = v.strictObject({
  step: v.string(),
  set: v.optional(v.record(v.string(), v.array(InterfaceInfo)), {}),
  gone: v.optional(v.array(v.string()), []),
  hide: v.optional(v.array(v.string()), []),
  show: v.optional(v.array(v.string()), []),
  excludes: v.optional(v.array(v.string())),
  changed: v.boolean(),
  blocks: v.record(v.string(), Texts),
  interfaces: v.optional(Texts),
  indices: optionalMap(v.record(v.string(), v.number())),
  reserved: v.optional(v.array(v.string()), []),
  problems: v.optional(v.array(v.unknown()), []),
  pools: optionalMap(v.array(v.string())),
  nics: optionalMap(Texts),
  routes: optionalMap(v.array(v.string())),
  note: v.optional(v.string()),
  original: v.optional(v.unknown()),
  defect: v.optional(v.string()),
});
type Step = v.InferOutput<typeof Step>;
type Scenario = (typeof golden.scenarios)[number];

/** Hosts, and what a plan says about them. */
class World {
  readonly #network: Scenario['network'];
  readonly #scene: IndexScene;
  readonly #nics = new Map<string, readonly InterfaceInfo[]>();
  readonly #hidden = new Map<string, { nets: string[]; published: Map<string, number> }>();

  constructor({ network }: Scenario) {
    this.#network = { ...network };
    const { subnet, masterNets, interfaceBlock: interfaceBits, hostBlock: hostBits } = network;
    const excludes = network.excludeCIDRs ?? [];
    this.#scene = new IndexScene({ subnet, masterNets, interfaceBits, hostBits, excludes });
  }

  /** Applies what happened and plans; what was planned is done. */
  play(step: Step) {
    const scene = this.#scene;
    for (const name of step.gone) scene.removeHost(name);
    for (const name of step.hide) {
      const host = scene.hosts.get(name);
      if (host === undefined) throw new Error(`no host ${name} to hide`);
      this.#hidden.set(name, host);
      scene.hosts.delete(name);
    }
    for (const name of step.show) {
      const host = this.#hidden.get(name);
      if (host !== undefined) scene.hosts.set(name, host);
    }
    for (const [name, nics] of Object.entries(step.set)) {
      if (scene.gone.delete(name)) scene.hostRecords = [];
      scene.addHost(name, ...nics.map(({ netAddress = '' }) => netAddress));
      this.#nics.set(name, nics);
    }
    if (step.excludes !== undefined) {
      scene.network.excludes = step.excludes;
      this.#network.excludeCIDRs = step.excludes;
    }
    const before = scene.ledgerText();
    const { ledger, publish, problems, orphans } = scene.step();
    return { changed: formatLedger(ledger) !== before || publish.length > 0, problems, orphans };
  }

  get indices(): Record<string, Record<string, number>> {
    const nets = Object.keys(this.#scene.interfaces());
    return Object.fromEntries(
      nets.map((net) => [net, Object.fromEntries(this.#scene.indices(net))]),
    );
  }

  get interfaces(): Record<string, string> {
    return Object.fromEntries(
      Object.entries(this.#scene.interfaces()).map(([net, index]) => {
        const division = core.subnetAt(
          block(this.#network.subnet),
          index,
          this.#network.interfaceBlock,
        );
        return [net, division.ok ? `${index} ${formatCidr(division.cidr)}` : division.reason];
      }),
    );
  }

  /** Of every host that is there, as its daemon plans them. */
  get pools(): HostPool[] {
    return this.#hosts.flatMap((host) => planHostPools(core, this.#definition, this.#nets, host));
  }

  routes(hostName: string): string[] {
    const self = this.#hosts.find((host) => host.hostName === hostName);
    if (self === undefined) throw new Error(`no host ${hostName}`);
    const peers = this.#hosts.filter((host) => host !== self);
    const { routes } = planPeerRoutes(core, this.#definition, this.#nets, self, peers);
    return routes.map((r) => `${formatCidr(r.destination)} via ${r.via} dev ${r.interfaceName}`);
  }

  get #nets(): Map<string, number> {
    return new Map(Object.entries(this.#scene.interfaces()));
  }

  get #hosts(): PlanHost[] {
    return [...this.#scene.hosts].map(([hostName, { published }]) => ({
      hostName,
      interfaces: this.#nics.get(hostName) ?? [],
      hostIndices: published,
    }));
  }

  get #definition() {
    const { name, subnet, masterNets, ...section } = this.#network;
    return define({
      metadata: { name, uid: 'uid-1' },
      spec: {
        subnet,
        masterNets,
        ipam: JSON.stringify({ type: 'multi-nic-ipam', ...section }),
        multiNICIPAM: true,
        plugin: { cniVersion: '0.3.0', type: 'ipvlan' },
      },
    });
  }
}

/** A table by net address and host, with what `show` says of a pool. */
function table(
  pools: readonly HostPool[],
  keys: (pool: HostPool) => [string, string],
  show: (pool: HostPool) => string,
): Record<string, Record<string, string>> {
  const rows: Record<string, Record<string, string>> = {};
  for (const pool of pools) {
    const [row, column] = keys(pool);
    rows[row] = { ...rows[row], [column]: show(pool) };
  }
  return rows;
}

function expectState(world: World, step: Step): void {
  const { pools } = world;
  const filled = Object.entries(step.blocks).filter(([, hosts]) => Object.keys(hosts).length > 0);
  expect(
    table(
      pools,
      (pool) => [pool.netAddress, pool.hostName],
      (pool) => `${pool.hostIndex} ${formatCidr(pool.podCidr)}`,
    ),
  ).toEqual(Object.fromEntries(filled));
  if (step.interfaces !== undefined) expect(world.interfaces).toEqual(step.interfaces);
  if (step.indices !== undefined) expect(world.indices).toEqual(step.indices);
  for (const [name, excludes] of Object.entries(step.pools ?? {})) {
    const pool = pools.find((one) => one.name === name);
    expect([name, pool?.excludes.map(formatCidr)]).toEqual([name, excludes]);
  }
  for (const [hostName, nics] of Object.entries(step.nics ?? {})) {
    const own = pools.filter((pool) => pool.hostName === hostName);
    expect(
      Object.fromEntries(own.map((p) => [p.netAddress, `${p.interfaceName} ${p.hostIp}`])),
    ).toEqual(nics);
  }
  for (const [hostName, routes] of Object.entries(step.routes ?? {})) {
    expect(world.routes(hostName)).toEqual(routes);
  }
}

describe.each(golden.scenarios)('scenario $name: $about', (scenario) => {
  test(scenario.steps.map(({ step }) => step).join('; '), () => {
    const world = new World(scenario);
    for (const row of scenario.steps) {
      const step = v.parse(Step, row);
      const { changed, problems, orphans } = world.play(step);
      expect([step.step, changed]).toEqual([step.step, step.changed]);
      expect<unknown>(problems).toEqual(step.problems);
      expect(orphans).toEqual(step.reserved);
      expectState(world, step);
    }
  });
});
