// The CNI executable: connects `dispatch` with the process. Installed as multi-nic, multi-nic-ipam
// and aws-ipvlan; it looks at the name it was started by. Nothing it imports may import node:*,
// which would double its start time.

import { SOCKET_PATH, SPOOL_PATH } from '../shared/model/names.ts';
import { createLogger, parseLogLevel } from '../shared/platform/log.ts';
import { createDaemonClient } from './daemon-client.ts';
import { dispatch } from './dispatch.ts';
import { isOwnNetns } from './own-netns.ts';
import { programOf } from './program.ts';
import { createSpool } from './spool.ts';
import { TIMEOUTS_MS } from './timeouts.ts';

/** Put in by scripts/build.ts. */
const version = process.env.MULTI_NIC_VERSION ?? 'development';
const program = programOf(process.argv0);

async function main(): Promise<number> {
  if (process.argv[2] === '--version') {
    await Bun.write(Bun.stdout, `${program} ${version}\n`);
    return 0;
  }
  const { env } = process;
  return dispatch({
    program,
    version,
    env,
    // One byte more tells a long input from one that just fits; a stream would cost 0.6 ms more.
    stdin: (limitBytes) => Bun.stdin.slice(0, limitBytes + 1).bytes(),
    stdout: async (text) => void (await Bun.write(Bun.stdout, text)),
    stderr: (text) => console.error(text),
    daemon: createDaemonClient(env.MULTI_NIC_SOCKET || SOCKET_PATH),
    spool: createSpool(env.MULTI_NIC_SPOOL || SPOOL_PATH),
    timeoutsMs: TIMEOUTS_MS,
    loadCore: async () => (await import('../../core-wasm/index.ts')).loadCore(),
    isOwnNetns,
    log: createLogger({ component: program, level: parseLogLevel(env.MULTI_NIC_LOG_LEVEL) }),
    newRequestId: () => crypto.randomUUID(),
  });
}

process.exit(await main());
