// The DaemonSet that a Config describes. What the Config says is honoured; what it leaves open gets
// the least rights that the daemon can work with. Applied by server-side apply as a whole.
import { DAEMON_APP, DAEMON_APP_LABEL, STATE_PATH } from '../../shared/model/names.ts';
import type { DaemonConfig, DaemonSpec } from '../../shared/model/objects/config.ts';
import { CNI_BIN_HOST_PATH, CNI_BIN_MOUNT_PATH } from './daemon-config.ts';
import { sortKeys } from './go-json.ts';

/** On the DaemonSet: which content was applied last, to see whether ours has changed. */
export const RENDERED_ANNOTATION = 'multinic.fms.io/rendered';
/** Service account of the daemon's pods; its rights are in deploy/. */
export const DAEMON_SERVICE_ACCOUNT = 'multi-nicd';
/** The program inside the daemon's image (scripts/image). */
const DAEMON_PROGRAM = '/usr/local/bin/multi-nicd';
const CNI_BIN_VOLUME = 'cni-bin';

interface HostMount {
  readonly name: string;
  readonly path: string;
  readonly hostPath: string;
  readonly type?: string;
  readonly mountPropagation?: string;
}

export interface RenderedDaemonSet {
  readonly object: Record<string, unknown>;
  /** Says which content it is; also in the object's annotation. */
  readonly rendered: string;
}

/**
 * The object to apply. Its metadata names the Config as owner, so deleting that deletes it (W-84,
 * W-87).
 */
export function renderDaemonSet(config: DaemonConfig, o: { namespace: string }): RenderedDaemonSet {
  const { daemon } = config.spec;
  const spec = {
    selector: { matchLabels: { [DAEMON_APP_LABEL]: DAEMON_APP } },
    // One node after another would take days in a large cluster; pods that run are not touched.
    updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: '10%' } },
    template: {
      metadata: { labels: { [DAEMON_APP_LABEL]: DAEMON_APP } },
      spec: renderPod(config, daemon),
    },
  };
  const hash = new Bun.CryptoHasher('sha256').update(JSON.stringify(sortKeys(spec)));
  const rendered = hash.digest('hex').slice(0, 16);
  const object = {
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata: {
      name: config.metadata.name,
      namespace: o.namespace,
      labels: { [DAEMON_APP_LABEL]: DAEMON_APP },
      annotations: { [RENDERED_ANNOTATION]: rendered },
      ownerReferences: [toOwner(config)],
    },
    spec,
  };
  return { object, rendered };
}

function toOwner(config: DaemonConfig): Record<string, unknown> {
  return {
    apiVersion: 'multinic.fms.io/v1',
    kind: 'Config',
    name: config.metadata.name,
    uid: config.metadata.uid ?? '',
    controller: true,
    blockOwnerDeletion: true,
  };
}

function renderPod(config: DaemonConfig, daemon: DaemonSpec): Record<string, unknown> {
  const mounts = hostMounts(daemon);
  const secret = daemon.imagePullSecretName ?? '';
  return {
    serviceAccountName: DAEMON_SERVICE_ACCOUNT,
    // NICs, routes and the loopback probes are those of the host.
    hostNetwork: true,
    dnsPolicy: 'ClusterFirstWithHostNet',
    priorityClassName: 'system-node-critical',
    // What the runtime filters for everybody leaves netlink and setns(2) to those with the right.
    securityContext: { seccompProfile: { type: 'RuntimeDefault' } },
    nodeSelector: { 'kubernetes.io/os': 'linux', ...daemon.nodeSelector },
    ...(daemon.tolerations === undefined ? {} : { tolerations: daemon.tolerations }),
    ...(secret === '' ? {} : { imagePullSecrets: [{ name: secret }] }),
    initContainers: [renderInstaller(daemon)],
    containers: [renderDaemon(config, daemon, mounts)],
    volumes: [...mounts, cniBinMount(daemon)].map(({ name, hostPath, type }) => ({
      name,
      hostPath: { path: hostPath, ...(type === undefined ? {} : { type }) },
    })),
  };
}

/** Puts the executables into the host's CNI directory by temporary file and rename. */
function renderInstaller(daemon: DaemonSpec): Record<string, unknown> {
  return {
    name: 'install',
    image: daemon.image,
    ...pullPolicy(daemon),
    command: [DAEMON_PROGRAM, 'install', '--to', CNI_BIN_MOUNT_PATH],
    securityContext: confineInstaller(daemon),
    resources: { requests: { cpu: '10m', memory: '32Mi' } },
    volumeMounts: [{ name: CNI_BIN_VOLUME, mountPath: CNI_BIN_MOUNT_PATH }],
  };
}

/**
 * What the Config says of the daemon's confinement (SELinux, profiles, privileged) holds for the
 * installer too; of capabilities each has its own.
 */
function confineInstaller({ securityContext = {} }: DaemonSpec): Record<string, unknown> {
  return {
    // The API server refuses both in one.
    ...(securityContext.privileged === true ? {} : confined),
    ...securityContext,
    capabilities: {
      drop: ['ALL'],
      add: [
        // Root is an ordinary user where another one owns the CNI directory: Kubespray's belongs to
        // `kube`, and one that was unpacked from an archive to whoever packed it.
        'DAC_OVERRIDE',
      ],
    },
  };
}

