// The CNI executable: connects `dispatch` with the process. Installed as multi-nic, multi-nic-ipam
// and aws-ipvlan; it looks at the name it was started by. Nothing it imports may import node:*,
// which would double its start time.

import { SOCKET_PATH, SPOOL_PATH } from '../shared/model/names.ts';
import { createLogger, parseLogLevel } from '../shared/platform/log.ts';
import { createDaemonClient } from './daemon-client.ts';
import { dispatch } from './dispatch.ts';
import { createHttpExchange } from './http-exchange.ts';
import { type Libc, openLibc } from './libc.ts';
import { programOf } from './program.ts';
import { createSpool } from './spool.ts';
import { createStreams } from './streams.ts';
import { TIMEOUTS_MS } from './timeouts.ts';

/** Put in by scripts/build.ts. */
const version = process.env.MULTI_NIC_VERSION ?? 'development';
const program = programOf(process.argv0);
const OWN_NETNS = '/proc/self/ns/net';

async function main(libc: Libc): Promise<number> {
  const streams = createStreams(libc);
  if (process.argv[2] === '--version') {
    streams.print(`${program} ${version}\n`);
    return 0;
  }
  const { env } = process;
  return dispatch({
    program,
    version,
    env,
    stdin: streams.readAll,
    stdout: streams.print,
    stderr: (text) => console.error(text),
    daemon: createDaemonClient({
      socketPath: env.MULTI_NIC_SOCKET || SOCKET_PATH,
      exchange: createHttpExchange(libc),
    }),
    spool: createSpool(libc, env.MULTI_NIC_SPOOL || SPOOL_PATH),
    timeoutsMs: TIMEOUTS_MS,
    loadCore: async () => (await import('../../core-wasm/index.ts')).loadCore(),
    isOwnNetns: (path) => libc.identity(path) === (libc.identity(OWN_NETNS) ?? OWN_NETNS),
    log: createLogger({ component: program, level: parseLogLevel(env.MULTI_NIC_LOG_LEVEL) }),
    newRequestId: () => crypto.randomUUID(),
  });
}

const libc = openLibc();
libc.exit(await main(libc));
