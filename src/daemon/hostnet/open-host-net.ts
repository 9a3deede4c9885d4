// Chooses the back end for the kernel's network configuration.
import type { HostNet } from './host-net.ts';
import { openIpHostNet } from './ip-host-net.ts';
import { canCallLibc } from './libc.ts';
import { openNetlinkHostNet } from './netlink-host-net.ts';

/** 'netlink' is the fast one; 'ip' needs the programs `ip` and `nsenter` instead of bun:ffi. */
export type HostNetBackEnd = 'netlink' | 'ip';

/**
 * HostNet with the back end asked for, else with netlink unless the C library cannot be called.
 * Works on the calling thread's network namespace, or on that at `netnsPath` as the host's, for
 * tests and simulated hosts.
 */
export function openHostNet(o: { netnsPath?: string; backEnd?: HostNetBackEnd } = {}): HostNet {
  const backEnd = o.backEnd ?? (canCallLibc() ? 'netlink' : 'ip');
  return backEnd === 'ip' ? openIpHostNet(o) : openNetlinkHostNet(o);
}
