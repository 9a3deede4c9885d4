// The controller as a process: environment, wiring, signals. Without leadership it only waits for
// it.
import { loadCore } from '../../core-wasm/index.ts';
import { HEALTH_PORT, LEASE_NAME, OPERATOR_NAMESPACE } from '../shared/model/names.ts';
import { systemClock } from '../shared/platform/clock.ts';
import { createKubeClient } from '../shared/platform/kube/client.ts';
import { runAsLeader } from '../shared/platform/kube/leader.ts';
import { loadApiTarget } from '../shared/platform/kube/target.ts';
import { createLogger, type Logger, parseLogLevel } from '../shared/platform/log.ts';
import {
  countObjects,
  declareMetrics,
  type RunningController,
  runController,
} from './controller.ts';
import { type Health, serveHealth } from './health-server.ts';
import { Metrics } from './metrics.ts';
import { type Contact, observeClient } from './observed-client.ts';
import { CNI_BIN_HOST_PATH, type ConfigDefaults } from './plan/daemon-config.ts';

/** Put in by scripts/build.ts. */
const version = process.env.MULTI_NIC_VERSION ?? 'development';
const LEASE = { leaseDurationMs: 15_000, renewDeadlineMs: 10_000, retryPeriodMs: 2_000 };
/**
 * A candidate asks for the lease every few seconds; without an answer for so long it is of no use.
 */
const SILENCE_MS_MAX = 60_000;

interface Settings {
  readonly kubeconfigPath: string | undefined;
  readonly namespace: string;
  readonly identity: string;
  readonly healthPort: number;
  readonly defaults: ConfigDefaults;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Throws an Error that names the variable. */
function readSettings(env: Environment): Settings {
  const port = env.HEALTH_PORT || String(HEALTH_PORT);
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535) {
    throw new Error(`HEALTH_PORT is "${port}", expected a port number`);
  }
  return {
    kubeconfigPath: env.KUBECONFIG_FILE || undefined,
    namespace: env.OPERATOR_NAMESPACE || OPERATOR_NAMESPACE,
    // Two processes with one identity would both lead, so a pod's name alone is not enough.
    identity: `${env.POD_NAME || 'controller'}_${crypto.randomUUID()}`,
    healthPort: Number(port),
    defaults: {
      daemonImage: env.DAEMON_IMAGE || `multi-nic.local/daemon:${version}`,
      cniBinPath: env.CNI_BIN_PATH || CNI_BIN_HOST_PATH,
      // The two images are made together, so the daemon's is for the processor of this one.
      architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    },
  };
}

function toHealth(
  metrics: Metrics,
  contact: Contact,
  running: () => RunningController | undefined,
): Health {
  return {
    broken: () => undefined, // a broken process ends itself; what answers here is alive
    unready: () => {
      const silenceMs = contact.sinceMs();
      if (silenceMs === undefined) return 'the API server has not answered yet';
      const world = running()?.world;
      if (world !== undefined && !world.isRestored) return 'the lists are not complete yet';
      if (world === undefined && silenceMs > SILENCE_MS_MAX) return 'the API server is silent';
      return undefined;
    },
    metrics: () => {
      const world = running()?.world;
      if (world?.isRestored === true) countObjects(metrics, world);
      return metrics.format();
    },
  };
}

/** Returns the exit code. */
async function work(settings: Settings, log: Logger, signal: AbortSignal): Promise<number> {
  const { kubeconfigPath, namespace, identity, defaults } = settings;
  const clock = systemClock;
  const metrics = new Metrics();
  declareMetrics(metrics);
  const target = await loadApiTarget({ kubeconfigPath, env: process.env });
  const userAgent = `multi-nic-controller/${version}`;
  const { client, contact } = observeClient(createKubeClient(target, { userAgent }), {
    clock,
    metrics,
  });
  const core = await loadCore();
  let running: RunningController | undefined;
  const server = serveHealth(
    toHealth(metrics, contact, () => running),
    settings.healthPort,
  );
  log.info('started', { version, identity, namespace, healthPort: server.port });
  const { leaseDurationMs } = LEASE;
  const base = { client, core, namespace, leaseDurationMs, defaults, log, metrics, clock };
  try {
    const result = await runAsLeader({
      ...LEASE,
      client,
      namespace,
      name: LEASE_NAME,
      identity,
      signal,
      log,
      clock,
      run: async (leading) => {
        const onStart = (started: RunningController): void => {
          running = started;
        };
        await runController({ ...base, onStart }, leading);
      },
    });
    // A new process starts without anything that the lost term remembered.
    return result === 'lost' ? 1 : 0;
  } finally {
    await server.stop(true);
  }
}

async function main(): Promise<number> {
  const log = createLogger({
    component: 'controller',
    level: parseLogLevel(process.env.LOG_LEVEL),
  });
  const stop = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.on(name, () => {
      log.info('stopping', { signal: name });
      stop.abort(new Error(`received ${name}`));
    });
  }
  try {
    return await work(readSettings(process.env), log, stop.signal);
  } catch (error) {
    log.error('controller failed', { error });
    return 1;
  }
}

const [command] = process.argv.slice(2);
if (command === undefined) process.exit(await main());
else if (command === '--version') console.log(`multi-nic-controller ${version}`);
else {
  console.error('usage: multi-nic-controller [--version]');
  process.exit(2);
}
