// Why a ping may have been lost on a machine with many namespaces: they all share one table of
// neighbours, and when it is full nobody new is found. For the message of a test that fails.

import { attempt } from './command.ts';
import { attemptOn } from './machine.ts';

const KERNEL_LINES_MAX = 5;

/** Neighbours by state in all namespaces of a node, as `<node's own or pods'> <state> <count>`. */
const SCRIPT = `
ip neigh show nud all | sed -E 's/.* ([A-Z]+) *$/node \\1/' | sort | uniq -c
for file in /run/netns/*; do
  nsenter --net="$file" ip neigh show nud all
done | sed -E 's/.* ([A-Z]+) *$/pods \\1/' | sort | uniq -c
`;

/** What is known, in lines of text; says so where something cannot be read. */
export async function describeNeighbours(nodes: readonly string[]): Promise<string[]> {
  const counts = nodes.map(async (node) => {
    const { stdout } = await attemptOn(node, ['sh', '-c', SCRIPT]);
    const states = stdout.trim().split(/\s*\n\s*/);
    return `neighbours of ${node}: ${states.join(', ') || 'none'}`;
  });
  return [
    ...(await Promise.all(counts)),
    `the kernel's last words on them: ${await kernelWords()}`,
  ];
}

async function kernelWords(): Promise<string> {
  const { code, stdout, stderr } = await attempt(['dmesg']);
  if (code !== 0) return stderr.trim();
  const lines = stdout.split('\n').filter((line) => /neighbou?r|arp_cache|ndisc_cache/i.test(line));
  return lines.slice(-KERNEL_LINES_MAX).join('\n') || 'none';
}
