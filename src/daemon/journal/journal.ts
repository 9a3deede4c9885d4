// The journal: this node's record of attachments, addresses and plans. It decides nothing.
import type { Database } from 'bun:sqlite';
import * as v from 'valibot';
import { DomainError } from '../../shared/model/errors.ts';
import {
  type Attachment,
  AttachmentBody,
  type AttachmentKey,
  type AttachmentState,
  addressesOf,
  type QuarantinedAddress,
} from './attachment.ts';
import { type CommitCounts, GroupCommit, type JournalWrite } from './group-commit.ts';
import { corrupt, openDatabase } from './open.ts';

/** An address that a pool must not give: held by an attachment. */
export interface HeldIndex {
  readonly network: string;
  readonly pool: string;
  readonly index: number;
  readonly address: string;
}

/** What is saved for starts without an API server, and which pools are known to be complete. */
export type PlanKind = 'network' | 'host' | 'class' | 'pool';

/** One line of a published pool. */
export interface PoolAllocation {
  readonly index: number;
  readonly address: string;
  readonly podName: string;
  readonly podNamespace: string;
  readonly podUid: string;
  readonly containerId: string;
  readonly ifName: string;
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

interface Row {
  id: number;
  network: string;
  container_id: string;
  if_name: string;
  state: AttachmentState;
  external: number;
  pod_uid: string;
  pod_namespace: string;
  pod_name: string;
  netns_path: string;
  netns_id: string;
  boot_id: string;
  link_group: number;
  request_digest: string;
  body: string;
  created_at: number;
  updated_at: number;
}

const INSERT = `INSERT INTO attachments (id, network, container_id, if_name, state, external,
  pod_uid, pod_namespace, pod_name, netns_path, netns_id, boot_id, link_group, request_digest,
  address_count, body, created_at, updated_at)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;

/** A quarantined address may be taken again (exhaustion); a held one never. */
const HOLD = `INSERT INTO addresses (network, address, pool, idx, attachment_id)
  VALUES (?, ?, ?, ?, ?)
  ON CONFLICT (network, address) DO UPDATE SET attachment_id = excluded.attachment_id,
    quarantined_until = NULL, pool = excluded.pool, idx = excluded.idx
  WHERE attachment_id IS NULL`;

/** Durable state of one node. Opened once per process. */
export class Journal implements Disposable {
  /** There was none before; see the adoption mark. */
  readonly isNew: boolean;
  readonly path: string;
  readonly #db: Database;
  readonly #commits: GroupCommit;
  #lastId: number;
  #isAlone: () => boolean = () => false;

  private constructor(o: { db: Database; path: string; isNew: boolean }) {
    this.#db = o.db;
    this.path = o.path;
    this.isNew = o.isNew;
    this.#commits = new GroupCommit(o.db);
    const row = o.db
      .query<{ seq: number }, []>("SELECT seq FROM sqlite_sequence WHERE name = 'attachments'")
      .get();
    this.#lastId = row?.seq ?? 0;
  }

  /** See `openDatabase` for the errors. */
  static open(o: Parameters<typeof openDatabase>[0]): Journal {
    return new Journal(openDatabase(o));
  }

  [Symbol.dispose](): void {
    this.#commits.flush();
    this.#db.close();
  }

  get counts(): Readonly<CommitCounts> {
    return this.#commits.counts;
  }

  /** Tells when no other operation can have a write to share a commit with. */
  commitAtOnceWhen(isAlone: () => boolean): void {
    this.#isAlone = isAlone;
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

  /** All attachments, or those that fit every given member, by id. */
  list(
    o: {
      state?: AttachmentState;
      network?: string;
      containerId?: string;
      pod?: { namespace: string; name: string };
      afterId?: number;
    } = {},
  ): Attachment[] {
    const terms: [string, string | number][] = [['id > ?', o.afterId ?? -1]];
    if (o.state !== undefined) terms.push(['state = ?', o.state]);
    if (o.network !== undefined) terms.push(['network = ?', o.network]);
    if (o.containerId !== undefined) terms.push(['container_id = ?', o.containerId]);
    if (o.pod !== undefined) {
      terms.push(['pod_namespace = ?', o.pod.namespace], ['pod_name = ?', o.pod.name]);
    }
    const where = `WHERE ${terms.map(([term]) => term).join(' AND ')}`;
    return this.#read(
      where,
      terms.map(([, value]) => value),
    );
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
   * Records an attachment with all its addresses. DomainError 'conflict' if one is held already.
   */
  insert(attachment: Attachment): Promise<void> {
    return this.#write((db) => insertAttachment(db, attachment));
  }

  /**
   * Records what a pool's published object says about addresses in use, together with the pool's
   * plan: from then on the journal is the one to ask about that pool.
   */
  adoptPool(o: { name: string; body: unknown; attachments: readonly Attachment[] }): Promise<void> {
    return this.#write((db) => {
      for (const attachment of o.attachments) insertAttachment(db, attachment);
      putPlan(db, { kind: 'pool', name: o.name, body: o.body });
    });
  }

  /**
   * Moves a row to `state`; `body` replaces what it says about links. Not synced for `attached`: a
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
    return this.#write(write, o.state !== 'attached');
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

  /** Frees quarantined addresses; held ones stay as they are. */
  endQuarantine(addresses: readonly { network: string; address: string }[]): Promise<void> {
    return this.#write((db) => {
      const free = db.query(
        'DELETE FROM addresses WHERE network = ? AND address = ? AND attachment_id IS NULL',
      );
      for (const { network, address } of addresses) free.run(network, address);
    });
  }

  /** The plans of one kind, by name: JSON values for the caller to check. */
  plans(kind: PlanKind): Map<string, unknown> {
    const rows = this.#db
      .query<{ name: string; body: string }, [string]>(
        'SELECT name, body FROM plans WHERE kind = ? ORDER BY name',
      )
      .all(kind);
    return new Map(rows.map((row) => [row.name, JSON.parse(row.body)]));
  }

  /** Replaces all plans of one kind. */
  replacePlans(kind: PlanKind, plans: ReadonlyMap<string, unknown>): Promise<void> {
    return this.#write((db) => {
      db.query('DELETE FROM plans WHERE kind = ?').run(kind);
      const put = db.query('INSERT INTO plans (kind, name, body) VALUES (?, ?, ?)');
      for (const [name, body] of plans) put.run(kind, name, JSON.stringify(body));
    });
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

  async #write(write: JournalWrite, isSynced = true): Promise<void> {
    try {
      await this.#commits.submit(write, { isSynced, isAlone: this.#isAlone() });
    } catch (cause) {
      if (cause instanceof DomainError) throw cause;
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new DomainError('not-ready', `the journal ${this.path} cannot be written: ${reason}`, {
        cause,
        details: { file: this.path },
      });
    }
  }

  #read(where: string, values: (string | number)[]): Attachment[] {
    return this.#db
      .query<Row, (string | number)[]>(`SELECT * FROM attachments ${where} ORDER BY id`)
      .all(...values)
      .map((row) => this.#toAttachment(row));
  }

  #toAttachment(row: Row): Attachment {
    const body = v.safeParse(AttachmentBody, JSON.parse(row.body));
    if (!body.success) {
      throw corrupt(this.path, `row ${row.id} has a body of another shape`, body.issues);
    }
    return {
      ...body.output,
      id: row.id,
      network: row.network,
      containerId: row.container_id,
      ifName: row.if_name,
      state: row.state,
      external: row.external === 1,
      podUid: row.pod_uid,
      podNamespace: row.pod_namespace,
      podName: row.pod_name,
      netnsPath: row.netns_path,
      netnsId: row.netns_id,
      bootId: row.boot_id,
      group: row.link_group,
      requestDigest: row.request_digest,
      createdAtMs: row.created_at,
      updatedAtMs: row.updated_at,
    };
  }
}

function toBody(body: AttachmentBody): string {
  return JSON.stringify({ nics: body.nics, sharedRoutes: body.sharedRoutes, why: body.why });
}

function putPlan(db: Database, o: { kind: PlanKind; name: string; body: unknown }): void {
  db.query(
    `INSERT INTO plans (kind, name, body) VALUES (?, ?, ?)
     ON CONFLICT (kind, name) DO UPDATE SET body = excluded.body`,
  ).run(o.kind, o.name, JSON.stringify(o.body));
}

function insertAttachment(db: Database, a: Attachment): void {
  const addresses = addressesOf(a);
  db.query(INSERT).run(
    a.id,
    a.network,
    a.containerId,
    a.ifName,
    a.state,
    a.external ? 1 : 0,
    a.podUid,
    a.podNamespace,
    a.podName,
    a.netnsPath,
    a.netnsId,
    a.bootId,
    a.group,
    a.requestDigest,
    addresses.length,
    toBody(a),
    a.createdAtMs,
    a.updatedAtMs,
  );
  const hold = db.query(HOLD);
  for (const { address, pool, index } of addresses) {
    if (hold.run(a.network, address, pool, index, a.id).changes === 1) continue;
    throw new DomainError('conflict', `address ${address} of ${a.network} is held already`, {
      details: { network: a.network, address, pool },
    });
  }
}
