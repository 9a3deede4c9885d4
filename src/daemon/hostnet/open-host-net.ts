// Chooses the back end for the kernel's network configuration.
import type { HostNet } from './host-net.ts';
import { openIpHostNet } from './ip-host-net.ts';
import { openNetlinkHostNet } from './netlink-host-net.ts';

/** 'netlink' is the fast one; 'ip' needs the programs `ip` and `nsenter` instead of bun:ffi. */
export type HostNetBackEnd = 'netlink' | 'ip';

/**
 * HostNet on the calling thread's network namespace. `netnsPath` makes it work on another
 * namespace as the host's, for tests and simulated hosts.
 */
export function openHostNet(o: { netnsPath?: string; backEnd?: HostNetBackEnd } = {}): HostNet {
  return o.backEnd === 'ip' ? openIpHostNet(o) : openNetlinkHostNet(o);
}
