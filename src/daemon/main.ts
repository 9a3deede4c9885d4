// Program `multi-nicd`: reads the environment, connects the daemon to this machine and the API
// server, and ends it on a signal. `multi-nicd install --to DIR` only installs the executables.
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { parseArgs } from 'node:util';
import { loadCore } from '../../core-wasm/index.ts';
import { DomainError } from '../shared/model/errors.ts';
import { systemClock } from '../shared/platform/clock.ts';
import { createKubeClient } from '../shared/platform/kube/client.ts';
import { loadApiTarget } from '../shared/platform/kube/target.ts';
import { createLogger, type Logger, parseLogLevel } from '../shared/platform/log.ts';
import { createFaultPoints } from './attach/fault-points.ts';
import { Daemon } from './daemon.ts';
import { discoverInterfaces } from './hostnet/discover-interfaces.ts';
import type { HostNet } from './hostnet/host-net.ts';
import { openHostNet } from './hostnet/open-host-net.ts';
import { installExecutables } from './install.ts';
import { toDiscovery } from './inventory/nic-inventory.ts';
import { rehearse } from './rehearsal.ts';
import { parseSettings, type Settings } from './settings.ts';

/** Longest end after a signal; then the process leaves anyway, and the journal covers the rest. */
const STOP_MS_MAX = 20_000;
/** Where the image has the executables (scripts/image). */
const EXECUTABLES_PATH = '/opt/multi-nic/bin';
/** Put in by scripts/build.ts. */
const version = process.env.MULTI_NIC_VERSION ?? 'development';
const USAGE = 'usage: multi-nicd [--version | install [--from DIR] --to DIR]';

async function run(log: Logger): Promise<void> {
  const settings = parseSettings(process.env, hostname());
  const target = await loadApiTarget({
    kubeconfigPath: settings.kubeconfigPath,
    env: process.env,
  });
  // Started here, before any pod's namespace is entered: a thread that Bun starts while this one is
  // in a pod would stay there. The answer does not matter.
  await fetch('http://nobody/', { unix: `${settings.socketPath}.none` }).catch(() => undefined);
  const hostNet = openHostNet();
  const core = await loadCore();
  const daemon = await Daemon.start({
    settings,
    client: createKubeClient(target, { userAgent: 'multi-nicd' }),
    hostNet,
    core,
    clock: systemClock,
    log,
    faults: createFaultPoints({
      active: settings.faultPoint,
      kill: () => process.kill(process.pid, 'SIGKILL'),
    }),
    bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
    discover: () => discover(hostNet, settings),
  });
  const stopping = new AbortController();
  const end = (code: 0 | 1): void => {
    stopping.abort();
    setTimeout(() => process.exit(1), STOP_MS_MAX).unref();
    daemon.stop().then(
      () => process.exit(code),
      (error) => fail(log, error),
    );
  };
  for (const signal of ['SIGTERM', 'SIGINT']) {
    process.once(signal, () => {
      log.info('stopping', { signal });
      end(0);
    });
  }
  daemon.ready
    .then(() => rehearse({ core, hostNet, clock: systemClock }, stopping.signal))
    .then((rounds) => log.debug('rehearsed', { rounds }))
    .catch((error: unknown) => {
      if (!stopping.signal.aborted) log.error('rehearsal failed', { error });
    });
  daemon.failed.then(
    (error) => {
      log.error('the journal could not be synced, stopping', { error });
      end(1);
    },
    (error: unknown) => fail(log, error),
  );
}

function discover(hostNet: HostNet, settings: Settings) {
  const { sysRoot, nodeAddresses, includeVirtualNics } = settings;
  return toDiscovery(
    discoverInterfaces({ hostNet, sysRoot, nodeAddresses, includeVirtual: includeVirtualNics }),
  );
}

async function install(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      from: { type: 'string', default: EXECUTABLES_PATH },
      to: { type: 'string', default: '' },
    },
  });
  if (values.to === '') throw new DomainError('invalid-environment', USAGE);
  const installed = await installExecutables(values);
  log.info('installed', { installed });
}

function fail(log: Logger, error: unknown): void {
  const stack = error instanceof Error && !(error instanceof DomainError) ? error.stack : undefined;
  log.error('the daemon cannot go on', { error, ...(stack === undefined ? {} : { stack }) });
  process.exit(1);
}

const log = createLogger({ component: 'multi-nicd', level: parseLogLevel(process.env.LOG_LEVEL) });
process.on('uncaughtException', (error) => fail(log, error));
process.on('unhandledRejection', (error) => fail(log, error));
const [command, ...options] = process.argv.slice(2);
if (command === '--version') console.log(`multi-nicd ${version}`);
else if (command === undefined) run(log).catch((error: unknown) => fail(log, error));
else if (command === 'install') install(options).catch((error: unknown) => fail(log, error));
else {
  console.error(USAGE);
  process.exit(2);
}
