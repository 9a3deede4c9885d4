// DEL: releases exactly the attachment that is named. An unknown one is done already; a namespace
// that is gone is no obstacle; only links that cannot be removed are a failure.
import type { Attachment } from '../journal/attachment.ts';
import type { AttachIdentity } from './attach-config.ts';
import type { AttachPorts } from './ports.ts';
import { release } from './release.ts';

/** What a DEL found. */
export type DetachOutcome = 'released' | 'unknown';

/**
 * Releases the attachment, or what was taken over for the same pod. May be repeated. Waits for
 * other operations on either. `askedAtMs` (wall clock): when the DEL was asked for, where that was
 * earlier; an attachment that was made after it is not the one that was meant.
 */
export async function detach(
  ports: AttachPorts,
  identity: AttachIdentity,
  o: { readonly askedAtMs?: number } = {},
): Promise<DetachOutcome> {
  const { key } = identity;
  const outcome = await ports.exclusive(key.containerId, () => releaseOwn(ports, identity, o));
  if (outcome !== 'missing') return outcome;
  const [row] = takenOver(ports, identity);
  if (row === undefined) return 'unknown';
  // One after the other: who holds one place and waits for a second can wait for ever.
  return await ports.exclusive(row.containerId, () => releaseTakenOver(ports, identity));
}

async function releaseOwn(
  ports: AttachPorts,
  { key, netnsPath }: AttachIdentity,
  o: { readonly askedAtMs?: number },
): Promise<DetachOutcome | 'missing'> {
  const attachment = ports.journal.find(key);
  if (attachment === undefined) return 'missing';
  if (isLater(attachment, { askedAtMs: o.askedAtMs, nowMs: ports.clock.now() })) return 'unknown';
  await release(ports, attachment, { netnsPath });
  return 'released';
}

/** A time that has not come yet is of a clock that was ahead, and says nothing of an order. */
function isLater(
  { createdAtMs }: Attachment,
  { askedAtMs, nowMs }: { askedAtMs: number | undefined; nowMs: number },
): boolean {
  return askedAtMs !== undefined && createdAtMs > askedAtMs && createdAtMs <= nowMs;
}

async function releaseTakenOver(
  ports: AttachPorts,
  identity: AttachIdentity,
): Promise<DetachOutcome> {
  const rows = takenOver(ports, identity);
  for (const row of rows) await release(ports, row, { netnsPath: '' });
  return rows.length > 0 ? 'released' : 'unknown';
}

/**
 * Addresses that were taken over from another program carry no container ID. They belong to the
 * sandbox that ran when they were taken over; a DEL for the same pod UID ends that sandbox, because
 * every later sandbox of the pod has a row of its own. Without a UID nothing is guessed.
 */
function takenOver(
  ports: AttachPorts,
  { key, podUid, podNamespace, podName }: AttachIdentity,
): Attachment[] {
  if (podUid === '' || podName === '') return [];
  return ports.journal
    .list({ network: key.network, pod: { namespace: podNamespace, name: podName } })
    .filter((row) => row.external && row.podUid === podUid);
}
