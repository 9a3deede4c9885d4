// What the demo shows: addresses and times per pod, the API objects, the reachability matrix, and what is left at the end.

import { hostName, interfacesIn, type LabSize } from './lab.ts';
import type { Collectable } from './objects.ts';
import { listObjects } from './objects.ts';
import type { Attached, Reachability } from './pods.ts';
import { askDaemon, type Stack } from './stack.ts';
import { dim, green, heading, red, table } from './terminal.ts';

const milliseconds = (value: number): string => `${value.toFixed(1)} ms`;

export function showAttachments(attached: Attached[]): void {
  heading('Addresses');
  const names = attached[0]?.addresses.map((a) => a.interfaceName) ?? [];
  table(
    ['POD', 'HOST', ...names, 'ADD TOOK'],
    attached.map(({ pod, addresses, addMs }) => [
      pod.name,
      pod.host,
      ...addresses.map((a) => a.address),
      milliseconds(addMs),
    ]),
  );
}

export async function showObjects(stack: Stack): Promise<void> {
  heading('API objects');
  for (const { title, header, rows } of await listObjects(stack.client))
    showRows(title, header, rows);
}

function showRows(title: string, header: string[], rows: Collectable[]): void {
  const shown = rows.slice(0, 6);
  console.log(`  ${title} (${rows.length})`);
  table(header, shown);
  if (rows.length > shown.length) console.log(dim(`  ... and ${rows.length - shown.length} more`));
  console.log('');
}

/** One matrix per NIC: rows send, columns answer. Returns whether every cell is good. */
export function showReachability(attached: Attached[], { times, refusals }: Reachability): boolean {
  const nics = attached[0]?.addresses.length ?? 0;
  let failures = 0;
  for (let nic = 0; nic < nics; nic += 1) {
    heading(
      `Reachability over ${attached[0]?.addresses[nic]?.interfaceName} (UDP echo from interface to interface, ms)`,
    );
    const rows = attached.map((from) => [
      from.pod.name,
      ...attached.map((to) => {
        if (from === to) return dim('-');
        const took = times.get(from.pod.name)?.[to.addresses[nic]?.address ?? ''];
        if (typeof took === 'number') return green(took.toFixed(2));
        failures += 1;
        return red('FAIL');
      }),
    ]);
    table(['FROM \\ TO', ...attached.map((to) => to.pod.name)], rows);
  }
  const pairs = attached.length * (attached.length - 1) * nics;
  console.log(`\n${pairs - failures} of ${pairs} connections succeeded`);
  if (failures > 0 && refusals !== undefined) console.log(red(refusals));
  return failures === 0 && pairs > 0;
}

/** Links in pods, addresses in pools, attachments in journals: each must be zero. Returns whether it is. */
export async function showLeftovers(attached: Attached[], size: LabSize): Promise<boolean> {
  const delMs = attached.map((item) => item.delMs).sort((a, b) => a - b);
  console.log(dim(`  DEL took ${milliseconds(delMs[Math.floor(delMs.length / 2)] ?? 0)} (median)`));
  let links = 0;
  for (const { pod } of attached) links += (await interfacesIn(pod)).length;
  let journal = 0;
  let taken = 0;
  for (let index = 0; index < size.hosts; index += 1) {
    const host = hostName(index);
    const { attachments } = await askDaemon<{ attachments: unknown[] }>(host, '/v1/attachments');
    journal += attachments.length;
    const { pools } = await askDaemon<{ pools: { occupied: number }[] }>(host, '/v1/pools');
    taken += pools.reduce((sum, pool) => sum + pool.occupied, 0);
  }
  heading('Left over');
  const row = (what: string, count: number): string[] => [
    what,
    count === 0 ? green('0') : red(String(count)),
  ];
  table(
    ['WHAT', 'COUNT'],
    [
      row('links in pods', links),
      row('attachments in journals', journal),
      row('addresses taken', taken),
    ],
  );
  return links + journal + taken === 0;
}
