// Test equipment: objects that the original wrote (test/golden/states), put into a lab.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import * as kinds from '../../src/shared/platform/kube/resource.ts';
import type { Lab } from './harness.ts';

export type StateName =
  | '01-ipvlan-l3'
  | '02-macvlan-excludes'
  | '03-host-subnet'
  | '05-host-replace'
  | '09-half-done';

const folder = join(import.meta.dir, '../golden/states');
const StoredList = v.looseObject({
  items: v.array(
    v.looseObject({
      metadata: v.looseObject({
        name: v.string(),
        namespace: v.optional(v.string()),
        uid: v.string(),
        deletionTimestamp: v.optional(v.string()),
        ownerReferences: v.optional(v.array(v.looseObject({ uid: v.string() }))),
      }),
      status: v.optional(v.unknown()),
    }),
  ),
});
export type StoredObject = v.InferOutput<typeof StoredList>['items'][number];

/** The objects of one kind, by file name. */
export function readState(state: StateName, kind: string): StoredObject[] {
  const text = readFileSync(join(folder, state, `${kind}.json`), 'utf8');
  return v.parse(StoredList, JSON.parse(text)).items;
}

/**
 * What a fresh cluster has before any controller: namespaces, nodes, host interfaces, the network.
 */
export async function seedInput(lab: Lab, state: StateName): Promise<void> {
  await seedNamespaces(lab, state);
  await createAll(lab, kinds.NODES, readState(state, 'nodes'));
  await addDaemonPods(lab, state);
  await createAll(
    lab,
    kinds.HOST_INTERFACES,
    readState(state, 'hostinterfaces'),
    withoutFinalizers,
  );
  await createAll(lab, kinds.MULTI_NIC_NETWORKS, readState(state, 'multinicnetworks'), (object) => {
    const { status: _status, ...rest } = withoutFinalizers(object);
    return rest;
  });
}

/** Everything as the original left it, with the UIDs that the lab's server gives. */
export async function seedAll(lab: Lab, state: StateName): Promise<void> {
  await seedNamespaces(lab, state);
  const uids = new Map<string, string>();
  const seed = async (resource: kinds.Resource<unknown>, kind: string): Promise<void> => {
    await createAll(
      lab,
      resource,
      readState(state, kind),
      (object) => adoptUids(object, uids),
      uids,
    );
  };
  await seed(kinds.NODES, 'nodes');
  await addDaemonPods(lab, state);
  await seed(kinds.DAEMON_CONFIGS, 'configs');
  await seed(kinds.HOST_INTERFACES, 'hostinterfaces');
  await seed(kinds.MULTI_NIC_NETWORKS, 'multinicnetworks');
  await seed(kinds.CIDRS, 'cidrs');
  await seed(kinds.IP_POOLS, 'ippools');
  await seed(kinds.NET_ATTACH_DEFS, 'network-attachment-definitions');
  await seed(kinds.DAEMON_SETS, 'daemonsets');
}

async function addDaemonPods(lab: Lab, state: StateName): Promise<void> {
  for (const { metadata } of readState(state, 'hostinterfaces')) {
    await lab.addDaemonPod(metadata.name);
  }
}

async function seedNamespaces(lab: Lab, state: StateName): Promise<void> {
  for (const { metadata } of readState(state, 'namespaces')) {
    const stored = await lab.client.get(kinds.NAMESPACES, { name: metadata.name });
    if (stored === undefined) await lab.addNamespace(metadata.name);
  }
}

function withoutFinalizers(object: StoredObject): StoredObject {
  return { ...object, metadata: { ...object.metadata, finalizers: [] } };
}

function adoptUids(object: StoredObject, uids: ReadonlyMap<string, string>): StoredObject {
  const { ownerReferences } = object.metadata;
  if (ownerReferences === undefined) return object;
  const owners = ownerReferences.map((owner) => ({
    ...owner,
    uid: uids.get(owner.uid) ?? owner.uid,
  }));
  return { ...object, metadata: { ...object.metadata, ownerReferences: owners } };
}

async function createAll(
  lab: Lab,
  resource: kinds.Resource<unknown>,
  objects: readonly StoredObject[],
  change: (object: StoredObject) => StoredObject = (object) => object,
  uids: Map<string, string> = new Map(),
): Promise<void> {
  const raw = { ...resource, parse: kinds.parseNamed };
  for (const stored of objects) {
    const {
      uid,
      resourceVersion: _version,
      deletionTimestamp,
      ...metadata
    } = change(stored).metadata;
    const { status, ...rest } = change(stored);
    const created = await lab.client.create(raw, { ...rest, metadata });
    uids.set(uid, created.metadata.uid ?? '');
    const { name, namespace } = metadata;
    if (status !== undefined && resource.plural !== 'namespaces') {
      const patch = { type: 'merge', subresource: 'status', body: { status } } as const;
      await lab.client.patch(raw, { name, namespace }, patch);
    }
    if (deletionTimestamp !== undefined) await lab.client.delete(raw, { name, namespace });
  }
}
