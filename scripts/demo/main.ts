// `make demo`: starts the demo in namespaces of its own, so that it needs no root where unprivileged user namespaces
// are allowed and leaves nothing behind: when its first process ends, the kernel removes all it made.
import { join } from 'node:path';

const usage = `usage: make demo [ARGS="OPTION..."]
  --keep           leave it up after the run and open a shell to explore it
  --hosts N        hosts to start (2 to 8, default 3)
  --nics N         NICs per host (1 to 16, default 4)
  --pods N         pods per host (1 to 8, default 2)
  --wait S         seconds to wait for each step (default 30)`;

/** The namespaces of the demo; the user namespace is left out when only root may make one. */
function isolation(withUser: boolean): string[] {
  const user = withUser ? ['--user', '--map-root-user'] : [];
  return [
    'unshare',
    ...user,
    '--net',
    '--mount',
    '--pid',
    '--fork',
    '--kill-child',
    '--mount-proc',
  ];
}

/** What ends the demo, and the exit code that a shell would see of a process it ended. */
const signalCodes = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 };

function allowed(command: string[]): boolean {
  return Bun.spawnSync([...command, 'true'], { stdio: ['ignore', 'ignore', 'ignore'] }).success;
}

async function run(): Promise<number> {
  const options = Bun.argv.slice(2);
  if (options.includes('--help')) {
    console.log(usage);
    return 0;
  }
  const command = [isolation(true), isolation(false)].find(allowed);
  if (command === undefined) {
    console.error(
      'the demo needs a network and a mount namespace of its own, and the kernel refused both ways:\n' +
        '  run it as root, or allow unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1)',
    );
    return 1;
  }
  const child = Bun.spawn(
    [...command, process.execPath, join(import.meta.dir, 'inside.ts'), ...options],
    {
      stdio: ['inherit', 'inherit', 'inherit'],
    },
  );
  // unshare ignores what asks it to end. Killed, it takes the first process of the namespaces with it, and the kernel
  // removes all that was in them.
  let ended: number | undefined;
  for (const [signal, code] of Object.entries(signalCodes)) {
    process.on(signal, () => {
      ended = code;
      child.kill('SIGKILL');
    });
  }
  const code = await child.exited;
  return ended ?? code;
}

process.exit(await run());
