// A journal file with one wrong bit, at places all over it: it is refused, or nothing that decides
// about an address is different. Not covered: text that no index has (UIDs, paths, reasons).
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDomainError } from '../../shared/model/errors.ts';
import type { Attachment } from './attachment.ts';
import { Journal } from './journal.ts';

const NICS = 3;
const ROWS = 60;
/** The first 100 bytes are a header of which most bits mean nothing to a reader. */
const HEADER_BYTES = 100;
const PLACES = 400;

let folder: string;
let good: Buffer;
let held: string;

const options = () => ({ directory: folder, node: 'n1', bootId: 'b', firstId: 1, waitMs: 10 });

const row = (id: number): Attachment => ({
  id,
  network: 'net',
  containerId: `container${id}`,
  ifName: 'net1',
  state: 'attached',
  external: false,
  podUid: `uid${id}`,
  podNamespace: 'default',
  podName: `pod${id}`,
  netnsPath: `/run/netns/${id}`,
  netnsId: '4:1',
  bootId: 'b',
  group: 7,
  createdAtMs: 1,
  updatedAtMs: 1,
  nics: Array.from({ length: NICS }, (_, nic) => ({
    name: `net1-${nic}`,
    master: `eth${nic}`,
    netAddress: `10.0.${nic}.0/24`,
    kind: 'macvlan' as const,
    mode: 'bridge',
    mtu: 0,
    mac: '',
    addresses: [
      { pool: `p${nic}`, index: id, family: 4 as const, address: `10.9.${nic}.${id}`, prefix: 24 },
    ],
    routes: [],
  })),
  sharedRoutes: [],
  why: {},
});

/** What decides about addresses, or that the file was refused. */
function readHeld(): string {
  try {
    using journal = Journal.open(options());
    const owners = journal.list().map(({ id, containerId, state }) => [id, containerId, state]);
    return JSON.stringify([journal.held(), journal.quarantined(), owners]);
  } catch (error) {
    if (isDomainError(error, 'journal-corrupt')) return 'refused';
    throw error;
  }
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'mnd-damage-'));
  const journal = Journal.open(options());
  const writes = Array.from({ length: ROWS }, () => journal.insert(row(journal.takeId())));
  await Promise.all(writes);
  // Closing folds the log into the file: what is wrong there is not made good by the log.
  journal[Symbol.dispose]();
  good = readFileSync(join(folder, 'journal.db'));
  held = readHeld();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('one wrong bit anywhere changes no holding in silence', () => {
  const silent: number[] = [];
  const step = (good.length - HEADER_BYTES) / PLACES;
  for (let place = 0; place < PLACES; place += 1) {
    const at = HEADER_BYTES + Math.floor(place * step);
    const bad = Buffer.from(good);
    bad[at] = (good[at] ?? 0) ^ (1 << (place % 8));
    rmSync(folder, { recursive: true });
    mkdirSync(folder, { mode: 0o700 });
    writeFileSync(join(folder, 'boot-id'), 'b');
    writeFileSync(join(folder, 'journal.db'), bad);
    const found = readHeld();
    if (found !== 'refused' && found !== held) silent.push(at);
  }
  expect(silent).toEqual([]);
});
