// Which networks this version serves. The controller refuses by it what the daemon would refuse at
// every ADD, and the daemon refuses by it what the controller had no chance to.
import { ipamRefusals, type Refusal, readAttachConfig } from '../cni/attach-config.ts';
import { parseAddress } from '../ip/address.ts';
import { type Cidr, containsAddress, parseCidr } from '../ip/cidr.ts';
import type { NetworkDefinition } from './network-definition.ts';

const STRATEGIES: readonly string[] = ['none', 'devClass'];

/** What forbids every attachment, whatever the request says. */
export function networkRefusals(network: NetworkDefinition): Refusal[] {
  const { ipam, multiNicIpam, attachPolicy } = network;
  const refusals = ipamRefusals({ ipam, multiNICIPAM: multiNicIpam });
  const { strategy } = attachPolicy;
  if (!STRATEGIES.includes(strategy)) {
    const text = `attachPolicy.strategy "${strategy}" is not supported by this version`;
    refusals.push({ reason: 'UnsupportedStrategy', text });
  }
  return refusals;
}

/** Everything for which the daemons would refuse pods. `plugin`: that of the definitions. */
export function whyUnserved(
  network: NetworkDefinition,
  plugin: Readonly<Record<string, unknown>>,
): Refusal[] {
  const { ipam, masterNets, multiNicIpam } = network;
  const reading = readAttachConfig({ plugin, ipam, masterNets, multiNICIPAM: multiNicIpam });
  const all = [...(reading.ok ? [] : reading.refusals), ...networkRefusals(network)];
  if (reading.ok) all.push(...lostRoutes(network, reading.config.ipam?.routes ?? []));
  return [...new Map(all.map((refusal) => [refusal.text, refusal])).values()];
}

/**
 * The subnets that gateways of the network's routes can be in. None where that depends on the node:
 * in host-subnet mode with whatever NICs there are.
 */
export function reachableNets({ hostSubnetMode, subnets, masterNets }: NetworkDefinition): Cidr[] {
  return hostSubnetMode ? masterNets.flatMap((net) => parseCidr(net) ?? []) : [...subnets];
}

function lostRoutes(
  network: NetworkDefinition,
  routes: readonly { readonly dst: string; readonly gw?: string | undefined }[],
): Refusal[] {
  const nets = reachableNets(network);
  if (nets.length === 0) return [];
  return routes.flatMap((route, index): Refusal[] => {
    if (isReachable(route, nets)) return [];
    const text = `ipam.routes.${index}: ${describeLostRoute(route)}`;
    return [{ reason: 'UnreachableGateway', text }];
  });
}

/** Why no link carries a route. */
export function describeLostRoute({ dst, gw }: { dst: string; gw?: string | undefined }): string {
  return gw === undefined
    ? `no NIC has an address of the family of ${dst}`
    : `no NIC reaches gateway ${gw} of ${dst}`;
}

function isReachable(
  { dst, gw }: { readonly dst: string; readonly gw?: string | undefined },
  nets: readonly Cidr[],
): boolean {
  if (gw === undefined) {
    const family = dst.includes(':') ? 6 : 4;
    return nets.some((net) => net.family === family);
  }
  const address = parseAddress(gw);
  return address !== undefined && nets.some((net) => containsAddress(net, address));
}
