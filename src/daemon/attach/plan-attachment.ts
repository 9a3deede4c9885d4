// Decides what an ADD will make: which NICs, from which pools, which routes. Changes nothing, so
// that everything that can be refused is refused before the first effect.
import { DomainError } from '../../shared/model/errors.ts';
import type { NetworkDefinition } from '../../shared/model/plan/network-definition.ts';
import {
  describeLostRoute,
  networkRefusals,
  reachableNets,
} from '../../shared/model/plan/served.ts';
import type { PoolRecord } from '../ipam/pool-set.ts';
import {
  type Considered,
  type DeviceIds,
  type HostNic,
  selectNics,
} from '../select/select-nics.ts';
import type { AttachDemand, AttachIdentity } from './attach-config.ts';
import type { PlannedRoutes } from './plan-routes.ts';
import { planRoutes } from './plan-routes.ts';
import type { AttachPorts, KnownNetwork } from './ports.ts';

const NAME_BYTES_MAX = 15;

/** One link to be made. */
export interface PlannedNic {
  readonly name: string;
  readonly nic: HostNic;
  /** One per address family. */
  readonly pools: readonly PoolRecord[];
}

/** All of an attachment, before anything is taken. */
export interface AttachmentPlan {
  readonly network: NetworkDefinition;
  readonly nics: readonly PlannedNic[];
  readonly routes: PlannedRoutes;
  readonly considered: readonly Considered[];
}

/** What a plan is made from. */
export type PlanPorts = Pick<AttachPorts, 'cluster' | 'inventory' | 'pools'>;

/**
 * DomainError 'not-ready', 'network-unknown', 'invalid-config', 'no-master',
 * 'invalid-environment'.
 */
export function planAttachment(
  ports: PlanPorts,
  o: { identity: AttachIdentity; demand: AttachDemand },
): AttachmentPlan {
  const { identity, demand } = o;
  const basis = findBasis(ports, {
    network: identity.key.network,
    deviceClass: demand.deviceClass,
  });
  const { definition: network } = basis;
  const { nics, considered } = chooseNics(ports, { ...basis, demand });
  const planned = nics.map((nic, index) => ({
    name: `${identity.key.ifName}-${index}`,
    nic,
    pools: poolsOf(ports, network, nic),
  }));
  refuseLongNames(planned);
  const routes = planRoutes({
    wanted: demand.routes,
    nics: planned.map(({ name, pools }) => ({
      name,
      vlanCidrs: pools.map(({ plan }) => plan.vlanCidr),
    })),
    network: reachableNets(network),
  });
  const [lost] = routes.unreachable;
  if (lost !== undefined) {
    const message = `network ${network.name}: ${describeLostRoute(lost)}`;
    throw new DomainError('invalid-config', message, { details: { network: network.name } });
  }
  return { network, nics: planned, routes, considered };
}

/** What NICs are chosen by: the network, if it is served, and the device class that is named. */
export interface SelectionBasis {
  readonly known: KnownNetwork;
  readonly definition: NetworkDefinition;
  readonly deviceIds: DeviceIds | undefined;
}

/** DomainError 'not-ready', 'network-unknown', 'invalid-config': nothing is chosen without it. */
export function findBasis(
  ports: Pick<PlanPorts, 'cluster'>,
  o: { network: string; deviceClass: string | undefined },
): SelectionBasis {
  const known = findNetwork(ports, o.network);
  const definition = usableDefinition(known, o.deviceClass);
  return { known, definition, deviceIds: deviceIdsOf(ports, o.network, o.deviceClass) };
}

/** DomainError 'not-ready', 'network-unknown'. */
export function findNetwork(ports: Pick<PlanPorts, 'cluster'>, name: string): KnownNetwork {
  const { cluster } = ports;
  const known = cluster.network(name);
  if (known !== undefined) return known;
  if (!cluster.isKnown) {
    throw new DomainError('not-ready', 'the networks of the cluster are not known yet', {
      details: { network: name },
    });
  }
  throw new DomainError('network-unknown', `there is no MultiNicNetwork ${name}`, {
    details: { network: name },
  });
}

