// Our CRDs on a real kube-apiserver: what users write and what the original stored is accepted,
// what is wrong is refused with the field to blame, and a cluster whose objects were stored before
// our CRDs goes on working.
import { describe, expect, test } from 'bun:test';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { NETWORK_FINALIZER } from '../../src/shared/model/names.ts';
import { CRDS } from '../../src/shared/platform/kube/resource.ts';
import original from '../golden/crd/original-objects.json';
import refused from '../golden/crd/refused.json';
import {
  fresh,
  KINDS,
  network,
  ourCrds,
  rawResource,
  readYaml,
  type StoredObject,
  useServer,
} from '../helpers/crd-server.ts';
import { looseCrds } from '../helpers/loose-crds.ts';
import { requirement } from '../helpers/requirement.ts';
import { type ControlPlaneBinaries, findControlPlane } from '../peers/control-plane.ts';

const samples = join(import.meta.dir, '../../deploy/samples');

/**
 * Objects of the original that were in error already and are refused when made anew, with what is
 * said.
 */
const inError: Readonly<Record<string, string>> = {
  badipam: 'ipam must be a JSON object as text',
  badtype: 'plugin.type must be one of ipvlan',
  cost: 'args of macvlan can be delegate, master, mode, mtu',
};

function describeNewCluster(binaries: ControlPlaneBinaries): void {
  describe('a new cluster', () => {
    const use = useServer(binaries, async (server) => await server.install(ourCrds()));

    test('takes the definitions without a complaint', async () => {
      const { items } = await use.server.client.list(CRDS);
      const conditions = items.flatMap(({ status }) =>
        (status?.conditions ?? []).map(({ type, status: is }) => `${type} ${is}`),
      );
      expect([...new Set(conditions)].sort()).toEqual(['Established True', 'NamesAccepted True']);
      expect(items).toHaveLength(6);
    });

    const files = readdirSync(samples).filter((name) => name.endsWith('.yaml'));
    for (const file of files.sort()) {
      test(`takes the sample ${file}`, async () => {
        const sample = readYaml(join(samples, file));
        await use.server.create(sample);
        await use.server.remove(sample.kind, sample.metadata.name);
      });
    }

    for (const { state, object } of original) {
      const { kind, metadata } = object;
      const expected = kind === 'MultiNicNetwork' ? inError[metadata.name] : undefined;
      const does = expected === undefined ? 'takes' : 'refuses';
      test(`${does} ${kind} ${metadata.name} of the original (${state})`, async () => {
        const text = await use.server.refusal(fresh(object));
        if (expected !== undefined) {
          expect(text).toContain(expected);
          return;
        }
        expect(text).toBeUndefined();
        await use.server.remove(kind, metadata.name);
      });
    }

    for (const row of refused.rows) {
      test(`refuses ${row.kind}: ${row.says}`, async () => {
        const { kind, spec } = row;
        const name = row.name ?? 'refused';
        const text = await use.server.refusal({
          apiVersion: 'multinic.fms.io/v1',
          kind,
          metadata: { name },
          spec: spec === null ? undefined : { ...spec },
        });
        if (text === undefined) await use.server.remove(kind, name);
        for (const part of row.message) expect(text).toContain(part);
      });
    }

    test('shows what matters in a table', async () => {
      const { server } = use;
      await server.create(network({ name: 'shown' }));
      const discovery = { existDaemon: 3, infoAvailable: 3, cidrProcessed: 3 };
      const state = { configStatus: 'Success', routeStatus: 'Success', discovery };
      await server.patch('MultiNicNetwork', 'shown', { status: state }, 'status');
      await server.create(readYaml(join(samples, 'hostinterface.yaml')));
      const networks = [{ name: 'shown', uid: 'u', indices: [] }];
      const counted = { networks, networkCount: 1, interfaceCount: 2 };
      await server.patch('HostInterface', 'node-1', { status: counted }, 'status');
      await server.create(readYaml(join(samples, 'ippool.yaml')));
      await server.patch(
        'IPPool',
        'ipvlanl3-192.168.0.0-26',
        { status: { occupied: 0, free: 62 } },
        'status',
      );
      expect(await server.table('multinicnetworks')).toMatchObject([
        {
          Name: 'shown',
          Subnet: '192.168.0.0/16',
          Type: 'ipvlan',
          Config: 'Success',
          Routes: 'Success',
          Hosts: 3,
        },
      ]);
      expect(await server.table('hostinterfaces')).toMatchObject([
        { Name: 'node-1', NICs: 2, Networks: 1 },
      ]);
      expect(await server.table('ippools')).toMatchObject([
        {
          Network: 'ipvlanl3',
          Host: 'node-1',
          Interface: 'eth1',
          PodCIDR: '192.168.0.0/26',
          Used: 0,
          Free: 62,
        },
      ]);
    });

    test('keeps one condition per type', async () => {
      const { server } = use;
      await server.create(network({ name: 'conditions' }));
      const condition = {
        type: 'Ready',
        status: 'True',
        reason: 'Done',
        message: '',
        lastTransitionTime: '2026-11-21T13:00:00Z',
      };
      const twice = { status: { conditions: [condition, condition] } };
      const write = server.patch('MultiNicNetwork', 'conditions', twice, 'status');
      await expect(write).rejects.toThrow('Duplicate value');
      await server.remove('MultiNicNetwork', 'conditions');
    });
  });
}

