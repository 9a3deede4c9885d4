// What our controller makes of a cluster of the original: from the same input the same objects, and
// from its objects the same indices.
import { describe, expect, test } from 'bun:test';
import { loadCore } from '../../core-wasm/index.ts';
import { isSameCidr } from '../../src/controller/plan/cidr-object.ts';
import { toHostRecord, toNetworkRecord, toPlanHost } from '../../src/daemon/cluster/records.ts';
import { formatCidr, parseCidr } from '../../src/shared/model/ip/cidr.ts';
import type { CidrObjectSpec } from '../../src/shared/model/objects/cidr-object.ts';
import type { IpPoolSpec } from '../../src/shared/model/objects/ip-pool.ts';
import { planHostPools } from '../../src/shared/model/plan/host-pools.ts';
import * as kinds from '../../src/shared/platform/kube/resource.ts';
import { eventually } from '../helpers/eventually.ts';
import { type Lab, startLab } from './harness.ts';
import { readState, type StateName, seedAll, seedInput } from './states.ts';

const states: readonly { name: StateName; network: string }[] = [
  { name: '01-ipvlan-l3', network: 'l3net' },
  { name: '02-macvlan-excludes', network: 'macex' },
  { name: '03-host-subnet', network: 'hostnet' },
];

/** The CIDR object of the state; the schema of the server that stored it was the same as ours. */
function storedCidr(state: StateName): CidrObjectSpec {
  const spec: unknown = readState(state, 'cidrs')[0]?.spec;
  return spec as CidrObjectSpec; // written by the original, read by its consumers in this shape
}

function storedPools(state: StateName): Map<string, IpPoolSpec> {
  const pools = readState(state, 'ippools').map(({ metadata, spec }): [string, IpPoolSpec] => [
    metadata.name,
    spec as IpPoolSpec, // as above
  ]);
  return new Map(pools);
}

/**
 * In state 02 the original met worker-2 before worker-1, its order being random; ours is by name.
 * Everything but who of the two has which block is the same.
 */
function withOurOrder(state: StateName, spec: CidrObjectSpec): CidrObjectSpec {
  if (state !== '02-macvlan-excludes') return spec;
  const swap = (hostName: string): string =>
    hostName === 'worker-1' ? 'worker-2' : hostName === 'worker-2' ? 'worker-1' : hostName;
  const cidr = spec.cidr.map((entry) => {
    const addresses = new Map(entry.hosts.map(({ hostName, hostIP }) => [hostName, hostIP]));
    const hosts = entry.hosts.map((host) => {
      const hostName = swap(host.hostName);
      return { ...host, hostName, hostIP: addresses.get(hostName) ?? '' };
    });
    return { ...entry, hosts };
  });
  return { ...spec, cidr };
}

async function poolsOf(lab: Lab, network: string) {
  const core = await loadCore();
  const object = await lab.network(network);
  // As daemons read them.
  const { definition, interfaceIndices, issues } = toNetworkRecord(object);
  if (definition === undefined) throw new Error(issues.join('; '));
  const { items } = await lab.client.list(kinds.HOST_INTERFACES);
  return items.flatMap((host) =>
    planHostPools(core, definition, interfaceIndices, toPlanHost(toHostRecord(host), definition)),
  );
}

async function nadConfigs(lab: Lab): Promise<Record<string, string>> {
  const { items } = await lab.client.list(kinds.NET_ATTACH_DEFS);
  return Object.fromEntries(
    items.map(({ metadata, spec }) => [metadata.namespace ?? '', spec?.config ?? '']),
  );
}

function storedNads(state: StateName): Record<string, string> {
  return Object.fromEntries(
    readState(state, 'network-attachment-definitions').map(({ metadata, spec }) => [
      metadata.namespace ?? '',
      (spec as { config: string }).config, // the only member that the kind has
    ]),
  );
}

describe.each([...states])('state $name', ({ name, network }) => {
  test('from the same input come the same CIDR object, pools and definitions', async () => {
    await using embedded = await startLab();
    const { lab } = embedded;
    await seedInput(lab, name);
    await lab.startController();
    await lab.untilCondition(network, 'Ready', 'True');
    const wanted = withOurOrder(name, storedCidr(name));
    const written = await lab.cidr(network);
    expect(written?.spec.config).toEqual(wanted.config);
    expect(new Set(written?.spec.cidr)).toEqual(new Set(wanted.cidr));
    expect(await nadConfigs(lab)).toEqual(storedNads(name));

    const pools = await poolsOf(lab, network);
    const stored = storedPools(name);
    expect(new Set(pools.map((pool) => pool.name))).toEqual(new Set(stored.keys()));
    for (const pool of pools) {
      const spec = stored.get(pool.name);
      expect(spec).toMatchObject({
        podCIDR: formatCidr(pool.podCidr),
        vlanCIDR: formatCidr(pool.vlanCidr),
        interfaceName: pool.interfaceName,
        netAttachDef: network,
      });
      // W-13: in host-subnet mode ours also keeps the host's own addresses out.
      const own =
        name === '03-host-subnet'
          ? pool.excludes.filter((block) => block.prefix !== 32)
          : pool.excludes;
      const excludes = (spec?.excludes ?? []).map(
        (text) => parseCidr(text) ?? parseCidr(`${text}/32`),
      );
      expect(own).toEqual(excludes.flatMap((block) => block ?? []));
    }
  });

  test('taking over changes no index, no CIDR object, no pool and no definition', async () => {
    await using embedded = await startLab();
    const { lab, server } = embedded;
    await seedAll(lab, name);
    const before = ['cidrs', 'ippools', 'network-attachment-definitions'].map((plural) =>
      JSON.stringify(server.objects(plural)),
    );
    await lab.startController();
    await lab.untilCondition(network, 'Ready', 'True');
    const spec = storedCidr(name);
    for (const entry of spec.cidr) {
      for (const { hostName, hostIndex } of entry.hosts) {
        expect((await lab.indices(hostName, network))[entry.netAddress]).toBe(hostIndex);
      }
    }
    const { status } = await lab.network(network);
    expect(new Set(status?.interfaceIndices)).toEqual(
      new Set(spec.cidr.map(({ netAddress, interfaceIndex }) => ({ netAddress, interfaceIndex }))),
    );
    const after = ['cidrs', 'ippools', 'network-attachment-definitions'].map((plural) =>
      JSON.stringify(server.objects(plural)),
    );
    expect(after).toEqual(before);
  });

  test('a network whose CIDR object is lost gets the same indices from its pools', async () => {
    await using embedded = await startLab();
    const { lab } = embedded;
    await seedAll(lab, name);
    const body = { metadata: { finalizers: [] } };
    await lab.client.patch(kinds.CIDRS, { name: network }, { type: 'merge', body });
    await lab.client.delete(kinds.CIDRS, { name: network });
    await lab.startController();
    await lab.untilCondition(network, 'Ready', 'True');
    const written = await eventually('the CIDR object is back', () => lab.cidr(network));
    const stored = storedCidr(name);
    if (name === '03-host-subnet') {
      // Interface indices number the entries there and are in no pool; they are given anew, in
      // order.
      expect(written.spec.cidr.map(({ hosts }) => hosts)).toEqual(
        stored.cidr.map(({ hosts }) => hosts),
      );
    } else {
      expect(isSameCidr(written.spec, stored)).toBe(true);
    }
  });
});
