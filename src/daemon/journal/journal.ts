// The journal: this node's record of attachments, addresses and plans. It decides nothing.
import { Database, type Statement } from 'bun:sqlite';
import { DomainError } from '../../shared/model/errors.ts';
import type {
  Attachment,
  AttachmentBody,
  AttachmentKey,
  AttachmentState,
  PoolAllocation,
  QuarantinedAddress,
} from './attachment.ts';
import { type CommitCount, uncounted } from './commit-count.ts';
import { corrupt } from './corrupt.ts';
import { type CommitCounts, GroupCommit, type JournalWrite } from './group-commit.ts';
import { type LogFile, LogSync, openLogFile, type SyncPoint } from './log-sync.ts';
import { closeDatabase, openDatabase } from './open.ts';
import { type PlanKind, putPlan, readPlans, replacePlans } from './plan-rows.ts';
import { insertAttachment, type Row, toAttachment, toBody } from './rows.ts';
import { createTables } from './schema.ts';

/** An address that a pool must not give: held by an attachment. */
export interface HeldIndex {
  readonly network: string;
  readonly pool: string;
  readonly index: number;
  readonly address: string;
}

/** What tells whether an attachment is still alive. */
export type Sandbox = Pick<
  Attachment,
  | keyof AttachmentKey
  | 'id'
  | 'state'
  | 'external'
  | 'podUid'
  | 'podNamespace'
  | 'podName'
  | 'netnsPath'
  | 'netnsId'
  | 'bootId'
>;

/** Durable state of one node. Opened once per process. */
export class Journal implements Disposable {
  /** There was none before; see the adoption mark. */
  readonly isNew: boolean;
  readonly path: string;
  readonly #db: Database;
  readonly #log: LogSync;
  readonly #count: CommitCount | undefined;
  readonly #commits: GroupCommit;
  readonly #stateOf: Statement<{ state: AttachmentState }, [string, string, string]>;
  #lastId: number;
  #isDisposed = false;
  #onInsert: (attachment: Attachment) => void = () => undefined;
  #isAlone: () => boolean = () => false;

