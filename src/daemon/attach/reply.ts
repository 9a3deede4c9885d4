// The answer to an ADD: a CNI result of the newest shape, and what the executable needs to check
// it.
import type { CniReply, ReplyPool } from '../../shared/model/daemon-api.ts';
import { formatCidr } from '../../shared/model/ip/cidr.ts';
import { addressesOf } from '../journal/attachment.ts';
import type { Attached } from './attach.ts';

/** Interfaces and addresses are in the order of the NICs, which other programs rely on. */
export function toReply({ attachment, plan, links }: Attached): CniReply {
  const { nics, netnsPath } = attachment;
  const interfaces = links.map(({ name, mac, mtu }) => ({ name, mac, mtu, sandbox: netnsPath }));
  const ips = nics.flatMap((nic, index) =>
    nic.addresses.map(({ address, prefix }) => ({
      address: `${address}/${prefix}`,
      interface: index,
    })),
  );
  const routes = plan.routes.installed.map(({ dst, gw }) => ({
    dst,
    ...(gw === undefined ? {} : { gw }),
  }));
  return {
    result: {
      cniVersion: '1.1.0',
      interfaces,
      ips,
      ...(routes.length === 0 ? {} : { routes }),
      dns: {},
    },
    pools: toReplyPools({ attachment, plan }),
    families: familiesOf(plan),
  };
}

/**
 * The families that each interface must have an address of: from the network, not from what was
 * given, so that the executable notices a missing one. In host-subnet mode the pools say it.
 */
function familiesOf({ network, nics }: Attached['plan']): (4 | 6)[] {
  const blocks = network.hostSubnetMode
    ? nics.flatMap(({ pools }) => pools.map(({ plan: { podCidr } }) => podCidr))
    : network.subnets;
  return [...new Set(blocks.map(({ family }) => family))].sort();
}

function toReplyPools({ attachment, plan }: Pick<Attached, 'attachment' | 'plan'>): ReplyPool[] {
  const held = addressesOf(attachment);
  return plan.nics
    .flatMap(({ pools }) => pools)
    .map(({ plan: { name, podCidr, vlanCidr, excludes } }) => ({
      name,
      podCidr: formatCidr(podCidr),
      vlanCidr: formatCidr(vlanCidr),
      excludes: excludes.map(formatCidr),
      addresses: held
        .filter(({ pool }) => pool === name)
        .map(({ address, prefix }) => `${address}/${prefix}`),
    }));
}
