// A node: a machine with containerd, runc and a kubelet, an eth0 on the management network and one
// NIC on each rail.

import { chmodSync, copyFileSync, existsSync, mkdirSync, renameSync } from 'node:fs';
import { basename, join } from 'node:path';
import { kubeconfigOf } from './api.ts';
import { makeNodeGroups, nodeGroup, removePodGroups } from './cgroups.ts';
import { attempt, run, waitFor } from './command.ts';
import { type ControlPlane, ipBatch } from './control-plane.ts';
import {
  initPid,
  killMachine,
  machineRoot,
  runOn,
  startMachine,
  writeBaseFiles,
  writeFile,
  writeServices,
} from './machine.ts';
import { NODE_PLUGINS, type Peers } from './peers.ts';
import {
  API_ADDRESS,
  type ClusterShape,
  CONTROL_PLANE,
  nodeAddress,
  nodeNumber,
  PAUSE_IMAGE,
  podBlock,
  railAddresses,
  railNic,
} from './settings.ts';

/** Values that the kubelet wants the kernel to have, by sysctl name; see machine-init.sh. */
const KUBELET_SYSCTLS = {
  'vm.overcommit_memory': 1,
  'vm.panic_on_oom': 0,
  'kernel.panic': 10,
  'kernel.panic_on_oops': 1,
  'kernel.keys.root_maxkeys': 1_000_000,
  'kernel.keys.root_maxbytes': 25_000_000,
};

/** Writes the disk of a node: configuration, CNI plugins, service scripts. */
export function configureNode(name: string, o: { peers: Peers; plane: ControlPlane }): void {
  const { peers } = o;
  for (const [sysctl, value] of Object.entries(KUBELET_SYSCTLS)) {
    writeFile(name, `etc/machine/sysctl/${sysctl}`, `${value}\n`);
  }
  writeBaseFiles(name, nodeAddress(nodeNumber(name)));
  writeFile(name, 'etc/kubernetes/ca.crt', o.plane.ca);
  const kubeconfig = kubeconfigOf(o.plane.access(`node:${name}`));
  writeFile(name, 'etc/kubernetes/kubelet.kubeconfig', kubeconfig, 0o600);
  writeFile(name, 'etc/kubernetes/kubelet.yaml', JSON.stringify(kubeletConfiguration(name)));
  writeFile(name, 'etc/containerd/config.toml', containerdConfiguration(peers));
  for (const folder of ['etc/cni/net.d', 'etc/kubernetes/manifests']) {
    mkdirSync(join(machineRoot(name), folder), { recursive: true });
  }
  for (const plugin of NODE_PLUGINS) installPlugin(name, peers.outside(plugin));
  const path = `export PATH=${peers.path}`;
  writeServices(name, {
    containerd: `${path}\nexec containerd --config /etc/containerd/config.toml`,
    kubelet: [
      path,
      'until ctr version; do sleep 0.05; done',
      'exec kubelet --config=/etc/kubernetes/kubelet.yaml' +
        ' --kubeconfig=/etc/kubernetes/kubelet.kubeconfig' +
        ` --hostname-override=${name} --node-ip=${nodeAddress(nodeNumber(name))} --v=2`,
    ].join('\n'),
  });
}

/** Puts an executable into the node's CNI folder under `as`, replacing an older one by rename. */
export function installPlugin(name: string, source: string, as = basename(source)): void {
  const folder = join(machineRoot(name), 'opt/cni/bin');
  mkdirSync(folder, { recursive: true });
  const partial = join(folder, `.${as}.partial`);
  copyFileSync(source, partial);
  chmodSync(partial, 0o755);
  renameSync(partial, join(folder, as));
}

/**
 * Starts a configured node, or starts one again after `stopNode`: new namespaces and links, the old
 * disk.
 */
export async function startNode(
  name: string,
  o: { peers: Peers; shape: ClusterShape; signal?: AbortSignal | undefined },
): Promise<void> {
  o.signal?.throwIfAborted();
  makeNodeGroups(name);
  const connect = (pid: number): Promise<void> => connectNode(name, pid, o.shape);
  await startMachine(name, { peers: o.peers.folder, connect, signal: o.signal });
}

/** A power cut: every process ends, all namespaces, links and mounts go. The disk stays. */
export async function stopNode(name: string): Promise<void> {
  await killMachine(name);
  await removePodGroups(name);
}

/** Imports an image from an OCI layout tar into the node's containerd, once that answers. */
export async function loadImage(name: string, file: string, peers: Peers): Promise<void> {
  const ctr = peers.inside('ctr');
  const answers = async (): Promise<boolean> => {
    await runOn(name, [ctr, 'version']);
    return true;
  };
  await waitFor(`containerd on ${name}`, answers, { timeoutMs: 30_000 });
  await runOn(name, [ctr, '--namespace=k8s.io', 'images', 'import', '-'], {
    stdin: { file },
    timeoutMs: 120_000,
  });
}

