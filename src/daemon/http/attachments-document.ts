// All attachments of a node as one JSON document, read from the journal as fast as it is taken: a
// thousand of them at once would hold up the daemon for 50 ms and keep 30 MiB.
import type { Journal } from '../journal/journal.ts';

/** Rows that are read and written as text in one go. */
const ROWS_PER_PART = 50;

/**
 * `{"node":…,"count":…,"attachments":[…]}` in parts, in the order of their making. `count` is as of
 * the beginning; a row that comes or goes meanwhile may be in the list or not.
 */
export function attachmentsDocument(node: string, journal: Journal): ReadableStream<Uint8Array> {
  const utf8 = new TextEncoder();
  const count = Object.values(journal.countStates()).reduce((sum, rows) => sum + rows, 0);
  let before = `{"node":${JSON.stringify(node)},"count":${count},"attachments":[`;
  let after = 0;
  return new ReadableStream<Uint8Array>({
    pull: (controller) => {
      const rows = journal.list({ after, limit: ROWS_PER_PART });
      const texts = rows.map((row) => JSON.stringify(row));
      const last = rows.at(-1);
      if (last === undefined) {
        controller.enqueue(utf8.encode(after === 0 ? `${before}]}` : ']}'));
        controller.close();
        return;
      }
      controller.enqueue(utf8.encode(before + texts.join(',')));
      before = ',';
      after = last.id;
    },
  });
}
