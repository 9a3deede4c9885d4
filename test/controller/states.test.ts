// What our controller makes of a cluster of the original: from the same input the same objects, and
// from its objects the same indices. Pools are objects of the daemons: daemon/original-states.
import { describe, expect, test } from 'bun:test';
import * as v from 'valibot';
import { isSameCidr } from '../../src/controller/plan/cidr-object.ts';
import type { CidrObjectSpec } from '../../src/shared/model/objects/cidr-object.ts';
import * as kinds from '../../src/shared/platform/kube/resource.ts';
import { eventually } from '../helpers/eventually.ts';
import { startLab } from './harness.ts';
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

const StoredMeta = v.looseObject({
  labels: v.optional(v.unknown()),
  annotations: v.optional(v.unknown()),
  ownerReferences: v.optional(v.array(v.looseObject({ uid: v.string() }))),
});
const StoredFrame = v.looseObject({
  apiVersion: v.string(),
  kind: v.string(),
  metadata: v.looseObject({ name: v.string(), namespace: v.optional(v.string(), '') }),
  spec: v.unknown(),
});

/**
 * Objects by namespace and name, without what a server adds (an owner's UID is replaced), and
 * without finalizers: the CIDR object of ours needs none.
 */
function plain(objects: readonly unknown[], networkUid: string | undefined) {
  const entries = objects.map((object) => {
    const { apiVersion, kind, metadata, spec } = v.parse(StoredFrame, object);
    const { name, namespace } = metadata;
    const { labels, annotations, ownerReferences } = v.parse(StoredMeta, metadata);
    const owners = ownerReferences?.map((owner) => ({
      ...owner,
      uid: owner.uid === networkUid ? 'of the network' : owner.uid,
    }));
    const rest = { apiVersion, kind, labels, annotations, owners, spec };
    return [`${namespace}/${name}`, rest] as const;
  });
  return new Map(entries);
}

/** The original lists interfaces in random order. */
const withSortedEntries = ({ cidr, ...rest }: CidrObjectSpec): CidrObjectSpec => ({
  ...rest,
  cidr: [...cidr].sort((a, b) => (a.netAddress < b.netAddress ? -1 : 1)),
});

describe.each([...states])('state $name', ({ name, network }) => {
  test('from the same input come the same CIDR object and definitions', async () => {
    await using embedded = await startLab();
    const { lab, server } = embedded;
    await seedInput(lab, name);
    await lab.startController();
    await lab.untilCondition(network, 'Ready', 'True');
    const { uid } = (await lab.network(network)).metadata;
    const storedUid = readState(name, 'multinicnetworks')[0]?.metadata.uid;
    const definitions = 'network-attachment-definitions';
    expect(plain(server.objects(definitions), uid)).toEqual(
      plain(readState(name, definitions), storedUid),
    );
    const [written] = plain(server.objects('cidrs'), uid).values();
    const [stored] = plain(readState(name, 'cidrs'), storedUid).values();
    const spec = await lab.cidr(network).then((object) => object?.spec);
    if (spec === undefined) throw new Error('no CIDR object');
    expect({ ...written, spec: withSortedEntries(spec) }).toEqual({
      ...stored,
      spec: withSortedEntries(withOurOrder(name, storedCidr(name))),
    });
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
