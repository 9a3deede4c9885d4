// A real Kubernetes cluster on this machine, for tests and for developers:
//   bun test/cluster/main.ts up [--nodes=2] [--rails=8] | down [--force] | status | shell
//     (--has-turn: the caller has the turn, see turn.ts; --force: whoever has it)
//   bun test/cluster/main.ts exec MACHINE COMMAND...           MACHINE: n1, n2, … or control-plane
//   bun test/cluster/main.ts node stop|start|reboot MACHINE    a power cut, and back
//   bun test/cluster/main.ts restart|stop|start MACHINE SERVICE
//   bun test/cluster/main.ts load IMAGE.tar...                 imports images into every node

import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { clusterDown, currentShape, keepCluster, leftovers, waitForNodes } from './cluster.ts';
import { ownCluster } from './interrupt.ts';
import {
  enterArguments,
  machineEnvironment,
  restartService,
  runningMachines,
  startService,
  stopService,
} from './machine.ts';
import { loadImage, startNode, stopNode } from './node.ts';
import { findPeers } from './peers.ts';
import { ADMIN_ENVIRONMENT, nodeName } from './settings.ts';
import { takeTurn, tryTurn, turnHolder } from './turn.ts';

type Command = (words: string[]) => Promise<number>;

const COMMANDS: Readonly<Record<string, Command>> = {
  up,
  down,
  status,
  shell,
  exec,
  node,
  load,
  restart: ([machine = '', service = '']) => quietly(restartService(machine, service)),
  stop: ([machine = '', service = '']) => quietly(stopService(machine, service)),
  start: ([machine = '', service = '']) => quietly(startService(machine, service)),
};

async function up(words: string[]): Promise<number> {
  const number = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  const options = { nodes: number, rails: number, 'has-turn': flag };
  const { values } = parseArgs({ args: words, options });
  const shape = { nodes: Number(values.nodes ?? 2), rails: Number(values.rails ?? 8) };
  if (!(shape.nodes >= 1 && shape.nodes <= 9 && shape.rails >= 0 && shape.rails <= 16)) {
    console.error('--nodes is 1 to 9, --rails is 0 to 16');
    return 2;
  }
  const onWait = (): void => console.log('waiting: tests, a benchmark or another `up` have it');
  using _turn = values['has-turn'] === true ? undefined : await takeTurn({ onWait });
  const begin = performance.now();
  await ownCluster(shape, (message) => {
    console.log(`${((performance.now() - begin) / 1000).toFixed(1).padStart(6)} s  ${message}`);
  });
  keepCluster();
  for (const [key, value] of Object.entries(ADMIN_ENVIRONMENT)) {
    console.log(`export ${key}=${value}`);
  }
  return 0;
}

async function down(words: string[]): Promise<number> {
  const { values } = parseArgs({ args: words, options: { force: { type: 'boolean' } } });
  using turn = tryTurn();
  if (turn === undefined && values.force !== true) {
    const holder = await turnHolder();
    const who = holder === undefined ? 'another process' : `process ${holder}`;
    console.error(`${who} is at work on the cluster (tests, a benchmark or \`up\`)`);
    console.error(
      'it takes the cluster down itself; `make cluster-down ARGS=--force` does not wait',
    );
    return 1;
  }
  await clusterDown();
  const left = leftovers();
  for (const line of left) console.error(`still there: ${line}`);
  if (left.length === 0) console.log('down, and nothing is left of it');
  return left.length === 0 ? 0 : 1;
}

async function status(): Promise<number> {
  const machines = runningMachines();
  console.log(machines.length === 0 ? 'down' : `up: ${machines.join(', ')}`);
  if (machines.length === 0) return 1;
  const kubectl = (await findPeers()).outside('kubectl');
  return interactive([kubectl, 'get', 'nodes,pods', '-A', '-o', 'wide']);
}

async function shell(): Promise<number> {
  currentShape();
  const folder = dirname((await findPeers()).outside('kubectl'));
  console.log('kubectl is on the PATH; `exit` leaves this shell and the cluster goes on');
  const env = { ...process.env, PATH: `${folder}:${process.env.PATH}` };
  await interactive([process.env.SHELL ?? '/bin/sh'], env);
  return 0; // how the last command in it ended is nobody's failure
}

async function exec([machine = '', ...argv]: string[]): Promise<number> {
  const wanted = argv.length > 0 ? argv : ['/bin/sh'];
  const { path } = await findPeers();
  const env = { ...machineEnvironment(), PATH: path, TERM: process.env.TERM ?? 'dumb' };
  return interactive(enterArguments(machine, wanted), env);
}

async function node([action = '', name = '']: string[]): Promise<number> {
  const shape = currentShape();
  const peers = await findPeers();
  if (!['stop', 'start', 'reboot'].includes(action)) throw new Error(`unknown action '${action}'`);
  if (action !== 'start') await stopNode(name);
  if (action === 'stop') return 0;
  await startNode(name, { peers, shape });
  await waitForNodes([name]);
  return 0;
}

async function load(files: string[]): Promise<number> {
  const peers = await findPeers();
  const names = Array.from({ length: currentShape().nodes }, (_, index) => nodeName(index + 1));
  for (const file of files) await Promise.all(names.map((name) => loadImage(name, file, peers)));
  return 0;
}

async function quietly(work: Promise<void>): Promise<number> {
  await work;
  return 0;
}

/** Runs a program that owns the terminal. */
async function interactive(
  argv: string[],
  env: Record<string, string | undefined> = process.env,
): Promise<number> {
  const stdio: ['inherit', 'inherit', 'inherit'] = ['inherit', 'inherit', 'inherit'];
  const child = Bun.spawn(argv, { stdio, env: { ...env, ...ADMIN_ENVIRONMENT } });
  return child.exited;
}

const [name = '', ...words] = Bun.argv.slice(2);
const command = COMMANDS[name];
if (command === undefined) {
  console.error(`usage: main.ts ${Object.keys(COMMANDS).join('|')}`);
  process.exit(2);
}
try {
  process.exitCode = await command(words);
} catch (error) {
  for (let at = error; at !== undefined; at = at instanceof Error ? at.cause : undefined) {
    console.error(at instanceof Error ? at.message : String(at));
  }
  process.exitCode = 1;
}