/** True if the node's disk was written, whether or not it runs. */
export function isConfigured(name: string): boolean {
  return existsSync(join(machineRoot(name), 'etc/kubernetes/kubelet.yaml'));
}

/** Links: one end on a bridge of the control plane machine, the other a NIC of the node. */
async function connectNode(name: string, pid: number, shape: ClusterShape): Promise<void> {
  const number = nodeNumber(name);
  const switches = initPid(CONTROL_PLANE);
  if (switches === undefined) throw new Error('the control plane machine does not run');
  const rails = Array.from({ length: shape.rails }, (_, rail) => rail);
  await removeOldPorts(name, switches);
  const cable = (port: string, nic: string, bridge: string): string[] => [
    `link add ${port} type veth peer name ${nic} netns ${pid}`,
    `link set ${port} master ${bridge} up`,
  ];
  await ipBatch(switches, [
    ...cable(`${name}-mgmt`, 'eth0', 'mgmt'),
    ...rails.flatMap((rail) => cable(`${name}-r${rail}`, railNic(rail), `rail${rail}`)),
  ]);
  const others = Array.from({ length: shape.nodes }, (_, index) => index + 1);
  await ipBatch(pid, [
    `addr add ${nodeAddress(number)}/24 dev eth0`,
    'link set eth0 up',
    `route add default via ${API_ADDRESS}`,
    ...others
      .filter((other) => other !== number)
      .map((other) => `route add ${podBlock(other)} via ${nodeAddress(other)}`),
    ...rails.flatMap((rail) => {
      const { v4, v6 } = railAddresses(rail, number);
      const nic = railNic(rail);
      return [`addr add ${v4} dev ${nic}`, `addr add ${v6} dev ${nic} nodad`, `link set ${nic} up`];
    }),
  ]);
}

/**
 * Ports of the time before a power cut may still be there: the kernel removes a dead namespace in
 * its own time.
 */
async function removeOldPorts(name: string, switches: number): Promise<void> {
  const enter = ['nsenter', '--target', `${switches}`, '--net', '--', 'ip'];
  const links = await run([...enter, '-o', 'link', 'show']);
  const ports = [...links.matchAll(/^\d+: ([^:@]+)/gm)].map((match) => match[1] ?? '');
  const commands = ports
    .filter((port) => port.startsWith(`${name}-`))
    .map((port) => `link delete dev ${port}\n`);
  if (commands.length === 0) return;
  // One that has gone meanwhile is no failure.
  await attempt([...enter, '-force', '-batch', '-'], { stdin: commands.join('') });
}

function kubeletConfiguration(name: string): Record<string, unknown> {
  const never = { 'memory.available': '1Mi' };
  const full = ['nodefs.available', 'nodefs.inodesFree', 'imagefs.available', 'imagefs.inodesFree'];
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: '/etc/kubernetes/ca.crt' },
    },
    authorization: { mode: 'Webhook' },
    containerRuntimeEndpoint: 'unix:///run/containerd/containerd.sock',
    staticPodPath: '/etc/kubernetes/manifests',
    cgroupDriver: 'cgroupfs',
    cgroupRoot: nodeGroup(name),
    enforceNodeAllocatable: ['pods'],
    failCgroupV1: false,
    failSwapOn: false,
    oomScoreAdj: 0, // lowering it needs a right over the whole machine
    makeIPTablesUtilChains: false,
    resolvConf: '/etc/resolv.conf',
    readOnlyPort: 0,
    volumePluginDir: '/var/lib/kubelet/volumeplugins',
    maxPods: 110,
    nodeStatusUpdateFrequency: '1s', // a node that comes back is Ready at once
    // Nothing of a test may be evicted because the machine under it is small.
    evictionHard: { ...never, ...Object.fromEntries(full.map((signal) => [signal, '0%'])) },
    imageGCHighThresholdPercent: 100,
    imageGCLowThresholdPercent: 99,
  };
}

function containerdConfiguration(peers: Peers): string {
  const runtime = "plugins.'io.containerd.cri.v1.runtime'";
  return `version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
oom_score = 0

[grpc]
  address = "/run/containerd/containerd.sock"

[plugins.'io.containerd.cri.v1.images']
  snapshotter = "overlayfs"

[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "${PAUSE_IMAGE}"

[${runtime}]
  restrict_oom_score_adj = true

[${runtime}.containerd]
  default_runtime_name = "runc"

[${runtime}.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[${runtime}.containerd.runtimes.runc.options]
  BinaryName = "${peers.inside('runc')}"
  SystemdCgroup = false

[${runtime}.cni]
  bin_dirs = ["/opt/cni/bin"]
  conf_dir = "/etc/cni/net.d"
`;
}
