// Garbage collection: releases attachments whose DEL never came. Each release needs two proofs that
// do not depend on each other; with one only, the attachment is kept and reported.
import type { Sandbox } from '../journal/journal.ts';
import type { AttachPorts } from './ports.ts';
import { isNetnsAlive, release } from './release.ts';

/** What a collection did. `kept`: no longer wanted by somebody's account, but not proven dead. */
export interface Collected {
  released: number;
  kept: string[];
  errors: unknown[];
}

/**
 * CNI GC: the runtime's list is the first proof; the namespace or the pod being gone the second.
 */
export async function collectUnlisted(
  ports: AttachPorts,
  o: { network: string; valid: readonly { containerId: string; ifName: string }[] },
): Promise<Collected> {
  const valid = new Set(o.valid.map(({ containerId, ifName }) => `${containerId}/${ifName}`));
  const unlisted = ports.journal
    .sandboxes()
    .filter(
      (row) =>
        row.network === o.network &&
        row.state === 'attached' &&
        !row.external &&
        !valid.has(`${row.containerId}/${row.ifName}`),
    );
  return await collect(ports, unlisted, async (row) => {
    if (!isNetnsAlive(ports, row, [row.netnsPath])) return true;
    return (await ports.cluster.podState(podOf(row))) === 'gone';
  });
}

/** Our own round: both the namespace and the pod must be gone, because no runtime was asked. */
export async function collectAbandoned(ports: AttachPorts): Promise<Collected> {
  const candidates = ports.journal
    .sandboxes()
    .filter(
      (row) =>
        row.state === 'attached' && (row.external || !isNetnsAlive(ports, row, [row.netnsPath])),
    );
  return await collect(ports, candidates, async (row) => isAbandoned(ports, row));
}

/**
 * A namespace of an earlier boot is gone for certain, and so is the sandbox: kernel state does not
 * survive a boot, and a runtime makes new sandboxes after it.
 */
async function isAbandoned(ports: AttachPorts, row: Sandbox): Promise<boolean> {
  if (!row.external && row.bootId !== ports.bootId) return true;
  return (await ports.cluster.podState(podOf(row))) === 'gone';
}

async function collect(
  ports: AttachPorts,
  rows: readonly Sandbox[],
  isProven: (row: Sandbox) => Promise<boolean>,
): Promise<Collected> {
  const result: Collected = { released: 0, kept: [], errors: [] };
  for (const row of rows) {
    try {
      if (!(await isProven(row))) {
        result.kept.push(`${row.containerId}/${row.ifName}`);
        continue;
      }
      if (await releaseUnlessChanged(ports, row)) result.released += 1;
    } catch (error) {
      result.errors.push(error);
    }
  }
  return result;
}

/** A DEL, and another ADD after it, may have come while the pod was looked up. */
async function releaseUnlessChanged(ports: AttachPorts, row: Sandbox): Promise<boolean> {
  return await ports.exclusive(row.containerId, async () => {
    const current = ports.journal.find(row);
    if (current?.id !== row.id) return false;
    await release(ports, current, { netnsPath: '' });
    return true;
  });
}

function podOf({ podNamespace, podName, podUid }: Sandbox) {
  return { namespace: podNamespace, name: podName, uid: podUid };
}
