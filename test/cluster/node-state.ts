// What pods leave on a node, as sorted lines: two equal lists, before and after, mean that nothing
// was left behind.

import { runOn } from './machine.ts';

/**
 * Links and addresses of the node itself, its routes and rules, named network namespaces, addresses
 * held by the default network, and the memory of the meta-plugin or Multus. The definitions that it
 * keeps for bad times are not counted, nor is whether a bridge has a carrier: it comes and goes with
 * the pods of the primary network, some 10 s late.
 */
const SCRIPT = `
ip -o link show | sed -nE 's/^[0-9]+: ([^:@]+).*/link \\1/p'
ip -o address show scope global | sed -nE 's/^[0-9]+: +([^ ]+) +inet6? ([^ ]+).*/address \\1 \\2/p'
ip -4 route show table all | sed 's/ linkdown//; s/^/route /'
ip -6 route show table main | grep -v '^fe80' | sed 's/ linkdown//; s/^/route6 /'
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

/** Lines that only one of the states has, marked + and -. */
export function compareStates(before: readonly string[], after: readonly string[]): string[] {
  return [
    ...after.filter((line) => !before.includes(line)).map((line) => `+ ${line}`),
    ...before.filter((line) => !after.includes(line)).map((line) => `- ${line}`),
  ];
}
