// How long the executable waits for the daemon, per verb. A kubelet gives a sandbox call two
// minutes by default and then kills what runs, so that everything must have been answered or undone
// well before.

/** What has a deadline. */
export type Timeouts = Readonly<Record<'ADD' | 'UNDO' | 'DEL' | 'CHECK' | 'STATUS' | 'GC', number>>;

/** Milliseconds for a whole exchange over the socket. */
export const TIMEOUTS_MS: Timeouts = {
  /**
   * An attach takes some 20 ms; what takes a minute hangs. With the undo below it stays under 90 s.
   */
  ADD: 60_000,
  /** Taking back an ADD that cannot be used. What does not work by then goes to the spool. */
  UNDO: 20_000,
  /** Then the spool takes it, and the runtime may go on. */
  DEL: 30_000,
  CHECK: 30_000,
  /** containerd asks every 5 s; a daemon that needs longer cannot serve. */
  STATUS: 4_000,
  /** Walks all attachments of the network. */
  GC: 60_000,
};