/** Changes of a network that has given addresses, and whether they are allowed. */
const changes: [says: string, change: Parameters<typeof network>[0], refusal?: string][] = [
  ['another subnet', { spec: { subnet: '10.0.0.0/8' } }, 'subnet cannot be changed'],
  ['no subnet', { spec: { subnet: '' } }, 'subnet cannot be changed'],
  [
    'another family in its place',
    { spec: { subnet: 'fd00::/48' } },
    'subnet cannot be changed once addresses are given',
  ],
  ['other hostBlock', { ipam: { hostBlock: 9 } }, 'hostBlock and interfaceBlock cannot be changed'],
  [
    'other interfaceBlock',
    { ipam: { interfaceBlock: 1 } },
    'hostBlock and interfaceBlock cannot be changed',
  ],
  ['a second family', { spec: { subnet: '192.168.0.0/16,fd00::/48' } }],
  ['other routes', { ipam: { vlanMode: 'l2' } }],
  ['further excludes', { ipam: { excludeCIDRs: ['192.168.0.9'] } }],
  ['namespaces', { spec: { namespaces: ['team-a'] } }],
  ['net addresses', { spec: { masterNets: ['10.0.1.0/24'] } }],
  ['a strategy', { spec: { attachPolicy: { strategy: 'topology' } } }],
  ['foreign IPAM', { spec: { ipam: '{"type":"whereabouts"}' } }, 'ipam.type cannot be changed'],
  [
    'the same numbers, laid out differently',
    {
      spec: {
        ipam: '{\n"interfaceBlock" :2, "hostBlock":  8,\n "type" : "multi-nic-ipam" }\n',
      },
    },
  ],
];

