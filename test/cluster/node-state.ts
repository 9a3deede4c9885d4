// What pods leave on a node, as sorted lines: two equal lists, before and after, mean that nothing
// was left behind.

import { runOn } from './machine.ts';

/**
 * Links and addresses of the node itself, its routes and rules, named network namespaces, addresses
 * held by the default network, and the meta-plugin's memory. The definitions that it keeps for bad
 * times are not counted.
 */
const SCRIPT = `
ip -o link show | sed -nE 's/^[0-9]+: ([^:@]+).*/link \\1/p'
ip -o address show scope global | sed -nE 's/^[0-9]+: +([^ ]+) +inet6? ([^ ]+).*/address \\1 \\2/p'
ip -4 route show table all | sed 's/^/route /'
ip -6 route show table main | grep -v '^fe80' | sed 's/^/route6 /'
ip rule show | sed 's/^/rule /'
for file in /run/netns/* /var/lib/cni/networks/*/*.*.* /var/lib/cni/results/* \\
  /var/lib/cni/test-meta/* /var/lib/cni/test-meta/results/* /run/multi-nic/spool/*; do
  case $file in */definitions | */results | */last_reserved_ip.*) continue ;; esac
  [ ! -e "$file" ] || echo "file $file"
done
`;

/** The present state of a node. */
export async function readNodeState(node: string): Promise<string[]> {
  const output = await runOn(node, ['sh', '-c', SCRIPT]);
  return [...new Set(output.trim().split('\n'))].map((line) => line.trim()).sort();
}

/** Lines that only one of the states has, marked + and -. */
export function compareStates(before: readonly string[], after: readonly string[]): string[] {
  return [
    ...after.filter((line) => !before.includes(line)).map((line) => `+ ${line}`),
    ...before.filter((line) => !after.includes(line)).map((line) => `- ${line}`),
  ];
}