  private constructor(o: {
    db: Database;
    path: string;
    isNew: boolean;
    log: LogSync;
    count?: CommitCount;
  }) {
    this.#db = o.db;
    this.path = o.path;
    this.isNew = o.isNew;
    this.#log = o.log;
    this.#commits = new GroupCommit(o.db, { log: o.log, counter: o.count ?? uncounted });
    this.#count = o.count;
    this.#stateOf = o.db.query(
      'SELECT state FROM attachments WHERE network = ? AND container_id = ? AND if_name = ?',
    );
    const row = o.db
      .query<{ seq: number }, []>("SELECT seq FROM sqlite_sequence WHERE name = 'attachments'")
      .get();
    this.#lastId = row?.seq ?? 0;
  }

  /** See `openDatabase` for the errors. `openLog` opens the write-ahead log for syncing it. */
  static open(
    o: Parameters<typeof openDatabase>[0] & { openLog?: (path: string) => LogFile },
  ): Journal {
    const opened = openDatabase(o);
    const log = new LogSync((o.openLog ?? openLogFile)(`${opened.path}-wal`));
    return new Journal({ ...opened, log });
  }

  /** A journal of nothing that ends with the process. */
  static inMemory(): Journal {
    const db = new Database(':memory:', { strict: true });
    createTables(db, { node: '', firstId: 1 });
    const log = new LogSync({ sync: (done) => done(null), close: () => undefined });
    return new Journal({ db, path: ':memory:', isNew: true, log });
  }

  [Symbol.dispose](): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    this.#commits.flush();
    this.#log[Symbol.dispose]();
    // Closing would fold a log into the file of which the kernel may have lost pages.
    if (this.#log.failure === undefined) closeDatabase(this.#db, this.#count);
    this.#count?.[Symbol.dispose]();
  }

  get counts(): Readonly<CommitCounts & { syncs: number }> {
    return { ...this.#commits.counts, syncs: this.#log.count };
  }

  /**
   * Resolves with the reason when the log could not be synced: every write is refused from then on,
   * and the process has to end, because only opening the file anew checks what is in it.
   */
  get failed(): Promise<Error> {
    return this.#log.failed;
  }

  /** Tells when no other operation can have a write to share a commit with. */
  commitAtOnceWhen(isAlone: () => boolean): void {
    this.#isAlone = isAlone;
  }

  /**
   * Tells of each attachment while it is written; whoever hears of it asks `find` before relying on
   * it, because the write may still fail.
   */
  tellOfInserts(listener: (attachment: Attachment) => void): void {
    this.#onInsert = listener;
  }

  /** An attachment id that was never given before. */
  takeId(): number {
    this.#lastId += 1;
    return this.#lastId;
  }

  find(key: AttachmentKey): Attachment | undefined {
    return this.#read('WHERE network = ? AND container_id = ? AND if_name = ?', [
      key.network,
      key.containerId,
      key.ifName,
    ])[0];
  }

  /** The state of an attachment, if there is one. */
  stateOf({ network, containerId, ifName }: AttachmentKey): AttachmentState | undefined {
    return this.#stateOf.get(network, containerId, ifName)?.state;
  }

  /**
   * All attachments, or those that fit every given member, by id. `after` is an id; `limit` is how
   * many there are at most.
   */
  list(
    o: {
      state?: AttachmentState;
      network?: string;
      containerId?: string;
      pod?: { namespace: string; name: string };
      after?: number;
      limit?: number;
    } = {},
  ): Attachment[] {
    const terms: [string, string | number][] = [];
    if (o.state !== undefined) terms.push(['state = ?', o.state]);
    if (o.network !== undefined) terms.push(['network = ?', o.network]);
    if (o.containerId !== undefined) terms.push(['container_id = ?', o.containerId]);
    if (o.pod !== undefined) {
      terms.push(['pod_namespace = ?', o.pod.namespace], ['pod_name = ?', o.pod.name]);
    }
    if (o.after !== undefined) terms.push(['id > ?', o.after]);
    const where = terms.length === 0 ? '' : `WHERE ${terms.map(([term]) => term).join(' AND ')}`;
    const values = terms.map(([, value]) => value);
    return this.#read(where, values, o.limit);
  }

  /** All attachments without what is in their bodies, which is most of them. */
  sandboxes(): Sandbox[] {
    return this.#db
      .query<Omit<Sandbox, 'external'> & { external: number }, []>(
        `SELECT id, network, container_id AS containerId, if_name AS ifName, state, external,
           pod_uid AS podUid, pod_namespace AS podNamespace, pod_name AS podName,
           netns_path AS netnsPath, netns_id AS netnsId, boot_id AS bootId
         FROM attachments ORDER BY id`,
      )
      .all()
      .map((row) => ({ ...row, external: row.external === 1 }));
  }

  /** Number of attachments by state. */
  countStates(): Record<AttachmentState, number> {
    const counts = { intent: 0, attached: 0, releasing: 0 };
    for (const row of this.#db
      .query<{ state: AttachmentState; n: number }, []>(
        'SELECT state, count(*) AS n FROM attachments GROUP BY state',
      )
      .all()) {
      counts[row.state] = row.n;
    }
    return counts;
  }

  /** Every held address, by pool. */
  held(): HeldIndex[] {
    return this.#db
      .query<HeldIndex, []>(
        `SELECT network, pool, idx AS "index", address FROM addresses
         WHERE attachment_id IS NOT NULL ORDER BY pool, idx`,
      )
      .all();
  }

  /** Every quarantined address, the one that becomes free first before the others. */
  quarantined(): QuarantinedAddress[] {
    return this.#db
      .query<QuarantinedAddress, []>(
        `SELECT network, address, pool, idx AS "index", quarantined_until AS untilMs
         FROM addresses WHERE quarantined_until IS NOT NULL ORDER BY quarantined_until`,
      )
      .all();
  }

  /** What a published pool lists, by index. Links that are being removed still hold theirs. */
  allocationsOf(pool: string): PoolAllocation[] {
    return this.#db
      .query<PoolAllocation, [string]>(
        `SELECT a.idx AS "index", a.address, t.pod_name AS podName,
           t.pod_namespace AS podNamespace, t.pod_uid AS podUid,
           t.container_id AS containerId, t.if_name AS ifName
         FROM addresses AS a JOIN attachments AS t ON t.id = a.attachment_id
         WHERE a.pool = ? ORDER BY a.idx`,
      )
      .all(pool);
  }

  /**
   * Records an attachment with all its addresses, on the disk. DomainError 'conflict' if one is
   * held already.
   */
  insert(attachment: Attachment): Promise<void> {
    return this.#write((db) => this.#insert(db, attachment));
  }

  /**
   * As `insert`, but resolves as soon as the end of this process cannot undo it any more. Nobody is
   * to be told of the attachment before `onDisk` of the point that comes back.
   */
  record(attachment: Attachment): Promise<SyncPoint> {
    return this.#commit((db) => this.#insert(db, attachment), true);
  }

  /** Resolves when `point` is on the disk; without one, when everything is that has to be. */
  async onDisk(point?: SyncPoint): Promise<void> {
    try {
      await this.#log.reached(point);
    } catch (cause) {
      throw this.#refusal(cause);
    }
  }

  /**
   * Records what a pool's published object says about addresses in use, together with the pool's
   * plan: from then on the journal is the one to ask about that pool.
   */
  adoptPool(o: { name: string; body: unknown; attachments: readonly Attachment[] }): Promise<void> {
    return this.#write((db) => {
      for (const attachment of o.attachments) this.#insert(db, attachment);
      putPlan(db, { kind: 'pool', name: o.name, body: o.body });
    });
  }

  /**
   * Moves a row to `state`; `body` replaces what it says about links. Not brought to the disk: a
   * power cut ends the pod as well, and the row of an earlier boot is released whatever it says.
   */
  update(
    id: number,
    o: { state: AttachmentState; updatedAtMs: number; body?: AttachmentBody },
  ): Promise<void> {
    const write: JournalWrite = (db) => {
      const body = o.body === undefined ? null : toBody(o.body);
      db.query(
        'UPDATE attachments SET state = ?, updated_at = ?, body = coalesce(?, body) WHERE id = ?',
      ).run(o.state, o.updatedAtMs, body, id);
    };
    return this.#write(write, false);
  }

  /** Removes a row. Its addresses are quarantined until `untilMs`, or free at once without it. */
  remove(id: number, o: { untilMs?: number }): Promise<void> {
    return this.#write((db) => {
      if (o.untilMs === undefined) {
        db.query('DELETE FROM addresses WHERE attachment_id = ?').run(id);
      } else {
        db.query(
          `UPDATE addresses SET quarantined_until = ?, attachment_id = NULL
           WHERE attachment_id = ?`,
        ).run(o.untilMs, id);
      }
      db.query('DELETE FROM attachments WHERE id = ?').run(id);
    });
  }

  /**
   * Frees quarantined addresses; held ones stay as they are. Not brought to the disk: after a power
   * cut their time is over as well.
   */
  endQuarantine(addresses: readonly { network: string; address: string }[]): Promise<void> {
    const write: JournalWrite = (db) => {
      const free = db.query(
        'DELETE FROM addresses WHERE network = ? AND address = ? AND attachment_id IS NULL',
      );
      for (const { network, address } of addresses) free.run(network, address);
    };
    return this.#write(write, false);
  }

  /** The plans of one kind, by name: JSON values for the caller to check. */
  plans(kind: PlanKind): Map<string, unknown> {
    return readPlans(this.#db, kind);
  }

  /**
   * The plans of one kind as `parse` reads them. DomainError 'journal-corrupt' if it throws: what
   * is wrong in one row may be wrong in others, of which nothing can tell.
   */
  parsePlans<T>(kind: PlanKind, parse: (body: unknown) => T): Map<string, T> {
    const parsed = new Map<string, T>();
    for (const [name, body] of this.plans(kind)) {
      try {
        parsed.set(name, parse(body));
      } catch (cause) {
        throw corrupt(this.path, `its plan of ${kind} ${name} has another shape`, cause);
      }
    }
    return parsed;
  }

  /** Replaces all plans of one kind. */
  replacePlans(kind: PlanKind, plans: ReadonlyMap<string, unknown>): Promise<void> {
    return this.#write((db) => replacePlans(db, kind, plans));
  }

  /** Writes one plan. */
  putPlan(o: { kind: PlanKind; name: string; body: unknown }): Promise<void> {
    return this.#write((db) => putPlan(db, o));
  }

  /** Forgets one plan. */
  deletePlan(o: { kind: PlanKind; name: string }): Promise<void> {
    return this.#write((db) => {
      db.query('DELETE FROM plans WHERE kind = ? AND name = ?').run(o.kind, o.name);
    });
  }

  #insert(db: Database, attachment: Attachment): void {
    insertAttachment(db, attachment);
    this.#onInsert(attachment);
  }

  async #write(write: JournalWrite, isSynced = true): Promise<void> {
    const point = await this.#commit(write, isSynced);
    if (isSynced) await this.onDisk(point);
  }

  async #commit(write: JournalWrite, isSynced: boolean): Promise<SyncPoint> {
    try {
      return await this.#commits.submit(write, { isSynced, isAlone: this.#isAlone() });
    } catch (cause) {
      throw cause instanceof DomainError ? cause : this.#refusal(cause);
    }
  }

  #refusal(cause: unknown): DomainError {
    const reason = cause instanceof Error ? cause.message : String(cause);
    return new DomainError('not-ready', `the journal ${this.path} cannot be written: ${reason}`, {
      cause,
      details: { file: this.path },
    });
  }

  /** A negative limit is none (SQLite, SELECT, section 4). */
  #read(where: string, values: (string | number)[], limit = -1): Attachment[] {
    return this.#db
      .query<Row, (string | number)[]>(`SELECT * FROM attachments ${where} ORDER BY id LIMIT ?`)
      .all(...values, limit)
      .map((row) => toAttachment(row, this.path));
  }
}
