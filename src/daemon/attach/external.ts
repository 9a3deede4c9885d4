// Addresses of pods whose links this daemon does not make: those of callers of the old HTTP paths,
// and those taken over from another program. One journal row per address, keyed by the pod's name.
import { DomainError } from '../../shared/model/errors.ts';
import type { PoolRecord, TakenAddress } from '../ipam/pool-set.ts';
import type { Attachment, HeldAddress } from '../journal/attachment.ts';
import type { AttachPorts, PodIdentity } from './ports.ts';
import { release } from './release.ts';
import { UndoStack } from './undo.ts';

/** One address of a pod, and the NIC it is for. */
export interface ExternalAddress {
  readonly interfaceName: string;
  readonly address: string;
  readonly prefix: number;
}

/** The container ID that stands for "a sandbox of this pod that we do not know". */
export function externalContainerId(pod: { namespace: string; name: string }): string {
  return `pod:${pod.namespace}:${pod.name}`;
}

/** A row for one address that a pod holds. */
export function externalRow(
  ports: Pick<AttachPorts, 'journal' | 'clock' | 'bootId'>,
  o: {
    network: string;
    pod: PodIdentity;
    interfaceName: string;
    netAddress: string;
    held: HeldAddress;
  },
): Attachment {
  const nowMs = ports.clock.now();
  return {
    id: ports.journal.takeId(),
    network: o.network,
    containerId: externalContainerId(o.pod),
    ifName: `${o.held.pool}#${o.held.index}`,
    state: 'attached',
    external: true,
    podUid: o.pod.uid,
    podNamespace: o.pod.namespace,
    podName: o.pod.name,
    netnsPath: '',
    netnsId: '',
    bootId: ports.bootId,
    group: 0,
    createdAtMs: nowMs,
    updatedAtMs: nowMs,
    nics: [
      {
        name: '',
        master: o.interfaceName,
        netAddress: o.netAddress,
        kind: '',
        mode: '',
        mtu: 0,
        mac: '',
        addresses: [o.held],
        routes: [],
      },
    ],
    sharedRoutes: [],
    why: {},
  };
}

/**
 * Gives the pod one IPv4 address per NIC, all or none. A pod that holds one on a NIC already gets
 * the same again, because old callers repeat a request that timed out.
 */
export async function allocateExternal(
  ports: AttachPorts,
  o: { network: string; pod: PodIdentity; masters: readonly string[] },
): Promise<ExternalAddress[]> {
  const held = new Map(externalAddresses(ports, o).map((entry) => [entry.interfaceName, entry]));
  const records = o.masters
    .filter((master) => !held.has(master))
    .map((master) => poolFor(ports, o.network, master));
  const undo = new UndoStack();
  const taken: TakenAddress[] = [];
  try {
    for (const record of records) {
      const entry = await allocateOne(ports, { ...o, record, undo, taken });
      held.set(entry.interfaceName, entry);
    }
  } catch (error) {
    const failure = await undo.unwind();
    if (failure !== undefined) ports.log.error('undo of an allocation failed', { ...failure });
    throw error;
  } finally {
    ports.pools.settle(taken);
  }
  ports.onPoolsChanged(records.map(({ plan }) => plan.name));
  return o.masters.flatMap((master) => held.get(master) ?? []);
}

async function allocateOne(
  ports: AttachPorts,
  o: {
    network: string;
    pod: PodIdentity;
    record: PoolRecord;
    undo: UndoStack;
    taken: TakenAddress[];
  },
): Promise<ExternalAddress> {
  const { network, pod, record, undo } = o;
  const { name, interfaceName, netAddress, family, vlanCidr } = record.plan;
  const taken = ports.pools.take(record);
  if (taken === undefined) {
    throw new DomainError(
      'pool-exhausted',
      `pool ${name} of ${interfaceName} has no free address`,
      {
        details: { pool: name, master: interfaceName },
      },
    );
  }
  const { address, index } = taken;
  o.taken.push(taken);
  undo.push('release address', () => ports.pools.giveBack(taken, {}));
  const held = { pool: name, index, family, address, prefix: vlanCidr.prefix };
  const row = externalRow(ports, { network, pod, interfaceName, netAddress, held });
  await ports.journal.insert(row);
  undo.push('remove row', () => ports.journal.remove(row.id, {}));
  return { interfaceName, address, prefix: vlanCidr.prefix };
}

/** Releases what the pod holds without a sandbox of ours; returns what it was. */
export async function releaseExternal(
  ports: AttachPorts,
  o: { network: string; pod: PodIdentity },
): Promise<ExternalAddress[]> {
  const rows = externalRows(ports, o);
  const released = rows.flatMap(toExternal);
  for (const row of rows) await release(ports, row, { netnsPath: '' });
  return released;
}

function externalAddresses(
  ports: AttachPorts,
  o: { network: string; pod: PodIdentity },
): ExternalAddress[] {
  return externalRows(ports, o).flatMap(toExternal);
}

function externalRows(
  { journal }: AttachPorts,
  { network, pod }: { network: string; pod: PodIdentity },
): Attachment[] {
  return journal
    .list({ network, containerId: externalContainerId(pod) })
    .filter((row) => row.external);
}

function toExternal({ nics }: Attachment): ExternalAddress[] {
  return nics.flatMap(({ master, addresses }) =>
    addresses.map(({ address, prefix }) => ({ interfaceName: master, address, prefix })),
  );
}

function poolFor(ports: AttachPorts, network: string, interfaceName: string): PoolRecord {
  const [record] = ports.pools
    .find({ network, interfaceName })
    .filter(({ plan }) => plan.family === 4);
  if (record !== undefined) return record;
  throw new DomainError('no-master', `network ${network} has no pool on NIC ${interfaceName}`, {
    details: { network, master: interfaceName },
  });
}
