// Removing links of a pod's namespace. The kernel waits for a grace period (about 20 ms) per
// removal; links that are removed as a group share one. So links that are not a group yet are
// first moved into one that only serves this.
import { SystemCallError } from './libc.ts';
import { NetlinkBatch } from './netlink/batch.ts';
import { addDeleteGroup, addSetGroup } from './netlink/link.ts';
import type { RequestSocket } from './netlink/socket.ts';
import { DOOMED_GROUP } from './pod-link-request.ts';

/** errno values that mean that a link was gone already. */
const absentErrnos = new Set([undefined, 'ENODEV']);

/** Removes a group. False if the kernel refuses because the group holds a link it cannot remove. */
export function removeGroup(socket: RequestSocket, group: number): boolean {
  const batch = new NetlinkBatch();
  addDeleteGroup(batch, group);
  const errno = socket.request(batch)[0]?.errno;
  if (errno === 'EOPNOTSUPP') return false;
  if (!absentErrnos.has(errno)) throw new SystemCallError('remove a link group', errno ?? '');
  return true;
}

/** Removes links by index; ones that are gone are done. */
export function removeLinks(socket: RequestSocket, indices: readonly number[]): void {
  if (indices.length === 0) return;
  const batch = new NetlinkBatch();
  for (const index of indices) addSetGroup(batch, { index, group: DOOMED_GROUP });
  addDeleteGroup(batch, DOOMED_GROUP);
  for (const { errno } of socket.request(batch)) {
    if (!absentErrnos.has(errno)) throw new SystemCallError('remove links', errno ?? '');
  }
}
