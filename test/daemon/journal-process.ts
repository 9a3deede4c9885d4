// Test equipment: a process that writes to a journal until it is killed or told to end. Before and
// after each write it prints a line, so that whoever killed it knows what has to be there.
//
//   held 1,2,3     what it found      try + 4   begins a write     ok + 4   it is acknowledged
import { writeSync } from 'node:fs';
import type { Attachment } from '../../src/daemon/journal/attachment.ts';
import { Journal } from '../../src/daemon/journal/journal.ts';

const WRITERS = 3;
/** Large enough for the log to be begun anew every few hundred writes. */
const TEXT_BYTES_MAX = 40_000;

const [directory = '', bootId = ''] = process.argv.slice(2);
const say = (text: string): void => {
  writeSync(1, `${text}\n`);
};

const row = (id: number): Attachment => ({
  id,
  network: 'net',
  containerId: `c${id}`,
  ifName: 'net1',
  state: 'intent',
  external: false,
  podUid: '',
  podNamespace: '',
  podName: '',
  netnsPath: '',
  netnsId: '',
  bootId,
  group: id,
  createdAtMs: 0,
  updatedAtMs: 0,
  nics: [],
  sharedRoutes: [],
  why: { text: 'x'.repeat(id % 4 === 0 ? TEXT_BYTES_MAX : 10) },
});

async function write(journal: Journal, mine: number[]): Promise<void> {
  // Three rows are added for each two that go.
  const old = mine.length > 3 ? mine.shift() : undefined;
  if (old !== undefined && old % 3 !== 0) {
    say(`try - ${old}`);
    await journal.remove(old, {});
    say(`ok - ${old}`);
    return;
  }
  const id = journal.takeId();
  say(`try + ${id}`);
  await journal.insert(row(id));
  say(`ok + ${id}`);
  await journal.update(id, { state: 'attached', updatedAtMs: 1 });
  mine.push(id);
}

const journal = Journal.open({ directory, node: 'n1', bootId, firstId: 1 });
say(`held ${journal.list().map(({ id }) => id)}`);
const stopping = new AbortController();
process.once('SIGTERM', () => stopping.abort());
const writer = async (mine: number[]): Promise<void> => {
  while (!stopping.signal.aborted) await write(journal, mine);
};
await Promise.all(Array.from({ length: WRITERS }, () => writer([])));
say('ending');
journal[Symbol.dispose]();
say('ended');
