// How the excludes of a pool are written in its object: as whoever excluded them wrote them, which
// is what the original publishes. `10.0.0.9` and `10.0.0.9/32` mean the same.
import { type Cidr, formatCidr } from '../../shared/model/ip/cidr.ts';
import type { NetworkDefinition } from '../../shared/model/plan/network-definition.ts';
import { parseExclude } from '../ipam/pool-plan.ts';

/** In the order of `excludes`; each as the first of `spellings` that means it, else as a block. */
export function spellExcludes(excludes: readonly Cidr[], spellings: readonly string[]): string[] {
  if (excludes.length === 0) return [];
  const written = new Map<string, string>();
  for (const text of spellings) {
    const block = parseExclude(text);
    if (block === undefined) continue;
    const key = formatCidr(block);
    if (!written.has(key)) written.set(key, text);
  }
  return excludes.map(formatCidr).map((key) => written.get(key) ?? key);
}

/** The excludes of a network, as they stand in its object. */
export function excludeTexts(definition: NetworkDefinition | undefined): string[] {
  const texts = definition?.ipam.excludeCIDRs;
  return Array.isArray(texts) ? texts.filter((text) => typeof text === 'string') : [];
}
