// Takes an attachment apart: links first, then its row, and only then its addresses are set aside.
// DEL, GC, recovery after a crash and the spool all end here; every step may be repeated.
//
//   write releasing ─► delete links ─► remove row, addresses to quarantine (one write)
import { isDomainError } from '../../shared/model/errors.ts';
import { type Attachment, addressesOf } from '../journal/attachment.ts';
import type { Sandbox } from '../journal/journal.ts';
import type { AttachPorts } from './ports.ts';

/** Why links need not be removed, or that they were. */
export type LinkRemoval = 'links-removed' | 'netns-gone' | 'no-links';

/**
 * Releases an attachment. `netnsPath` is what the runtime says now; '' if it says nothing. Throws,
 * with the addresses still held, if links may exist that could not be removed.
 */
export async function release(
  ports: AttachPorts,
  attachment: Attachment,
  o: { netnsPath: string },
): Promise<LinkRemoval> {
  const { journal, clock, faults, quarantineMs } = ports;
  if (attachment.state !== 'releasing') {
    // From here on no crash can leave a row that claims links which are being removed.
    await journal.update(attachment.id, { state: 'releasing', updatedAtMs: clock.now() });
  }
  faults.reach('del-releasing-written');
  const removal = removeLinks(ports, attachment, o.netnsPath);
  faults.reach('del-links-deleted');
  const untilMs = clock.now() + quarantineMs;
  await journal.remove(attachment.id, { untilMs });
  faults.reach('del-row-removed');
  const { network } = attachment;
  for (const { pool, index, address } of addressesOf(attachment)) {
    ports.pools.quarantine({ network, address, pool, index, untilMs });
  }
  ports.onPoolsChanged(poolNames(attachment));
  return removal;
}

/** Whether the attachment's namespace can still be reached, by any path that is known. */
export function isNetnsAlive(ports: AttachPorts, attachment: Sandbox, paths: string[]): boolean {
  using netns = openOwnNetns(ports, attachment, paths);
  return netns !== undefined;
}

/** The names of the pools that the attachment has addresses of. */
export function poolNames(attachment: Attachment): string[] {
  return [...new Set(addressesOf(attachment).map(({ pool }) => pool))];
}

function removeLinks(ports: AttachPorts, attachment: Attachment, netnsPath: string): LinkRemoval {
  if (attachment.external) return 'no-links';
  using netns = openOwnNetns(ports, attachment, [netnsPath, attachment.netnsPath]);
  if (netns === undefined) return 'netns-gone';
  netns.deleteLinks({
    group: attachment.group,
    names: attachment.nics.map(({ name }) => name),
  });
  return 'links-removed';
}

/**
 * Opens the namespace that the attachment was made in. A path can lead to another one by now
 * (re-used by another pod): that one is left alone, and the attachment's own is gone.
 */
function openOwnNetns(ports: AttachPorts, attachment: Sandbox, paths: readonly string[]) {
  if (attachment.bootId !== ports.bootId) return undefined;
  for (const path of new Set(paths)) {
    if (path === '') continue;
    const netns = tryOpen(ports, path);
    if (netns?.id === attachment.netnsId) return netns;
    netns?.[Symbol.dispose]();
  }
  return undefined;
}

/** Undefined only if there is no namespace at the path; any other failure is thrown. */
function tryOpen({ hostNet }: AttachPorts, path: string) {
  try {
    return hostNet.openNetns(path);
  } catch (error) {
    if (isDomainError(error, 'netns-gone', 'netns-invalid')) return undefined;
    throw error;
  }
}
