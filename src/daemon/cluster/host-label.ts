// The label by which a node finds its own IPPools. A node name can be longer than a label may be
// (W-90); such a node has a digest of its name there, and `spec.hostName` says whose the pool is.
import { LABEL_CHARS_MAX } from '../../shared/model/names.ts';

/** The value of the label `hostname` for a node. */
export function toHostLabel(node: string): string {
  if (node.length <= LABEL_CHARS_MAX) return node;
  const digest = new Bun.CryptoHasher('sha256').update(node).digest('hex');
  return `sha256-${digest.slice(0, 48)}`;
}
