// Both back ends against this machine's kernel. ipvlan, which many kernels lack, is tested
// in a virtual machine by ipvlan.real.ts.
import { openIpHostNet } from '../../src/daemon/hostnet/ip-host-net.ts';
import { openNetlinkHostNet } from '../../src/daemon/hostnet/netlink-host-net.ts';
import { netnsObstacle } from '../helpers/netns.ts';
import { requirement } from '../helpers/requirement.ts';
import { describeHostNetContract } from '../hostnet/contract.ts';
import { createKernelLab } from '../hostnet/kernel-lab.ts';
import { describeTwoHosts } from '../hostnet/two-hosts.ts';

const open = (netnsPath: string) => openNetlinkHostNet({ netnsPath });

const openIp = (netnsPath: string) => openIpHostNet({ netnsPath });

if (requirement('hostnet: the kernel', netnsObstacle())) {
  describeHostNetContract({
    name: 'netlink',
    kinds: [
      { kind: 'macvlan', mode: 'bridge' },
      { kind: 'macvlan', mode: 'private' },
      { kind: 'macvlan', mode: 'vepa' },
      { kind: 'macvlan', mode: 'passthru' },
    ],
    createLab: () => createKernelLab(open),
  });
  describeHostNetContract({
    name: 'ip',
    kinds: [
      { kind: 'macvlan', mode: 'bridge' },
      { kind: 'macvlan', mode: 'passthru' },
    ],
    createLab: () => createKernelLab(openIp),
  });
  describeTwoHosts({ link: { kind: 'macvlan', mode: 'bridge' }, isRouted: false, open });
}