/** The definition, if the request and this version can work with it. */
function usableDefinition(known: KnownNetwork, deviceClass: string | undefined): NetworkDefinition {
  const { name, definition } = known;
  const refuse = (issues: readonly string[]): DomainError =>
    new DomainError('invalid-config', `network ${name}: ${issues.join('; ')}`, {
      details: { network: name, issues: [...issues] },
    });
  if (definition === undefined || known.issues.length > 0) throw refuse(known.issues);
  const refusals = networkRefusals(definition);
  if (refusals.length > 0) throw refuse(refusals.map(({ text }) => text));
  const { strategy } = definition.attachPolicy;
  if (deviceClass !== undefined && strategy !== 'devClass') {
    throw refuse([`a device class is named, but attachPolicy.strategy is "${strategy}"`]);
  }
  return definition;
}

function chooseNics(
  ports: PlanPorts,
  o: SelectionBasis & { demand: AttachDemand },
): { nics: readonly HostNic[]; considered: readonly Considered[] } {
  const { known, definition: network, deviceIds, demand } = o;
  const inventory = ports.inventory();
  const selection = selectNics(
    {
      masterNets: demand.masterNets.length > 0 ? demand.masterNets : network.masterNets,
      nics: demand.nics,
      masters: demand.masters,
      deviceIds,
    },
    {
      nics: inventory.nics,
      skipped: inventory.skipped,
      plannedNets: known.plannedNets,
      unsuitable: (nic) => whyUnsuitable(ports, { known, nic, mtu: demand.mtu }),
    },
  );
  if (selection.ok) return selection;
  const reasons = selection.considered.flatMap(({ interfaceName, netAddress, reason }) =>
    reason === undefined ? [] : [`${interfaceName || netAddress}: ${reason}`],
  );
  const list = inventory.nics.length === 0 ? ['the node has no NICs', ...reasons] : reasons;
  const why = list.length === 0 ? '' : ` (${list.join('; ')})`;
  throw new DomainError('no-master', `network ${network.name}: ${selection.reason}${why}`, {
    details: { network: network.name, reasons },
  });
}

function deviceIdsOf(
  ports: Pick<PlanPorts, 'cluster'>,
  network: string,
  name: string | undefined,
): DeviceIds | undefined {
  if (name === undefined) return undefined;
  const ids = ports.cluster.deviceClass(name);
  if (ids !== undefined) return ids;
  throw new DomainError('invalid-config', `network ${network}: there is no DeviceClass ${name}`, {
    details: { network, deviceClass: name },
  });
}

function whyUnsuitable(
  ports: PlanPorts,
  o: { known: KnownNetwork; nic: HostNic; mtu: number },
): string | undefined {
  const { known, nic, mtu } = o;
  const { interfaceName } = nic;
  if (mtu > nic.mtu) return `MTU ${mtu} is above its own ${nic.mtu}`;
  const pools = ports.pools.find({ network: known.name, interfaceName });
  if (pools.length === 0) return known.skipped.get(interfaceName) ?? 'it has no pool yet';
  return pools.find((record) => record.state !== 'planned')?.reason;
}

function poolsOf(ports: PlanPorts, network: NetworkDefinition, nic: HostNic): PoolRecord[] {
  return ports.pools.find({ network: network.name, interfaceName: nic.interfaceName });
}

function refuseLongNames(nics: readonly PlannedNic[]): void {
  const long = nics.find(({ name }) => Buffer.byteLength(name) > NAME_BYTES_MAX);
  if (long === undefined) return;
  throw new DomainError(
    'invalid-environment',
    `CNI_IFNAME is too long: ${long.name} has more than ${NAME_BYTES_MAX} bytes`,
    { details: { interfaceName: long.name } },
  );
}