const confined = {
  runAsUser: 0,
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
};

function renderDaemon(
  config: DaemonConfig,
  daemon: DaemonSpec,
  mounts: readonly HostMount[],
): Record<string, unknown> {
  // The port is on the host's network, where the kubelet reaches it on the loopback interface.
  const probe = (path: string) => ({
    httpGet: { path, port: daemon.port, host: '127.0.0.1', scheme: 'HTTP' },
    timeoutSeconds: 2,
  });
  return {
    name: config.metadata.name,
    image: daemon.image,
    ...pullPolicy(daemon),
    command: [DAEMON_PROGRAM],
    env: renderEnv(config, daemon),
    ...(daemon.envFrom === undefined ? {} : { envFrom: daemon.envFrom }),
    ports: [{ name: 'http', containerPort: daemon.port, protocol: 'TCP' }],
    ...(daemon.resources === undefined ? {} : { resources: daemon.resources }),
    securityContext: daemon.securityContext ?? {
      ...confined,
      capabilities: {
        drop: ['ALL'],
        add: [
          'NET_ADMIN', // links, addresses and routes, on the host and in pods
          'SYS_ADMIN', // setns into the network namespaces of pods
        ],
      },
    },
    // Restoring the journal and the first lists may take a while; being slow is not being dead.
    startupProbe: { ...probe('/healthz'), periodSeconds: 1, failureThreshold: 120 },
    readinessProbe: { ...probe('/readyz'), periodSeconds: 5, failureThreshold: 2 },
    livenessProbe: { ...probe('/healthz'), periodSeconds: 10, failureThreshold: 6 },
    volumeMounts: mounts.map(({ name, path, mountPropagation }) => ({
      name,
      mountPath: path,
      ...(mountPropagation === undefined ? {} : { mountPropagation }),
    })),
  };
}

function pullPolicy(daemon: DaemonSpec): Record<string, unknown> {
  const policy = daemon.imagePullPolicy ?? '';
  return policy === '' ? {} : { imagePullPolicy: policy };
}

/** The Config's variables, with those that must agree with something else set from it (W-83). */
function renderEnv(config: DaemonConfig, daemon: DaemonSpec): Record<string, unknown>[] {
  const fixed: Record<string, unknown>[] = [
    { name: 'K8S_NODENAME', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } },
    { name: 'DAEMON_PORT', value: String(daemon.port) },
    // The NIC with this address carries the node's own traffic and is never handed to pods.
    { name: 'HOST_IPS', valueFrom: { fieldRef: { fieldPath: 'status.hostIP' } } },
  ];
  const names = new Set(fixed.map(({ name }) => name));
  // Of a variable that is there twice the last counts in a pod, and apply refuses it altogether.
  const own = [...new Map((daemon.env ?? []).map((one) => [one.name, one])).values()].filter(
    ({ name }) => !names.has(name),
  );
  const isVerbose = (config.spec.logLevel ?? 0) >= DEBUG_LOG_LEVEL;
  const hasLevel = own.some(({ name }) => name === 'LOG_LEVEL');
  const level = isVerbose && !hasLevel ? [{ name: 'LOG_LEVEL', value: 'debug' }] : [];
  return [...fixed, ...level, ...own];
}

/** From here up the original logged pools, routes and every requeue. */
const DEBUG_LOG_LEVEL = 5;

/** For the installer alone: the daemon executes nothing of the host. */
function cniBinMount({ mounts = [] }: DaemonSpec): HostMount {
  const configured = mounts.find(({ podpath }) => podpath === CNI_BIN_MOUNT_PATH);
  return {
    name: CNI_BIN_VOLUME,
    path: CNI_BIN_MOUNT_PATH,
    hostPath: configured?.hostpath ?? CNI_BIN_HOST_PATH,
    type: 'DirectoryOrCreate',
  };
}

/** What the daemon needs of the host, and what the Config adds under other paths. */
function hostMounts(daemon: DaemonSpec): HostMount[] {
  const configured = daemon.mounts ?? [];
  const own: HostMount[] = [
    {
      name: 'netns',
      // HostToContainer: namespaces of pods that start later must appear here.
      path: '/run/netns',
      hostPath: '/run/netns',
      type: 'DirectoryOrCreate',
      mountPropagation: 'HostToContainer',
    },
    // The socket that the executable calls, and the spool of what it could not deliver.
    { name: 'run', path: '/run/multi-nic', hostPath: '/run/multi-nic', type: 'DirectoryOrCreate' },
    // The journal: the truth about this node's addresses (design D2).
    { name: 'state', path: STATE_PATH, hostPath: STATE_PATH, type: 'DirectoryOrCreate' },
  ];
  const paths = new Set([CNI_BIN_MOUNT_PATH, ...own.map(({ path }) => path)]);
  const names = new Set([CNI_BIN_VOLUME, ...own.map(({ name }) => name)]);
  const added = configured
    .filter(({ podpath }) => !paths.has(podpath))
    .map(({ name, podpath, hostpath }) => ({
      name: names.has(name) ? `config-${name}` : name,
      path: podpath,
      hostPath: hostpath,
    }));
  return [...own, ...added];
}
