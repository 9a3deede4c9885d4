// What pods leave on a node, as sorted lines: two equal lists, before and after, mean that nothing
// was left behind.

import { waitFor } from './command.ts';
import { runOn } from './machine.ts';

/** The last traces of a pod go some seconds after the pod itself, more on a busy machine. */
const SETTLED_MS = 30_000;

/** The bridge of the default network and its routes come with the first pod of a node and stay. */
const STAYS = /^(link cni0$|address cni0 |route6? .*\bdev cni0\b)/;

/**
 * Links and addresses of the node itself, its routes and rules, named network namespaces, addresses
 * held by the default network, and the memory of the meta-plugin or Multus. The definitions that it
 * keeps for bad times are not counted.
 */
const SCRIPT = `
ip -o link show | sed -nE 's/^[0-9]+: ([^:@]+).*/link \\1/p'
ip -o address show scope global | sed -nE 's/^[0-9]+: +([^ ]+) +inet6? ([^ ]+).*/address \\1 \\2/p'
ip -4 route show table all | sed 's/^/route /'
ip -6 route show table main | grep -v '^fe80' | sed 's/^/route6 /'
ip rule show | sed 's/^/rule /'
memory='/var/lib/cni /var/lib/cni/test-meta /var/lib/cni/multus'
for file in /run/netns/* /run/multi-nic/spool/* /var/lib/cni/networks/*/*.*.* \\
  $(for folder in $memory; do ls -d $folder/results/* $folder/*; done 2>/dev/null); do
  case $file in */definitions | */last_reserved_ip.*) continue ;; esac
  case $file in */results | /var/lib/cni/networks | */test-meta | */multus) continue ;; esac
  [ ! -e "$file" ] || echo "file $file"
done
`;

/** The present state of a node. */
export async function readNodeState(node: string): Promise<string[]> {
  const output = await runOn(node, ['sh', '-c', SCRIPT]);
  return [...new Set(output.trim().split('\n'))].map((line) => line.trim()).sort();
}

/** Waits until a node is as it was; throws with the lines that only one of the states has. */
export async function waitForNodeState(node: string, before: readonly string[]): Promise<void> {
  let left: string[] = [];
  const settled = async (): Promise<boolean> => {
    left = compareStates(before, await readNodeState(node));
    return left.length === 0;
  };
  try {
    const what = `${node} as it was`;
    await waitFor(what, settled, { timeoutMs: SETTLED_MS, everyMs: 200 });
  } catch (error) {
    throw new Error(`${node} is not as it was:\n${left.join('\n')}`, { cause: error });
  }
}

/** What only one of the states has, marked + for the later and - for the earlier. */
export function compareStates(before: readonly string[], after: readonly string[]): string[] {
  const others = (one: readonly string[], other: readonly string[]): string[] =>
    one.filter((line) => !other.includes(line) && !STAYS.test(line));
  return [
    ...others(after, before).map((line) => `+ ${line}`),
    ...others(before, after).map((line) => `- ${line}`),
  ];
}
