// IPPools as objects: what our controller and daemons publish for the input of the original's
// clusters, and what becomes of its own pools, is what the original wrote, field for field.
import { describe, expect, setDefaultTimeout, test } from 'bun:test';
import { parseAddress } from '../../src/shared/model/ip/address.ts';
import { containsAddress, parseCidr } from '../../src/shared/model/ip/cidr.ts';
import type { IpPool } from '../../src/shared/model/objects/ip-pool.ts';
import * as kinds from '../../src/shared/platform/kube/resource.ts';
import { type EmbeddedLab, startLab } from '../controller/harness.ts';
import { readState, type StateName, seedAll, seedInput } from '../controller/states.ts';
import { eventually } from '../helpers/eventually.ts';
import { FakeHostNet } from '../hostnet/fake-host-net.ts';
import { type Harness, startHarness } from './harness.ts';

setDefaultTimeout(120_000);

const states: readonly { name: StateName; network: string }[] = [
  { name: '01-ipvlan-l3', network: 'l3net' },
  { name: '02-macvlan-excludes', network: 'macex' },
  { name: '03-host-subnet', network: 'hostnet' },
];

/** What a consumer of pools reads: everything but what the server itself adds. */
interface Published {
  readonly apiVersion: string | undefined;
  readonly kind: string | undefined;
  readonly labels: Readonly<Record<string, string>> | undefined;
  readonly annotations: unknown;
  readonly spec: IpPool['spec'];
}

const toPublished = (object: unknown): [string, Published] => {
  const { apiVersion, kind, metadata, spec } = kinds.IP_POOLS.parse(object);
  const { labels, annotations } = metadata;
  return [metadata.name, { apiVersion, kind, labels, annotations, spec }];
};

const storedPools = (state: StateName): Map<string, Published> =>
  new Map(readState(state, 'ippools').map(toPublished));

const publishedPools = ({ server }: EmbeddedLab): Map<string, Published> =>
  new Map(server.objects('ippools').map(toPublished));

const hostsOf = (state: StateName) =>
  readState(state, 'hostinterfaces').map((object) => kinds.HOST_INTERFACES.parse(object).spec);

/**
 * W-13: in host-subnet mode the pools of ours keep the addresses of hosts out, each as a block.
 * Everything else is as the original has it.
 */
function withHostsExcluded(state: StateName, { spec, ...rest }: Published): Published {
  if (state !== '03-host-subnet') return { ...rest, spec };
  const block = parseCidr(spec.podCIDR);
  const inside = hostsOf(state)
    .flatMap(({ interfaces }) => interfaces.map(({ hostIP = '' }) => hostIP))
    .filter((text) => {
      const address = parseAddress(text);
      return block !== undefined && address !== undefined && containsAddress(block, address);
    });
  return { ...rest, spec: { ...spec, excludes: inside.sort().map((text) => `${text}/32`) } };
}

/** A pool without pods; in state 02 the original met worker-2 before worker-1, ours goes by name. */
function fresh(state: StateName, { labels, spec, ...rest }: Published): Published {
  const swapped = new Map([
    ['worker-1', 'worker-2'],
    ['worker-2', 'worker-1'],
  ]);
  const isOther = state === '02-macvlan-excludes';
  const hostName = (isOther ? swapped.get(spec.hostName) : undefined) ?? spec.hostName;
  return {
    ...rest,
    labels: { ...labels, hostname: hostName },
    spec: { ...spec, hostName, allocations: [] },
  };
}

const map = (pools: Map<string, Published>, change: (pool: Published) => Published) =>
  new Map([...pools].map(([name, pool]) => [name, change(pool)]));

/** One daemon per host of the state, with its NICs. */
async function startDaemons(
  { server }: EmbeddedLab,
  state: StateName,
): Promise<{ daemons: Harness[] } & AsyncDisposable> {
  const daemons: Harness[] = [];
  for (const { hostName, interfaces } of hostsOf(state)) {
    const hostNet = new FakeHostNet();
    for (const { interfaceName, hostIP } of interfaces) {
      hostNet.addLink({ name: interfaceName, kind: 'veth', addresses: [`${hostIP}/16`] });
    }
    daemons.push(await startHarness({ api: server, hostNet, env: { K8S_NODENAME: hostName } }));
  }
  return {
    daemons,
    [Symbol.asyncDispose]: async () => {
      for (const daemon of daemons) await daemon[Symbol.asyncDispose]();
    },
  };
}

/** The pods that hold the addresses, on the hosts whose pools record them. */
async function addPods({ lab }: EmbeddedLab, pools: Map<string, Published>): Promise<void> {
  const pods = new Map(
    [...pools.values()].flatMap(({ spec }) =>
      spec.allocations.map(({ namespace, pod }) => [
        `${namespace}/${pod}`,
        { namespace, name: pod, nodeName: spec.hostName },
      ]),
    ),
  );
  for (const { nodeName, ...metadata } of pods.values()) {
    const spec = { nodeName, containers: [{ name: 'c', image: 'i' }] };
    await lab.client.create(kinds.PODS, { metadata, spec });
  }
}

describe.each([...states])('state $name', ({ name, network }) => {
  test('from the same input come the same IPPools', async () => {
    await using embedded = await startLab();
    const { lab } = embedded;
    await seedInput(lab, name);
    await lab.startController();
    await lab.untilCondition(network, 'IndicesAllocated', 'True');
    await using _ = await startDaemons(embedded, name);
    const stored = storedPools(name);
    await eventually('published', () => publishedPools(embedded).size === stored.size);
    const wanted = map(stored, (pool) => withHostsExcluded(name, fresh(name, pool)));
    expect(publishedPools(embedded)).toEqual(wanted);
  });

  test('pools that are taken over keep everything that the original wrote', async () => {
    await using embedded = await startLab();
    const { lab, server } = embedded;
    await seedAll(lab, name);
    const stored = storedPools(name);
    await addPods(embedded, stored);
    await lab.startController();
    await lab.untilCondition(network, 'IndicesAllocated', 'True');
    await using _ = await startDaemons(embedded, name);
    await eventually('taken over', () =>
      server.objects('ippools').every(({ metadata, status }) => {
        const { finalizers } = Object(metadata);
        return (finalizers ?? []).length === 0 && status !== undefined;
      }),
    );
    expect(publishedPools(embedded)).toEqual(map(stored, (pool) => withHostsExcluded(name, pool)));
  });
});
