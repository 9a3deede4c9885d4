// What the HostNet contract suite needs from a world it runs in: hands that change the host and
// its pods behind HostNet's back, as administrators, cables and container runtimes do.
import type { HostNet, SlaveKind } from '../../src/daemon/hostnet/host-net.ts';

/** One host with pods, fresh for each test. Disposing removes everything. */
export interface HostNetLab extends Disposable {
  readonly hostNet: HostNet;
  /** A path that leads to the host's own namespace. */
  readonly hostPath: string;
  /** A path to something that is no namespace. */
  readonly ordinaryPath: string;
  /** Plugs a NIC in and sets it up. Addresses are like "10.0.1.1/24". */
  addNic(nic: { name: string; mtu?: number; addresses?: readonly string[] }): void;
  setNicDown(name: string): void;
  addNicAddress(name: string, address: string): void;
  /** Sets a NIC down and up again at once. */
  flapNic(name: string): void;
  /** Takes all IPv4 addresses of a NIC and gives them back at once. */
  flapNicAddresses(name: string): void;
  removeNic(name: string): void;
  /** Adds a static route that is not ours. */
  addForeignRoute(route: { destination: string; via: string; interfaceName: string }): void;
  addDefaultRoute(route: { via: string; interfaceName: string; metric: number }): void;
  /** Makes a pod's namespace and gives its path. */
  addNetns(name: string): string;
  removeNetns(path: string): void;
  /** Adds a link of another kind to a pod, in group 0. */
  addPodLink(path: string, name: string): void;
  /** Adds a link on a NIC to a pod in group 0, as the reference plugins do. */
  addForeignSlave(path: string, slave: { name: string; nic: string; link: SlaveKind }): void;
}

/** Index of a NIC; throws if there is none of that name. */
export function nicIndex(lab: HostNetLab, name: string): number {
  const link = lab.hostNet.links().find((candidate) => candidate.name === name);
  if (link === undefined) throw new Error(`no NIC ${name}`);
  return link.index;
}
