// The attachments of a node as JSON documents, read from the journal as fast as they are taken: a
// thousand of them at once would hold up the daemon for 50 ms and keep 30 MiB.
import type { Journal } from '../journal/journal.ts';

/** Rows that are read and written as text in one go. */
const ROWS_PER_PART = 50;
/** Rows of one document. */
const ROWS_MAX = 1_000;

/**
 * `{"node":…,"count":…,"attachments":[…]}` in parts, in the order of their making, from the first
 * one behind the id `after`. `count` is that of all, as of the beginning; a row that comes or goes
 * meanwhile may be in the list or not. `"next":…` follows if there are more: the `after` to go on.
 */
export function attachmentsDocument(
  journal: Journal,
  o: { node: string; after: number },
): ReadableStream<Uint8Array> {
  const utf8 = new TextEncoder();
  const count = Object.values(journal.countStates()).reduce((sum, rows) => sum + rows, 0);
  let before = `{"node":${JSON.stringify(o.node)},"count":${count},"attachments":[`;
  let { after } = o;
  let shown = 0;
  return new ReadableStream<Uint8Array>({
    pull: (controller) => {
      const limit = Math.min(ROWS_PER_PART, ROWS_MAX - shown);
      const rows = journal.list({ after, limit: Math.max(limit, 1) });
      const last = rows.at(-1);
      if (last === undefined || limit === 0) {
        const next = last === undefined ? '' : `,"next":${after}`;
        controller.enqueue(utf8.encode(`${shown === 0 ? before : ''}]${next}}`));
        controller.close();
        return;
      }
      controller.enqueue(utf8.encode(before + rows.map((row) => JSON.stringify(row)).join(',')));
      before = ',';
      after = last.id;
      shown += rows.length;
    },
  });
}
