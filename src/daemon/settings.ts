// The daemon's settings, read once from the environment with every problem named at once.
import { DomainError } from '../shared/model/errors.ts';
import {
  DAEMON_PORT,
  OPERATOR_NAMESPACE,
  SOCKET_PATH,
  SPOOL_PATH,
  STATE_PATH,
} from '../shared/model/names.ts';
import { type LogLevel, parseLogLevel } from '../shared/platform/log.ts';

/** Everything that can be set from outside. */
export interface Settings {
  readonly node: string;
  readonly kubeconfigPath: string | undefined;
  readonly hostname: string;
  readonly port: number;
  readonly socketPath: string;
  readonly stateDirectory: string;
  readonly spoolDirectory: string;
  readonly logLevel: LogLevel;
  readonly operatorNamespace: string;
  readonly quarantineMs: number;
  /** How long a start waits for the API server before it goes on with the saved plan. */
  readonly syncWaitMs: number;
  /** Shortest time between two writes of one IPPool object; see upkeep.ts. */
  readonly publishIntervalMs: number;
  /** Where sysfs of the host's network namespace is mounted. */
  readonly sysRoot: string;
  readonly includeVirtualNics: boolean;
  /** Addresses of the node in the cluster. */
  readonly nodeAddresses: readonly string[];
  /** Writes over TCP need no token. */
  readonly areWritesOpen: boolean;
  readonly faultPoint: string | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** `osHostname` stands in where K8S_NODENAME is not set. DomainError 'invalid-environment'. */
export function parseSettings(env: Environment, osHostname: string): Settings {
  const issues: string[] = [];
  const integer = (name: string, fallback: number, range: [number, number]): number => {
    const text = env[name] ?? '';
    if (text === '') return fallback;
    const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= range[0] && value <= range[1]) return value;
    issues.push(`${name} must be an integer from ${range[0]} to ${range[1]}, not ${text}`);
    return fallback;
  };
  const path = (name: string, fallback: string): string => {
    const text = env[name] ?? '';
    if (text !== '' && !text.startsWith('/')) issues.push(`${name} must be an absolute path`);
    return text === '' ? fallback : text;
  };
  const text = (name: string, fallback: string): string => env[name] || fallback;
  const settings: Settings = {
    node: text('K8S_NODENAME', osHostname),
    kubeconfigPath: env.KUBECONFIG_FILE || undefined,
    hostname: text('MULTI_NIC_HTTP_HOST', '0.0.0.0'),
    port: integer('DAEMON_PORT', DAEMON_PORT, [0, 65_535]),
    socketPath: path('MULTI_NIC_SOCKET', SOCKET_PATH),
    stateDirectory: path('MULTI_NIC_STATE', STATE_PATH),
    spoolDirectory: path('MULTI_NIC_SPOOL', SPOOL_PATH),
    logLevel: parseLogLevel(env.LOG_LEVEL),
    operatorNamespace: text('OPERATOR_NAMESPACE', OPERATOR_NAMESPACE),
    quarantineMs: 1_000 * integer('MULTI_NIC_QUARANTINE_SECONDS', 60, [0, 86_400]),
    syncWaitMs: integer('MULTI_NIC_SYNC_WAIT_MS', 1_000, [0, 3_600_000]),
    publishIntervalMs: integer('MULTI_NIC_PUBLISH_INTERVAL_MS', 1_000, [0, 3_600_000]),
    sysRoot: path('MULTI_NIC_SYS', '/sys'),
    includeVirtualNics: env.MULTI_NIC_INCLUDE_VIRTUAL_NICS === 'true',
    nodeAddresses: text('HOST_IPS', '')
      .split(',')
      .filter((address) => address !== ''),
    areWritesOpen: env.MULTI_NIC_COMPAT_WRITES === 'true',
    faultPoint: env.MULTI_NIC_FAULT_POINT || undefined,
  };
  if (settings.node === '') issues.push('K8S_NODENAME must not be empty');
  if (issues.length === 0) return settings;
  throw new DomainError('invalid-environment', issues.join('; '), { details: { issues } });
}