function describeChanges(binaries: ControlPlaneBinaries): void {
  describe('a network that has given addresses', () => {
    const use = useServer(binaries, async (server) => await server.install(ourCrds()));

    for (const [index, [says, change, refusal]] of changes.entries()) {
      test(`${refusal === undefined ? 'may' : 'may not'} get ${says}`, async () => {
        const name = `net-${index}`;
        const { server } = use;
        await server.create(network({ name }));
        const interfaceIndices = [{ netAddress: '10.0.1.0/24', interfaceIndex: 0 }];
        await server.patch('MultiNicNetwork', name, { status: { interfaceIndices } }, 'status');
        const { spec } = network(change);
        const write = server.patch('MultiNicNetwork', name, { spec });
        if (refusal === undefined) await write;
        else await expect(write).rejects.toThrow(refusal);
      });
    }

    test('could be changed before', async () => {
      const { server } = use;
      await server.create(network({ name: 'unused' }));
      for (const status of [{ message: 'x' }, { interfaceIndices: [], computeResults: [] }]) {
        await server.patch('MultiNicNetwork', 'unused', { status }, 'status');
        const { spec } = network({ ipam: { hostBlock: 6 }, spec: { subnet: '10.0.0.0/8' } });
        await server.patch('MultiNicNetwork', 'unused', { spec });
        await server.patch('MultiNicNetwork', 'unused', { spec: network({}).spec });
      }
    });

    test('of the original is known by its results', async () => {
      const { server } = use;
      await server.create(network({ name: 'old' }));
      const computeResults = [{ netAddress: '10.0.1.0/24', numOfHosts: 3 }];
      await server.patch('MultiNicNetwork', 'old', { status: { computeResults } }, 'status');
      const write = server.patch('MultiNicNetwork', 'old', { spec: { subnet: '10.0.0.0/8' } });
      await expect(write).rejects.toThrow('subnet cannot be changed');
    });

    test('has pools whose addresses stay', async () => {
      const { server } = use;
      await server.create(readYaml(join(samples, 'ippool.yaml')));
      const name = 'ipvlanl3-192.168.0.0-26';
      const other = server.patch('IPPool', name, { spec: { podCIDR: '192.168.0.64/26' } });
      await expect(other).rejects.toThrow('podCIDR cannot be changed');
      const network = server.patch('IPPool', name, { spec: { netAttachDef: 'other' } });
      await expect(network).rejects.toThrow('the network of a pool cannot be changed');
      await server.patch('IPPool', name, { spec: { interfaceName: 'ens3' } });
    });
  });
}

/** Last stored object of each kind and name. */
function latestOriginals(): StoredObject[] {
  const objects = new Map<string, StoredObject>();
  for (const { object } of original) objects.set(`${object.kind}/${object.metadata.name}`, object);
  return [...objects.values()];
}

function describeTakeover(binaries: ControlPlaneBinaries): void {
  describe('a cluster of the original, after our definitions were applied', () => {
    const objects = latestOriginals();
    const use = useServer(binaries, async (server) => {
      await server.install(looseCrds());
      for (const object of objects) {
        await server.create(fresh(object));
        const { status, kind, metadata } = object;
        if (status !== undefined) await server.patch(kind, metadata.name, { status }, 'status');
      }
      await server.install(ourCrds());
      await server.untilStrict();
    });

    test('has all its objects, and our schemas read them', async () => {
      for (const kind of KINDS) {
        const count = objects.filter((object) => object.kind === kind.kind).length;
        expect((await use.server.client.list(kind)).items).toHaveLength(count);
      }
    });

    for (const object of objects) {
      const { kind, metadata } = object;
      const { name } = metadata;
      test(`${kind} ${name} can be written, given a status and let go`, async () => {
        const { server } = use;
        await server.patch(kind, name, { metadata: { labels: { 'test/seen': 'yes' } } });
        const stored = await server.client.get(rawResource(kind), { name });
        expect(stored).toMatchObject({ spec: object.spec });
        await server.client.replace(rawResource(kind), stored);
        if (kind === 'MultiNicNetwork') {
          const condition = {
            type: 'Ready',
            status: 'False',
            reason: 'TakenOver',
            message: 'checked',
            lastTransitionTime: '2026-11-21T13:00:00Z',
          };
          await server.patch(kind, name, { spec: { namespaces: ['default'] } });
          await server.patch(kind, name, { status: { conditions: [condition] } }, 'status');
        }
        const finalizers = [NETWORK_FINALIZER];
        await server.patch(kind, name, { metadata: { finalizers } });
        await server.client.delete(rawResource(kind), { name });
        await server.patch(kind, name, { metadata: { finalizers: null } });
        expect(await server.client.get(rawResource(kind), { name })).toBeUndefined();
      });
    }
  });
}

const binaries = await findControlPlane();
const obstacle = typeof binaries === 'string' ? binaries : undefined;
if (requirement('crd: real kube-apiserver', obstacle) && typeof binaries !== 'string') {
  describeNewCluster(binaries);
  describeChanges(binaries);
  describeTakeover(binaries);
}
