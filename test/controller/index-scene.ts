// A small world for plans of indices: hosts with NICs, a ledger and what is published, and how the
// actions of a plan change it.
import type { IndexHost, IndexRecord } from '../../src/controller/plan/host-claims.ts';
import type { IndexInput } from '../../src/controller/plan/index-input.ts';
import { type IndexPlan, planIndices } from '../../src/controller/plan/indices.ts';
import type { InterfaceRecord } from '../../src/controller/plan/interface-indices.ts';
import { formatLedger, type Ledger } from '../../src/controller/plan/ledger.ts';
import { type Cidr, parseCidr } from '../../src/shared/model/ip/cidr.ts';
import { naiveCore } from './fake-core.ts';

export function cidr(text: string): Cidr {
  const parsed = parseCidr(text, { allowHostBits: true });
  if (parsed === undefined) throw new TypeError(`not a CIDR: ${text}`);
  return parsed;
}

export interface SceneNetwork {
  subnet: string;
  interfaceBits: number;
  hostBits: number;
  excludes?: string[];
  masterNets?: string[];
}

/** Mutable state around `planIndices`. */
export class IndexScene {
  readonly network: SceneNetwork;
  readonly hosts = new Map<string, { nets: string[]; published: Map<string, number> }>();
  ledger: Ledger | undefined;
  interfaceRecords: InterfaceRecord[] = [];
  hostRecords: IndexRecord[] = [];
  gone = new Set<string>();
  pending = new Map<string, Map<string, number>>();
  freeable = new Set<string>();
  mode: 'full' | 'adopt' = 'full';
  assignHostsMax = 10_000;

  constructor(network: SceneNetwork) {
    this.network = network;
  }

  addHost(name: string, ...nets: string[]): this {
    const published = this.hosts.get(name)?.published ?? new Map<string, number>();
    this.hosts.set(name, { nets, published });
    return this;
  }

  /** Node and HostInterface confirmed absent; what was published went with the HostInterface. */
  removeHost(name: string): this {
    for (const [netAddress, hostIndex] of this.hosts.get(name)?.published ?? []) {
      this.hostRecords.push({ hostName: name, netAddress, hostIndex, source: 'CIDR' });
    }
    this.hosts.delete(name);
    this.gone.add(name);
    return this;
  }

  input(): IndexInput {
    const { network } = this;
    const subnets = network.subnet === '' ? [] : network.subnet.split(',').map(cidr);
    const hosts: IndexHost[] = [...this.hosts]
      .map(([name, { nets, published }]) => ({ name, netAddresses: nets, published }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
    return {
      network: {
        uid: 'uid-1',
        subnets,
        interfaceBits: network.interfaceBits,
        hostBits: network.hostBits,
        excludes: (network.excludes ?? []).map((text) =>
          cidr(text.includes('/') ? text : `${text}/32`),
        ),
        masterNets: network.masterNets ?? [],
        division: {
          subnet: network.subnet,
          interfaceBits: network.interfaceBits,
          hostBits: network.hostBits,
        },
      },
      ledger: this.ledger,
      interfaceRecords: this.interfaceRecords,
      hosts,
      hostRecords: this.hostRecords,
      gone: this.gone,
      pending: this.pending,
      freeable: this.freeable,
      mode: this.mode,
      assignHostsMax: this.assignHostsMax,
    };
  }

  plan(): IndexPlan {
    return planIndices(naiveCore, this.input());
  }

  /** Plans and applies everything: the ledger first, then each host. */
  step(): IndexPlan {
    const plan = this.plan();
    this.ledger = plan.ledger;
    for (const { hostName, indices } of plan.publish) {
      const published = this.hosts.get(hostName)?.published;
      for (const { netAddress, hostIndex } of indices) published?.set(netAddress, hostIndex);
    }
    return plan;
  }

  /** `host -> index` of one net address, by index. */
  indices(netAddress: string): [string, number][] {
    return [...this.hosts]
      .flatMap(([name, { published }]): [string, number][] => {
        const index = published.get(netAddress);
        return index === undefined ? [] : [[name, index]];
      })
      .sort((a, b) => a[1] - b[1]);
  }

  /** Net address -> interface index. */
  interfaces(): Record<string, number> {
    const nets = this.ledger?.nets ?? [];
    return Object.fromEntries(nets.map((net) => [net.netAddress, net.interfaceIndex]));
  }

  ledgerText(): string {
    return this.ledger === undefined ? '' : formatLedger(this.ledger);
  }
}
