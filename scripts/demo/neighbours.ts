// The kernel's table of IPv4 neighbours, one for all namespaces of a machine: whether it was full, which is how cells of
// the matrix can fail although every link is right.
import { run } from './lab.ts';

/** What the kernel says of the table. */
export interface NeighbourTable {
  readonly entriesMax: number;
  /** How often a neighbour found no room since the machine started. */
  readonly refusals: number;
}

export async function readNeighbourTable(): Promise<NeighbourTable | undefined> {
  return parseNeighbourTable(
    await run(['ip', '-s', '-json', 'ntable', 'show', 'name', 'arp_cache']),
  );
}

/** The row that is of no device, as `ip -s -json ntable` prints it; undefined if there is none. */
export function parseNeighbourTable(text: string): NeighbourTable | undefined {
  const rows: unknown = JSON.parse(text);
  if (!Array.isArray(rows)) return undefined;
  for (const row of rows as Record<string, unknown>[]) {
    const { thresh3: entriesMax, table_fulls: refusals } = row;
    if (typeof entriesMax === 'number' && typeof refusals === 'number') {
      return { entriesMax, refusals };
    }
  }
  return undefined;
}

/** Why neighbours were refused between two readings and what to type; undefined if none was. */
export function explainRefusals(
  before: NeighbourTable | undefined,
  after: NeighbourTable | undefined,
): string | undefined {
  if (before === undefined || after === undefined) return undefined;
  const count = after.refusals - before.refusals;
  if (count <= 0) return undefined;
  return (
    `The kernel refused ${count} neighbours meanwhile: it keeps ${after.entriesMax} IPv4 neighbours for all ` +
    'namespaces of a machine together, and others fill the table. As root, outside of the demo:\n' +
    `  sysctl -w net.ipv4.neigh.default.gc_thresh3=${after.entriesMax * 8}`
  );
}
