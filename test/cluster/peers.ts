// The programs that the cluster consists of: built on first use by test/peers/build.sh, mounted
// into every machine.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { run } from './command.ts';
import { STATE } from './settings.ts';

const BUILD = join(dirname(import.meta.dir), 'peers/build.sh');
const RECORD = join(STATE, 'peers.json');

/** Where the programs lie. */
export interface Peers {
  /** Folder that machines see as /peers. */
  readonly folder: string;
  /** Path of a program outside the machines. */
  outside(name: PeerName): string;
  /** Path of the same program inside a machine. */
  inside(name: PeerName): string;
  /** Value for PATH inside a machine, with all the programs. */
  readonly path: string;
}

const NAMES = [
  'etcd',
  'kube-apiserver',
  'kube-controller-manager',
  'kube-scheduler',
  'kubelet',
  'kubectl',
  'containerd',
  'containerd-shim-runc-v2',
  'ctr',
  'runc',
  'bridge',
  'host-local',
  'loopback',
  'portmap',
  'static',
  'macvlan',
  'host-device',
  'cnitool',
] as const;

/** Programs that a cluster needs. */
export type PeerName = (typeof NAMES)[number];

/** CNI plugins that every node gets into its CNI folder. */
export const NODE_PLUGINS: readonly PeerName[] = [
  'bridge',
  'host-local',
  'loopback',
  'portmap',
  'static',
  'macvlan',
  'host-device',
];

/** Builds what is missing (up to half an hour the first time) and says where everything is. */
export async function buildPeers(): Promise<Peers> {
  const output = await run([BUILD, ...NAMES], { timeoutMs: 60 * 60_000 });
  return toPeers(output.trim().split('\n'));
}

/** The programs of the cluster that is up, without asking the builder again. */
export async function findPeers(): Promise<Peers> {
  if (!existsSync(RECORD)) return buildPeers();
  const paths: unknown = JSON.parse(readFileSync(RECORD, 'utf8'));
  return Array.isArray(paths) ? toPeers(paths.map(String)) : buildPeers();
}

/** Remembers the programs for as long as the cluster is up. */
export function recordPeers(peers: Peers): void {
  writeFileSync(RECORD, JSON.stringify(NAMES.map((name) => peers.outside(name))));
}

function toPeers(paths: readonly string[]): Peers {
  const outside = (name: PeerName): string => {
    const path = paths[NAMES.indexOf(name)];
    if (path === undefined) throw new Error(`${BUILD} printed no path for ${name}`);
    return path;
  };
  const folder = dirname(dirname(outside('kubectl')));
  const inside = (name: PeerName): string => `/peers/${relative(folder, outside(name))}`;
  const folders = [...new Set(NAMES.map((name) => dirname(inside(name))))];
  const system = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
  return { folder, outside, inside, path: `${folders.join(':')}:${system}` };
}
