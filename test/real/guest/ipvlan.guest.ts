// Runs inside the guest, started by ipvlan.real.ts: what depends on the kind of link, with a kernel
// that has ipvlan. The rest of the contract is tested on the machine's own kernel.
import { openNetlinkHostNet } from '../../../src/daemon/hostnet/netlink-host-net.ts';
import { describeLinkContract } from '../../hostnet/contract-links.ts';
import { describePodRouteContract } from '../../hostnet/contract-pod-routes.ts';
import { createKernelLab } from '../../hostnet/kernel-lab.ts';
import { describeTwoHosts } from '../../hostnet/two-hosts.ts';

const open = (netnsPath: string) => openNetlinkHostNet({ netnsPath });
const createLab = () => createKernelLab(open);

for (const mode of ['l3', 'l3s', 'l2'] as const) {
  const link = { kind: 'ipvlan', mode } as const;
  describeTwoHosts({ link, isRouted: mode !== 'l2', open });
  describeLinkContract(link, createLab);
}
describePodRouteContract({ kind: 'ipvlan', mode: 'l3' }, createLab);
describeTwoHosts({ link: { kind: 'macvlan', mode: 'bridge' }, isRouted: false, open });
