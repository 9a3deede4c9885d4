// Test equipment: objects of a small cluster, and an embedded API server that holds them.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { staticTarget } from '../../src/shared/platform/kube/api-target.ts';
import { createKubeClient, type KubeClient } from '../../src/shared/platform/kube/client.ts';
import { HOST_INTERFACES, MULTI_NIC_NETWORKS } from '../../src/shared/platform/kube/resource.ts';
import { type ApiServer, startApiServer } from '../apiserver/server.ts';

/** Name of the node in all tests. */
export const NODE = 'n1';

let crds: unknown[] | undefined;
/** The CRDs as they are installed. */
export function readCrds(): unknown[] {
  crds ??= parseCrds();
  return structuredClone(crds);
}

function parseCrds(): unknown[] {
  const folder = join(import.meta.dir, '../../deploy/crds');
  return readdirSync(folder)
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => Bun.YAML.parse(readFileSync(join(folder, name), 'utf8')));
}

/** Net address of rail `i`, counted from 1. */
export const rail = (i: number): string => `10.0.${i}.0/24`;

/** A network over `nics` rails with its interface indices; members of `spec` replace the defaults. */
export function networkObject(
  o: { name?: string; nics?: number; ipam?: object; spec?: object; status?: object } = {},
): Record<string, unknown> {
  const name = o.name ?? 'net';
  const ipam = { type: 'multi-nic-ipam', hostBlock: 6, interfaceBlock: 2, ...o.ipam };
  return {
    apiVersion: 'multinic.fms.io/v1',
    kind: 'MultiNicNetwork',
    metadata: { name, uid: `uid-${name}` },
    spec: {
      subnet: '192.168.0.0/16',
      ipam: JSON.stringify(ipam),
      multiNICIPAM: true,
      plugin: { cniVersion: '0.3.0', type: 'macvlan', args: { mode: 'bridge' } },
      ...o.spec,
    },
    status: {
      interfaceIndices: indices(o.nics ?? 4, (i) => ({ interfaceIndex: i })),
      ...o.status,
    },
  };
}

const indices = <T>(nics: number, value: (i: number) => T) =>
  Array.from({ length: nics }, (_, i) => ({ netAddress: rail(i + 1), ...value(i) }));

/** A HostInterface with the same host index on every rail. */
export function hostObject(o: {
  name: string;
  hostIndex: number;
  networks?: readonly string[];
  nics?: number;
  labels?: Record<string, string>;
}): Record<string, unknown> {
  const nics = o.nics ?? 4;
  return {
    apiVersion: 'multinic.fms.io/v1',
    kind: 'HostInterface',
    metadata: { name: o.name, ...(o.labels === undefined ? {} : { labels: o.labels }) },
    spec: {
      hostName: o.name,
      interfaces: Array.from({ length: nics }, (_, i) => ({
        interfaceName: `eth${i + 1}`,
        netAddress: rail(i + 1),
        hostIP: `10.0.${i + 1}.${10 + o.hostIndex}`,
      })),
    },
    status: {
      networks: (o.networks ?? ['net']).map((name) => ({
        name,
        uid: `uid-${name}`,
        indices: indices(nics, () => ({ hostIndex: o.hostIndex })),
      })),
    },
  };
}

/** An API server with these objects; indices of hosts are given for networks by their real UIDs. */
export async function startCluster(objects: readonly unknown[]): Promise<ApiServer> {
  const isHost = (object: unknown): boolean => JSON.stringify(object).includes('"HostInterface"');
  const others = objects.filter((object) => !isHost(object));
  const api = await startApiServer({ crds: readCrds(), objects: others });
  const client = createKubeClient(staticTarget({ server: api.url }));
  for (const host of objects.filter(isHost)) await putHost(client, host);
  return api;
}

/** Creates a host or replaces its spec and status. */
export async function putHost(client: KubeClient, object: unknown): Promise<void> {
  const host = HOST_INTERFACES.parse(object);
  const { name } = host.metadata;
  const networks = await Promise.all(
    (host.status?.networks ?? []).map(async (entry) => {
      const network = await client.get(MULTI_NIC_NETWORKS, { name: entry.name });
      return { ...entry, uid: network?.metadata.uid ?? entry.uid };
    }),
  );
  if ((await client.get(HOST_INTERFACES, { name })) === undefined) {
    await client.create(HOST_INTERFACES, object);
  } else {
    await client.patch(HOST_INTERFACES, { name }, { type: 'merge', body: { spec: host.spec } });
  }
  const body = { status: { networks } };
  await client.patch(HOST_INTERFACES, { name }, { type: 'merge', body, subresource: 'status' });
}
