// What pods and networks leave on nodes while others live on: a namespace, a link, an address or a
// record is in its place only as long as a sandbox of the runtime stands behind it, and a route of
// ours only as long as a network wants it.

import { waitFor } from './command.ts';
import { runOn } from './machine.ts';
import { compareStates, readNodeState } from './node-state.ts';

/** The last traces of a pod go some seconds after it, and those of a failed attempt with a retry. */
const TIDY_MS = 60_000;

/** Lines of a node's state that come and go with pods and networks; they are counted here. */
const CHANGING = /^(link veth|file )|\bproto 77\b/;

/**
 * One line each, `<kind> <value>`. A sandbox is seen twice, by the network namespaces that processes
 * live in and by the process that the runtime has for it. Host-network pods have only the second.
 */
const SCRIPT = `
own=$(readlink /proc/1/ns/net)
readlink /proc/[0-9]*/ns/net 2>/dev/null | sort -u | grep -vxF "$own" |
  sed -nE 's/^net:\\[([0-9]+)\\]$/inhabited \\1/p'
stat -L -c 'named %i' /run/netns/* 2>/dev/null
cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n' | grep -A1 -xF -e -id |
  sed -nE 's/^([0-9a-f]{64})$/sandbox \\1/p'
ip -o link show type veth | sed -nE 's/^[0-9]+: (veth[^:@]*).*/veth \\1/p'
for kind in macvlan ipvlan; do
  ip -o link show type $kind 2>/dev/null | sed -nE 's/^[0-9]+: ([^:@]+).*/stray \\1/p'
done
for family in -4 -6; do ip $family route show table all proto 77 | sed 's/^/route /'; done
ls -A /run/multi-nic/spool 2>/dev/null | sed 's/^/spool /'
grep -ohE '^[0-9a-f]{64}' /var/lib/cni/networks/*/*.*.*.* 2>/dev/null | sed 's/^/lease /'
find /var/lib/cni -path /var/lib/cni/networks -prune -o -type f -print |
  sed -nE 's/.*[^0-9a-f]([0-9a-f]{64}).*/memory \\1/p' | sort -u
`;

/** State of every node before there were any pods, to compare with. */
export type NodeStates = ReadonlyMap<string, readonly string[]>;

/** The present state of nodes. */
export async function readNodeStates(nodes: readonly string[]): Promise<NodeStates> {
  const read = nodes.map(async (node) => [node, await readNodeState(node)] as const);
  return new Map(await Promise.all(read));
}

/**
 * Waits until each node has `routes` routes of ours and nothing without a sandbox, and is otherwise
 * as it was before; throws with what is too much or missing.
 */
export async function waitForTidyNodes(before: NodeStates, o: { routes: number }): Promise<void> {
  let last: string[] = [];
  const tidy = async (): Promise<boolean> => {
    const found = [...before].map(async ([node, state]) => {
      const lines = [...(await findTraces(node, o)), ...(await findChanges(node, state))];
      return lines.map((line) => `${node}: ${line}`);
    });
    last = (await Promise.all(found)).flat();
    return last.length === 0;
  };
  try {
    await waitFor('nodes without leftovers', tidy, { timeoutMs: TIDY_MS, everyMs: 300 });
  } catch (error) {
    throw new Error(`left on nodes:\n${last.join('\n')}`, { cause: error });
  }
}

/** Routes of ours on a node. */
export async function readOurRoutes(node: string): Promise<string[]> {
  return (await readTraces(node))('route');
}

async function findChanges(node: string, before: readonly string[]): Promise<string[]> {
  const steady = (lines: readonly string[]): string[] =>
    lines.filter((line) => !CHANGING.test(line));
  return compareStates(steady(before), steady(await readNodeState(node)));
}

async function findTraces(node: string, o: { routes: number }): Promise<string[]> {
  const of = await readTraces(node);
  const [inhabited, sandboxes] = [new Set(of('inhabited')), new Set(of('sandbox'))];
  const named = new Set(of('named'));
  const count = (what: string, actual: number, wanted: number): string[] =>
    actual === wanted ? [] : [`${actual} ${what}, expected ${wanted}`];
  return [
    ...[...named.difference(inhabited)].map((inode) => `namespace ${inode} without a process`),
    ...[...inhabited.difference(named)].map((inode) => `namespace ${inode} without a name`),
    ...count('links of the default network', of('veth').length, inhabited.size),
    ...count('addresses of the default network', of('lease').length, inhabited.size),
    ...['lease', 'memory'].flatMap((kind) =>
      of(kind)
        .filter((id) => !sandboxes.has(id))
        .map((id) => `${kind} of ${id}, which has no sandbox`),
    ),
    ...of('stray').map((link) => `link ${link} in the node's own namespace`),
    ...of('spool').map((file) => `${file} in the spool`),
    ...count(`routes of ours (${of('route').join('; ')})`, of('route').length, o.routes),
  ];
}

async function readTraces(node: string): Promise<(kind: string) => string[]> {
  const lines = (await runOn(node, ['sh', '-c', SCRIPT])).split('\n');
  return (kind) =>
    lines
      .filter((line) => line.startsWith(`${kind} `))
      .map((line) => line.slice(kind.length + 1).trim());
}
