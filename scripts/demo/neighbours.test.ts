// What the demo says when the kernel's table of neighbours was full.
import { expect, test } from 'bun:test';
import { explainRefusals, parseNeighbourTable } from './neighbours.ts';

/** As `ip -s -json ntable show name arp_cache` prints it, shortened; rows of devices come as well. */
const printed = (fulls: number): string =>
  JSON.stringify([
    { family: 'inet', name: 'arp_cache', dev: 'eth0', refcnt: 2, queue: 101 },
    { family: 'inet', name: 'arp_cache', thresh1: 128, thresh3: 1024, table_fulls: fulls },
  ]);

test('a table that was full is named with its limit and the command that raises it', () => {
  const said = explainRefusals(parseNeighbourTable(printed(3)), parseNeighbourTable(printed(15)));
  expect(said).toContain('refused 12 neighbours');
  expect(said).toContain('keeps 1024 IPv4 neighbours');
  expect(said).toContain('sysctl -w net.ipv4.neigh.default.gc_thresh3=8192');
});

test('a table that was full long ago, or is not known, explains nothing', () => {
  const table = parseNeighbourTable(printed(3));
  expect(explainRefusals(table, table)).toBeUndefined();
  expect(explainRefusals(parseNeighbourTable('[]'), table)).toBeUndefined();
  expect(explainRefusals(table, parseNeighbourTable('{}'))).toBeUndefined();
});
