// Test equipment: the compiled daemon of a lab host as a process that can be stopped and started.
import { mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { hostNetns } from '../../scripts/demo/lab.ts';
import { logOf, STATE_FOLDER, socketOf, spoolOf } from '../../scripts/demo/stack.ts';
import { eventually } from '../helpers/eventually.ts';

const PROGRAM = join(import.meta.dir, '../../build/multi-nicd');
const READY_MS = 30_000;

/** A daemon that is either up and ready or not there. */
export interface DaemonProcess {
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** The daemon of this host; its journal stays between starts. */
export function daemonProcess(host: string): DaemonProcess {
  let child: Bun.Subprocess | undefined;
  return {
    start: async () => {
      mkdirSync(`${STATE_FOLDER}/${host}`, { recursive: true, mode: 0o700 });
      const log = openSync(logOf(host), 'a');
      child = Bun.spawn(['nsenter', `--net=${hostNetns(host)}`, PROGRAM], {
        env: {
          KUBECONFIG_FILE: `${STATE_FOLDER}/kubeconfig`,
          K8S_NODENAME: host,
          MULTI_NIC_SOCKET: socketOf(host),
          MULTI_NIC_SPOOL: spoolOf(host),
          MULTI_NIC_STATE: `${STATE_FOLDER}/${host}/state`,
          MULTI_NIC_INCLUDE_VIRTUAL_NICS: 'true',
        },
        stdio: ['ignore', log, log],
      });
      await eventually(
        `the daemon of ${host} is ready`,
        async () => (await fetch('http://daemon/readyz', { unix: socketOf(host) })).ok,
        READY_MS,
      );
    },
    stop: async () => {
      child?.kill('SIGTERM');
      await child?.exited;
      child = undefined;
    },
  };
}
