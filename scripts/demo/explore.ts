// `make demo ARGS=--keep`: a shell inside the demo, with a few commands to look around; leaving it removes everything.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Attached } from './pods.ts';
import { STATE_FOLDER, type Stack, socketOf } from './stack.ts';
import { bold, heading } from './terminal.ts';

const GET = `'${process.execPath}' '${join(import.meta.dir, 'get.ts')}'`;

/** Shell functions, so that a person types `pod pod-1a ip addr` and not the path of a namespace. */
function commands(stack: Stack): string {
  return `
pod() { local name=$1; shift; nsenter --net=/run/netns/$name "$@"; }
host() { local name=$1; shift; nsenter --net=/run/netns/$name "$@"; }
api() { ${GET} "${stack.apiUrl}$1"; }
daemon() { ${GET} "http://daemon$2" "${socketOf('$1')}"; }
logs() { tail -n 20 ${STATE_FOLDER}/$1.log; }
PS1='demo# '
`;
}

export async function openShell(stack: Stack, attached: Attached[]): Promise<void> {
  const first = attached[0]?.pod;
  heading('Explore (leave with: exit)');
  const examples = [
    [`pod ${first?.name} ip addr`, 'the interfaces of a pod'],
    [`host ${first?.host} ip route show proto 77`, 'the routes that a daemon keeps'],
    [`daemon ${first?.host} /v1/attachments`, 'what its journal holds'],
    [`daemon ${first?.host} /v1/pools`, 'its pools'],
    [`daemon ${first?.host} /metrics`, 'its metrics'],
    ['api /apis/multinic.fms.io/v1/hostinterfaces', 'objects of the API server'],
    [`logs ${first?.host}`, 'the log of a daemon; logs controller: of the controller'],
  ];
  for (const [command, meaning] of examples) console.log(`  ${bold(command ?? '')}   ${meaning}`);
  const file = `${STATE_FOLDER}/shell`;
  writeFileSync(file, commands(stack));
  const shell = Bun.spawn(['bash', '--noprofile', '--rcfile', file, '-i'], {
    stdio: ['inherit', 'inherit', 'inherit'],
  });
  await shell.exited;
}
