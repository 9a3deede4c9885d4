// Finishes what a crash or a failed undo left: attachments that were never reported, and releases
// that were begun. Runs before the daemon is ready, and again while something is left.
import type { Attachment } from '../journal/attachment.ts';
import type { AttachPorts } from './ports.ts';
import { release } from './release.ts';

/** Enough to share commits, few enough for the queue of the lock. */
const ROWS_AT_ONCE = 64;

/** What a recovery did. */
export interface Recovered {
  released: number;
  errors: unknown[];
}

/**
 * Releases every row in `intent` or `releasing`. Rows of requests under way are waited for: they
 * are `attached` or gone by then.
 */
export async function recover(ports: AttachPorts): Promise<Recovered> {
  const { journal } = ports;
  const rows = [...journal.list({ state: 'intent' }), ...journal.list({ state: 'releasing' })];
  const result: Recovered = { released: 0, errors: [] };
  const finish = async ({ id, containerId }: Attachment): Promise<void> => {
    await ports.exclusive(containerId, async () => {
      const current = journal.list({ containerId }).find((row) => row.id === id);
      if (current === undefined || current.state === 'attached') return;
      await release(ports, current, { netnsPath: '' });
      result.released += 1;
    });
  };
  for (let start = 0; start < rows.length; start += ROWS_AT_ONCE) {
    const outcomes = await Promise.allSettled(rows.slice(start, start + ROWS_AT_ONCE).map(finish));
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') result.errors.push(outcome.reason);
    }
  }
  return result;
}
