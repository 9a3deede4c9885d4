// Chooses the back end for the kernel's network configuration.
import type { HostNet } from './host-net.ts';
import { openNetlinkHostNet } from './netlink-host-net.ts';

/**
 * HostNet on the calling thread's network namespace. `netnsPath` makes it work on another
 * namespace as the host's, for tests and simulated hosts.
 */
export function openHostNet(o: { netnsPath?: string } = {}): HostNet {
  return openNetlinkHostNet(o);
}
