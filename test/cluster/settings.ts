// Names, addresses and paths of the test cluster. Everything that it makes outside its own
// namespaces carries PREFIX.

import { join } from 'node:path';

/** Start of the name of every link, cgroup and process marker that the cluster makes. */
export const PREFIX = 'mnk';

/** Folder of everything a running cluster writes; gone when it is down. */
export const STATE = '/tmp/multi-nic-cluster';

/** Kubeconfig of the administrator, in JSON, which is YAML too. */
export const ADMIN_KUBECONFIG = join(STATE, 'admin.kubeconfig');

/** What kubectl remembers of the API server; it has its place in a home folder unless told. */
export const KUBECTL_CACHE = join(STATE, 'kubectl-cache');

/** Variables with which kubectl talks to this cluster and leaves nothing elsewhere. */
export const ADMIN_ENVIRONMENT = {
  KUBECONFIG: ADMIN_KUBECONFIG,
  KUBECACHEDIR: KUBECTL_CACHE,
} as const;

/** How large a cluster is. */
export interface ClusterShape {
  /** 2 to 9 machines with a kubelet. */
  readonly nodes: number;
  /** NICs per node besides eth0, each on a network segment of its own; 0 to 16. */
  readonly rails: number;
}

/** The machine that runs etcd and the control plane, and whose bridges are the switches. */
export const CONTROL_PLANE = 'control-plane';

/**
 * Address of the API server for everyone; the Service address works too, because this machine holds
 * it.
 */
export const API_ADDRESS = '10.250.0.1';

/** Address of the `kubernetes` Service. */
export const API_SERVICE_ADDRESS = '10.96.0.1';

/** Address of the machine on which the tests run, on the management network. */
export const HOST_ADDRESS = '10.250.0.254';

/** The only link that the cluster makes in the network namespace in which it is started. */
export const HOST_LINK = `${PREFIX}0`;

/** Image of the sandbox containers. */
export const PAUSE_IMAGE = 'multi-nic.test/pause:1';

/** Image of test pods: a shell with ping, wget, httpd and ip. */
export const POD_IMAGE = 'multi-nic.test/pod:1';

/** Name of the node with this number, counted from 1. */
export function nodeName(number: number): string {
  return `n${number}`;
}

/** Number of the node of this name; throws for any other machine. */
export function nodeNumber(name: string): number {
  const number = Number(/^n([1-9])$/.exec(name)?.[1]);
  if (Number.isNaN(number)) throw new Error(`there is no node ${name}; nodes are n1, n2, …`);
  return number;
}

/** Address of a node on the management network. */
export function nodeAddress(number: number): string {
  return `10.250.0.${10 + number}`;
}

/** Block from which the default network of a node gives addresses to pods. */
export function podBlock(number: number): string {
  return `10.244.${number}.0/24`;
}

/** Name of the NIC of a node on the rail with this number, counted from 0. */
export function railNic(rail: number): string {
  return `nic${rail}`;
}

/** Both addresses of a node's NIC on a rail, with prefix. */
export function railAddresses(rail: number, number: number): { v4: string; v6: string } {
  return {
    v4: `10.${100 + rail}.0.${10 + number}/24`,
    v6: `fd00:${100 + rail}::${10 + number}/64`,
  };
}

/** The network of a rail: what a MultiNicNetwork lists in `masterNets`. */
export function railNetwork(rail: number): { v4: string; v6: string } {
  return { v4: `10.${100 + rail}.0.0/24`, v6: `fd00:${100 + rail}::/64` };
}
