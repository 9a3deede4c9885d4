// Compares the four places that know who has which address: the daemons' journals, the IPPool
// objects, the links in the pods, and the pods themselves. Any difference is a line of text.

import { at, listAt, textAt } from './api.ts';
import { waitFor } from './command.ts';
import { initPid, runOn } from './machine.ts';
import { nodeNames, readPools } from './product.ts';

/**
 * Publishing takes about a second; what failed while the API server was away is tried again after up
 * to 30 s.
 */
const AGREE_MS = 45_000;

/** One address that somebody holds, as a line: pool, address, pod. */
type Claim = string;

/**
 * Waits until all nodes agree (publishing takes about a second), or throws with what is different.
 */
export async function waitForConsistency(o: { attachments?: number } = {}): Promise<void> {
  let last: string[] = [];
  const agree = async (): Promise<boolean> => {
    last = await findDifferences(o);
    return last.length === 0;
  };
  try {
    await waitFor('agreement of journals, pools and links', agree, {
      timeoutMs: AGREE_MS,
      everyMs: 300,
    });
  } catch (error) {
    throw new Error(`the nodes disagree:\n${last.join('\n')}`, { cause: error });
  }
}

/** What does not agree now. */
async function findDifferences(o: { attachments?: number }): Promise<string[]> {
  const pools = await readPools();
  const perNode = await Promise.all(nodeNames().map((node) => compareNode(node, pools)));
  const count = perNode.reduce((sum, node) => sum + node.attachments, 0);
  const differences = perNode.flatMap((node) => node.differences);
  if (o.attachments !== undefined && o.attachments !== count) {
    differences.push(`${count} attachments in the journals, expected ${o.attachments}`);
  }
  return differences;
}

async function compareNode(
  node: string,
  pools: readonly unknown[],
): Promise<{ attachments: number; differences: string[] }> {
  const rows = await readJournal(node);
  const unsettled = rows
    .filter((row) => at(row, 'state') !== 'attached')
    .map((row) => `${node}: ${textAt(row, 'podName')} is ${textAt(row, 'state')}`);
  const inJournal = new Set(rows.flatMap(claimsOf));
  const published = new Set(
    pools.filter((pool) => at(pool, 'spec', 'hostName') === node).flatMap(allocationsOf),
  );
  const inPods = await linksOfPods(node);
  const inRows = new Set(rows.flatMap(linksOf));
  return {
    attachments: rows.length,
    differences: [
      ...unsettled,
      ...difference(`${node}: only in the journal`, inJournal, published),
      ...difference(`${node}: only in the IPPools`, published, inJournal),
      ...difference(`${node}: in the journal without a link`, inRows, inPods),
      ...difference(`${node}: link without a row`, inPods, inRows),
    ],
  };
}

/** The attachments that a node's daemon knows of, over its socket. */
export async function readJournal(node: string): Promise<unknown[]> {
  const unix = `/proc/${initPid(node)}/root/run/multi-nic/daemon.sock`;
  const response = await fetch('http://daemon/v1/attachments', {
    unix,
    signal: AbortSignal.timeout(5000),
  });
  return listAt(await response.json(), 'attachments');
}

function claimsOf(row: unknown): Claim[] {
  const pod = `${textAt(row, 'podNamespace')}/${textAt(row, 'podName')}`;
  return listAt(row, 'nics').flatMap((nic) =>
    listAt(nic, 'addresses').map(
      (held) => `${textAt(held, 'pool')} ${textAt(held, 'address')} ${pod}`,
    ),
  );
}

function allocationsOf(pool: unknown): Claim[] {
  const name = textAt(pool, 'metadata', 'name');
  return listAt(pool, 'spec', 'allocations').map(
    (held) =>
      `${name} ${textAt(held, 'address')} ${textAt(held, 'namespace')}/${textAt(held, 'pod')}`,
  );
}

/** `<namespace file> <link>` of every link that a row speaks of. */
function linksOf(row: unknown): string[] {
  const file = textAt(row, 'netnsPath').split('/').at(-1) ?? '';
  return listAt(row, 'nics').map((nic) => `${file} ${textAt(nic, 'name')}`);
}

/**
 * The same for the links that are there: macvlan and ipvlan ones in any named network namespace of
 * the node.
 */
async function linksOfPods(node: string): Promise<Set<string>> {
  const script = `
for file in /run/netns/*; do
  [ -e "$file" ] || continue
  for kind in macvlan ipvlan; do
    nsenter --net="$file" ip -o link show type $kind 2>/dev/null |
      sed -nE "s#^[0-9]+: ([^:@]+).*#$(basename "$file") \\1#p"
  done
done`;
  const output = await runOn(node, ['sh', '-c', script]);
  return new Set(output.split('\n').filter((line) => line !== ''));
}

function difference(what: string, one: ReadonlySet<string>, other: ReadonlySet<string>): string[] {
  return [...one].filter((line) => !other.has(line)).map((line) => `${what}: ${line}`);
}
