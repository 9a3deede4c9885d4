// Test equipment: IPPools as a daemon would publish them.
import * as kinds from '../../src/shared/platform/kube/resource.ts';
import type { Lab } from './harness.ts';

/** A pool of a host; `pods` hold its first addresses. */
export async function addPool(
  lab: Lab,
  o: { name: string; network: string; host: string; pods?: string[] },
) {
  const [podCIDR = ''] = [o.name.replace(`${o.network}-`, '').replace(/-(\d+)$/, '/$1')];
  await lab.client.create(kinds.IP_POOLS, {
    metadata: { name: o.name, labels: { hostname: o.host, netname: o.network } },
    spec: {
      podCIDR,
      vlanCIDR: '192.168.0.0/18',
      netAttachDef: o.network,
      hostName: o.host,
      interfaceName: 'eth1',
      excludes: [],
      allocations: (o.pods ?? []).map((pod, index) => ({
        pod,
        namespace: 'default',
        index: index + 1,
        address: podCIDR.replace(/\.0\/\d+$/, `.${index + 1}`),
      })),
    },
  });
}
