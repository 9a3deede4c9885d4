// Our kinds as kubectl shows them: names, short names and printer columns. Their schemas are in
// src/shared/model/objects.
import type { GenericSchema } from 'valibot';
import { CidrObject } from '../../src/shared/model/objects/cidr-object.ts';
import { DaemonConfig } from '../../src/shared/model/objects/config.ts';
import { DeviceClass } from '../../src/shared/model/objects/device-class.ts';
import { HostInterface, ROUTES_CONDITION } from '../../src/shared/model/objects/host-interface.ts';
import { IpPool } from '../../src/shared/model/objects/ip-pool.ts';
import { MultiNicNetwork } from '../../src/shared/model/objects/multi-nic-network.ts';

/**
 * A column of `kubectl get`. Columns with priority 1 are shown with `-o wide` only. A path that finds
 * several values shows the first, so there are no paths with `[*]`; a path to a list shows JSON.
 */
export interface PrinterColumn {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'date' | 'boolean';
  readonly jsonPath: string;
  readonly description?: string;
  readonly priority?: 1;
}

/** One kind. */
export interface CrdKind {
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly description: string;
  readonly schema: GenericSchema;
  readonly columns: readonly PrinterColumn[];
}

const text = (name: string, jsonPath: string): PrinterColumn => ({
  name,
  type: 'string',
  jsonPath,
});
const number = (name: string, jsonPath: string): PrinterColumn => ({
  name,
  type: 'integer',
  jsonPath,
});
const wide = (column: PrinterColumn): PrinterColumn => ({ ...column, priority: 1 });
const condition = (type: string, member: 'status' | 'message'): string =>
  `.status.conditions[?(@.type=="${type}")].${member}`;
const age: PrinterColumn = { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' };

/** All kinds, in the order of their names. */
export const crdKinds: readonly CrdKind[] = [
  {
    kind: 'CIDR',
    plural: 'cidrs',
    singular: 'cidr',
    shortNames: ['mncidr'],
    description:
      'Division of one network over host NICs and hosts, written by the controller for reading. ' +
      'Left out where it would be too large to store.',
    schema: CidrObject,
    columns: [
      text('Subnet', '.spec.config.subnet'),
      text('Type', '.spec.config.type'),
      number('HostBlock', '.spec.config.hostBlock'),
      number('InterfaceBlock', '.spec.config.interfaceBlock'),
      age,
    ],
  },
  {
    kind: 'Config',
    plural: 'configs',
    singular: 'config',
    shortNames: ['mnconfig'],
    description: 'How the daemon is deployed. The controller reads the one named multi-nicd.',
    schema: DaemonConfig,
    columns: [
      text('Image', '.spec.daemon.image'),
      number('Port', '.spec.daemon.port'),
      text('Accepted', condition('Accepted', 'status')),
      number('Desired', '.status.desired'),
      number('Ready', '.status.ready'),
      wide(text('CniType', '.spec.cniType')),
      age,
    ],
  },
  {
    kind: 'DeviceClass',
    plural: 'deviceclasses',
    singular: 'deviceclass',
    shortNames: ['mndc'],
    description: 'PCI devices by vendor and product, for the attach strategy devClass.',
    schema: DeviceClass,
    columns: [text('Devices', '.spec.ids'), age],
  },
  {
    kind: 'HostInterface',
    plural: 'hostinterfaces',
    singular: 'hostinterface',
    shortNames: ['hif'],
    description: 'Secondary NICs of one node, and its positions in the networks.',
    schema: HostInterface,
    columns: [
      number('NICs', '.status.interfaceCount'),
      number('Networks', '.status.networkCount'),
      text('Routes', condition(ROUTES_CONDITION, 'status')),
      wide(text('Message', condition(ROUTES_CONDITION, 'message'))),
      age,
    ],
  },
  {
    kind: 'IPPool',
    plural: 'ippools',
    singular: 'ippool',
    shortNames: ['ipp'],
    description: 'Addresses of one host on one NIC in one network, and the pods that hold them.',
    schema: IpPool,
    columns: [
      text('Network', '.spec.netAttachDef'),
      text('Host', '.spec.hostName'),
      text('Interface', '.spec.interfaceName'),
      text('PodCIDR', '.spec.podCIDR'),
      number('Used', '.status.occupied'),
      number('Free', '.status.free'),
      wide(text('VlanCIDR', '.spec.vlanCIDR')),
      wide(text('Excludes', '.spec.excludes')),
      age,
    ],
  },
  {
    kind: 'MultiNicNetwork',
    plural: 'multinicnetworks',
    singular: 'multinicnetwork',
    shortNames: ['mnn'],
    description: 'A network that gives a pod one interface on each suitable NIC of its node.',
    schema: MultiNicNetwork,
    columns: [
      text('Subnet', '.spec.subnet'),
      text('Type', '.spec.plugin.type'),
      text('Ready', condition('Ready', 'status')),
      text('Config', '.status.configStatus'),
      text('Routes', '.status.routeStatus'),
      number('Hosts', '.status.discovery.cidrProcessed'),
      text('Daemons', '.status.daemons'),
      wide(text('MasterNets', '.spec.masterNets')),
      wide(text('Strategy', '.spec.attachPolicy.strategy')),
      wide(text('Message', '.status.message')),
      age,
    ],
  },
];
