// The demo's `kubectl get`: the API objects as rows, each kind with the columns that tell its story.
import type { KubeClient } from '../../src/shared/platform/kube/client.ts';
import * as kinds from '../../src/shared/platform/kube/resource.ts';

export type Collectable = string[];

export interface ObjectTable {
  title: string;
  header: string[];
  rows: Collectable[];
}

/** What the controller and the daemons wrote, in the order in which it came to be. */
export async function listObjects(client: KubeClient): Promise<ObjectTable[]> {
  return [
    await networks(client),
    await hostInterfaces(client),
    await divisions(client),
    await pools(client),
  ];
}

async function networks(client: KubeClient): Promise<ObjectTable> {
  const { items } = await client.list(kinds.MULTI_NIC_NETWORKS);
  return {
    title: 'MultiNicNetwork',
    header: ['NAME', 'SUBNET', 'TYPE', 'CONFIG', 'ROUTES', 'RAILS'],
    rows: items.map(({ metadata, spec, status }) => [
      metadata.name,
      spec.subnet ?? '',
      spec.plugin.type,
      status?.configStatus ?? '',
      status?.routeStatus ?? '',
      (status?.interfaceIndices ?? []).map((i) => i.netAddress).join(' '),
    ]),
  };
}

async function hostInterfaces(client: KubeClient): Promise<ObjectTable> {
  const { items } = await client.list(kinds.HOST_INTERFACES);
  return {
    title: 'HostInterface',
    header: ['NAME', 'NICS', 'HOST INDICES'],
    rows: items.map(({ metadata, spec, status }) => [
      metadata.name,
      spec.interfaces.map((nic) => `${nic.interfaceName}=${nic.hostIP}`).join(' '),
      (status?.networks ?? []).flatMap((n) => n.indices.map((i) => String(i.hostIndex))).join(' '),
    ]),
  };
}

async function divisions(client: KubeClient): Promise<ObjectTable> {
  const { items } = await client.list(kinds.CIDRS);
  return {
    title: 'CIDR',
    header: ['NAME', 'NET ADDRESS', 'VLAN CIDR', 'POD CIDR PER HOST'],
    rows: items.flatMap(({ metadata, spec }) =>
      spec.cidr.map((entry) => [
        metadata.name,
        entry.netAddress,
        entry.vlanCIDR,
        entry.hosts.map((host) => host.podCIDR).join(' '),
      ]),
    ),
  };
}

async function pools(client: KubeClient): Promise<ObjectTable> {
  const { items } = await client.list(kinds.IP_POOLS);
  return {
    title: 'IPPool',
    header: ['NAME', 'HOST', 'NIC', 'ALLOCATIONS'],
    rows: items
      .sort(byName)
      .map(({ metadata, spec }) => [
        metadata.name,
        spec.hostName,
        spec.interfaceName,
        spec.allocations.map((a) => `${a.address} ${a.namespace}/${a.pod}`).join(', '),
      ]),
  };
}

/** Names with numbers in them in the order of the numbers. */
function byName(a: { metadata: { name: string } }, b: { metadata: { name: string } }): number {
  return a.metadata.name.localeCompare(b.metadata.name, 'en', { numeric: true });
}
