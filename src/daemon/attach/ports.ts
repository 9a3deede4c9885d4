// What attaching and releasing need from the rest of the daemon. Everything here answers from
// memory, the journal or the kernel of this node: nothing waits for another machine.
import type { NetworkDefinition } from '../../shared/model/plan/network-definition.ts';
import type { Clock } from '../../shared/platform/clock.ts';
import type { Logger } from '../../shared/platform/log.ts';
import type { HostNet } from '../hostnet/host-net.ts';
import type { PoolSet } from '../ipam/pool-set.ts';
import type { Journal } from '../journal/journal.ts';
import type { DeviceIds, HostNic } from '../select/select-nics.ts';
import type { FaultPoints } from './fault-points.ts';
import type { MasterUse } from './master-use.ts';

/** A network as the daemon knows it. */
export interface KnownNetwork {
  readonly name: string;
  readonly definition: NetworkDefinition | undefined;
  /** Why no pod is attached to it; not empty if there is no definition. */
  readonly issues: readonly string[];
  /** Net addresses in which this host holds a host index. */
  readonly plannedNets: ReadonlySet<string>;
  /** By NIC name: why it has no addresses in this network. */
  readonly skipped: ReadonlyMap<string, string>;
}

/** The last known state of the cluster. */
export interface ClusterFacts {
  network(name: string): KnownNetwork | undefined;
  /** False until the API server was heard once or a saved plan was loaded. */
  readonly isKnown: boolean;
  deviceClass(name: string): DeviceIds | undefined;
  /**
   * Whether a pod still exists. `unknown` whenever that is not certain: only an answer of the API
   * server itself makes a pod gone.
   */
  podState(pod: PodIdentity): Promise<'exists' | 'gone' | 'unknown'>;
}

/** A pod; `uid` is '' where the runtime did not name it. */
export interface PodIdentity {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

/** This host's NICs as of the last change that the kernel reported. */
export interface NicInventory {
  readonly nics: readonly HostNic[];
  readonly skipped: readonly { readonly interfaceName: string; readonly reason: string }[];
}

/** Everything that the attach transaction touches or asks. */
export interface AttachPorts {
  readonly journal: Journal;
  readonly pools: PoolSet;
  readonly masters: MasterUse;
  readonly hostNet: Pick<HostNet, 'openNetns'>;
  readonly cluster: ClusterFacts;
  readonly inventory: () => NicInventory;
  readonly clock: Clock;
  readonly log: Logger;
  readonly faults: FaultPoints;
  /** Runs `work` when no other operation on this container is under way. */
  readonly exclusive: <T>(containerId: string, work: () => Promise<T>) => Promise<T>;
  /** Of the running kernel: namespaces of another boot are gone. */
  readonly bootId: string;
  readonly quarantineMs: number;
  /** Holdings of these pools changed: publish them. */
  readonly onPoolsChanged: (names: readonly string[]) => void;
}
