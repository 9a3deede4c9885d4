// The rows of attachments and their addresses: how they are written and read.
import type { Database } from 'bun:sqlite';
import * as v from 'valibot';
import { DomainError } from '../../shared/model/errors.ts';
import {
  type Attachment,
  AttachmentBody,
  type AttachmentState,
  addressesOf,
} from './attachment.ts';
import { corrupt } from './corrupt.ts';

/** One row of the table of attachments. */
export interface Row {
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

/** Reads a row; DomainError 'journal-corrupt' naming `path` if its body has another shape. */
export function toAttachment(row: Row, path: string): Attachment {
  const body = v.safeParse(AttachmentBody, JSON.parse(row.body));
  if (!body.success) {
    throw corrupt(path, `row ${row.id} has a body of another shape`, body.issues);
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
    createdAtMs: row.created_at,
    updatedAtMs: row.updated_at,
  };
}

/** Names an attachment whose body has another shape, if there is one. */
export function findOddBody(db: Database): string | undefined {
  const rows = db.query<{ id: number; body: string }, []>('SELECT id, body FROM attachments');
  for (const { id, body } of rows.iterate()) {
    if (!v.is(AttachmentBody, JSON.parse(body))) return `row ${id} has a body of another shape`;
  }
  return undefined;
}

/** The part of an attachment that is stored as JSON. */
export function toBody(body: AttachmentBody): string {
  return JSON.stringify({ nics: body.nics, sharedRoutes: body.sharedRoutes, why: body.why });
}

/** Writes a row and its addresses. DomainError 'conflict' if one of them is held. */
export function insertAttachment(db: Database, a: Attachment): void {
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
    '',
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
