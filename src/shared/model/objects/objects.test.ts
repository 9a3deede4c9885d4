// Objects that the original stored are read as they are; what is no such object is refused.
import { describe, expect, test } from 'bun:test';
import * as v from 'valibot';
import golden from '../../../../test/golden/crd/original-objects.json';
import { CidrObject } from './cidr-object.ts';
import { DaemonConfig } from './config.ts';
import { DeviceClass } from './device-class.ts';
import { HostInterface } from './host-interface.ts';
import { IpPool } from './ip-pool.ts';
import { MultiNicNetwork } from './multi-nic-network.ts';
import { NetAttachDef } from './net-attach-def.ts';

const schemas: Readonly<Record<string, v.GenericSchema>> = {
  CIDR: CidrObject,
  Config: DaemonConfig,
  DeviceClass,
  HostInterface,
  IPPool: IpPool,
  MultiNicNetwork,
};

function schemaOf(kind: string): v.GenericSchema {
  const schema = schemas[kind];
  if (schema === undefined) throw new Error(`no schema for ${kind}`);
  return schema;
}

describe('objects of the original', () => {
  for (const { state, object } of golden) {
    test(`${object.kind} ${object.metadata.name} (${state})`, () => {
      expect<unknown>(v.parse(schemaOf(object.kind), object)).toEqual(object);
    });
  }

  test('are of every kind', () => {
    const kinds = new Set(golden.map(({ object }) => object.kind));
    expect([...kinds].sort()).toEqual(Object.keys(schemas));
  });
});

test('members that nobody knows are kept, at every level', () => {
  const object = {
    metadata: { name: 'net', managedFields: [{ manager: 'x' }] },
    spec: { ipam: '{}', plugin: { cniVersion: '1', type: 't', later: 1 }, later: { a: [1] } },
    status: { later: 'x' },
    later: true,
  };
  expect<unknown>(v.parse(MultiNicNetwork, object)).toEqual(object);
});

describe('refused', () => {
  const plugin = { cniVersion: '0.3.0', type: 'ipvlan' };
  const pool = {
    podCIDR: '10.0.0.0/24',
    vlanCIDR: '10.0.0.0/18',
    netAttachDef: 'net',
    hostName: 'h',
    interfaceName: 'eth1',
    excludes: [],
    allocations: [],
  };
  const metadata = { name: 'x' };
  const rows: [says: string, kind: string, value: unknown, path: string][] = [
    ['nothing', 'MultiNicNetwork', undefined, ''],
    ['no metadata', 'MultiNicNetwork', { spec: { ipam: '', plugin } }, 'metadata'],
    ['no name', 'MultiNicNetwork', { metadata: {}, spec: { ipam: '', plugin } }, 'metadata.name'],
    ['no spec', 'MultiNicNetwork', { metadata }, 'spec'],
    ['no ipam', 'MultiNicNetwork', { metadata, spec: { plugin } }, 'spec.ipam'],
    ['ipam object', 'MultiNicNetwork', { metadata, spec: { ipam: {}, plugin } }, 'spec.ipam'],
    ['no plugin', 'MultiNicNetwork', { metadata, spec: { ipam: '' } }, 'spec.plugin'],
    [
      'arguments that are numbers',
      'MultiNicNetwork',
      { metadata, spec: { ipam: '', plugin: { ...plugin, args: { mtu: 1500 } } } },
      'spec.plugin.args.mtu',
    ],
    [
      'no strategy in the policy',
      'MultiNicNetwork',
      { metadata, spec: { ipam: '', plugin, attachPolicy: {} } },
      'spec.attachPolicy.strategy',
    ],
    [
      'an index as text',
      'MultiNicNetwork',
      {
        metadata,
        spec: { ipam: '', plugin },
        status: { interfaceIndices: [{ netAddress: '10.0.0.0/24', interfaceIndex: '1' }] },
      },
      'status.interfaceIndices.0.interfaceIndex',
    ],
    ['null for hosts', 'CIDR', { metadata, spec: { config: {}, cidr: null } }, 'spec.config.name'],
    ['no pool', 'IPPool', { metadata, spec: { ...pool, podCIDR: undefined } }, 'spec.podCIDR'],
    ['null allocations', 'IPPool', { metadata, spec: { ...pool, allocations: null } }, 'spec.all'],
    [
      'half an allocation',
      'IPPool',
      { metadata, spec: { ...pool, allocations: [{ pod: 'p', namespace: 'n' }] } },
      'spec.allocations.0.index',
    ],
    [
      'an index that is a fraction',
      'IPPool',
      {
        metadata,
        spec: { ...pool, allocations: [{ pod: 'p', namespace: 'n', index: 1.5, address: 'a' }] },
      },
      'spec.allocations.0.index',
    ],
    ['no interfaces', 'HostInterface', { metadata, spec: { hostName: 'h' } }, 'spec.interfaces'],
    [
      'an interface without name',
      'HostInterface',
      { metadata, spec: { hostName: 'h', interfaces: [{ netAddress: '10.0.0.0/24' }] } },
      'spec.interfaces.0.interfaceName',
    ],
    [
      'indices of a network without uid',
      'HostInterface',
      {
        metadata,
        spec: { hostName: 'h', interfaces: [] },
        status: { networks: [{ name: 'net', indices: [] }] },
      },
      'status.networks.0.uid',
    ],
    ['ids as object', 'DeviceClass', { metadata, spec: { ids: {} } }, 'spec.ids'],
    ['no vendor', 'DeviceClass', { metadata, spec: { ids: [{ products: [] }] } }, 'spec.ids.0.ven'],
    ['no daemon', 'Config', { metadata, spec: { cniType: 'a', ipamType: 'b' } }, 'spec.daemon'],
    [
      'a port as text',
      'Config',
      { metadata, spec: { cniType: 'a', ipamType: 'b', daemon: { image: 'i', port: '11000' } } },
      'spec.daemon.port',
    ],
  ];
  for (const [says, kind, value, path] of rows) {
    test(`${kind} with ${says}`, () => {
      const parsed = v.safeParse(schemaOf(kind), value);
      expect(parsed.success).toBe(false);
      expect(v.getDotPath(parsed.issues?.[0] ?? Object()) ?? '').toStartWith(path);
    });
  }
});

describe('NetworkAttachmentDefinition', () => {
  test('may have no configuration', () => {
    expect(v.safeParse(NetAttachDef, { metadata: { name: 'a' } }).success).toBe(true);
    expect(v.safeParse(NetAttachDef, { metadata: { name: 'a' }, spec: {} }).success).toBe(true);
  });

  test('has its configuration as text', () => {
    const object = { metadata: { name: 'a' }, spec: { config: {} } };
    expect(v.safeParse(NetAttachDef, object).success).toBe(false);
  });
});
