// The Config that is created where there is none, and what a Config means for networks. Only the
// one of the fixed name counts (W-84).
import { CNI_TYPE, CONFIG_NAME, DAEMON_PORT, IPAM_TYPE } from '../../shared/model/names.ts';
import type { DaemonConfig } from '../../shared/model/objects/config.ts';

/**
 * Where the daemon's pod sees the host's CNI directory: the path that the original's Configs use.
 */
export const CNI_BIN_MOUNT_PATH = '/host/opt/cni/bin';
export const CNI_BIN_HOST_PATH = '/opt/cni/bin';

export interface ConfigDefaults {
  readonly daemonImage: string;
  /** CNI directory of the hosts. */
  readonly cniBinPath: string;
  /** Processor that the image is made for, in the words of node labels. */
  readonly architecture: string;
}

/** What NADs take from the Config. */
export interface NadSettings {
  readonly cniType: string;
  readonly daemonPort: number;
}

/** The whole object, to be created if absent and never changed afterwards: it is the user's. */
export function toDefaultConfig(defaults: ConfigDefaults): DaemonConfig {
  return {
    apiVersion: 'multinic.fms.io/v1',
    kind: 'Config',
    metadata: { name: CONFIG_NAME },
    spec: {
      cniType: CNI_TYPE,
      ipamType: IPAM_TYPE,
      joinPath: '/join',
      getInterfacePath: '/interface',
      addRoutePath: '/addl3',
      deleteRoutePath: '/deletel3',
      daemon: {
        image: defaults.daemonImage,
        port: DAEMON_PORT,
        imagePullPolicy: 'IfNotPresent',
        // An image has one processor; who has one for several takes this out.
        nodeSelector: { 'kubernetes.io/arch': defaults.architecture },
        // Pods with several NICs run on tainted nodes too, and cannot start there without a daemon.
        tolerations: [{ operator: 'Exists' }],
        resources: { requests: { cpu: '100m', memory: '128Mi' } },
        mounts: [{ name: 'cnibin', podpath: CNI_BIN_MOUNT_PATH, hostpath: defaults.cniBinPath }],
      },
    },
  };
}

/** The settings of the one Config that counts, or the defaults while there is none. */
export function toNadSettings(config: DaemonConfig | undefined): NadSettings {
  return {
    cniType: config?.spec.cniType ?? CNI_TYPE,
    daemonPort: config?.spec.daemon.port ?? DAEMON_PORT,
  };
}

/** Why a Config is not rendered, or undefined when it is. */
export function refuseConfig(
  config: DaemonConfig,
): { readonly reason: string; readonly message: string } | undefined {
  const { name } = config.metadata;
  if (name !== CONFIG_NAME) {
    const message = `only the Config named ${CONFIG_NAME} is used; this one has no effect`;
    return { reason: 'NotTheOne', message };
  }
  const { image } = config.spec.daemon;
  if (ORIGINAL_IMAGE.test(image)) {
    const message = `${image} is the original's daemon and runs on; set daemon.image to ours`;
    return { reason: 'OriginalImage', message };
  }
  return undefined;
}

/** The original's image has another entry point and knows none of our arguments. */
const ORIGINAL_IMAGE = /(^|\/)multi-nic-cni-daemon([:@]|$)/;
