// What is kept of a pod of this node: its identity, and the addresses that the meta-plugin says it
// has. That annotation is the only trace of an address whose record was lost.
import * as v from 'valibot';
import { NETWORK_STATUS_ANNOTATION, NETWORKS_STATUS_ANNOTATION } from '../../shared/model/names.ts';

/** Addresses of one network. */
export interface StatedAddresses {
  /** Name of the definition, which is that of the network. */
  readonly network: string;
  readonly addresses: readonly string[];
}

/** A pod. */
export interface PodRecord {
  readonly uid: string;
  readonly stated: readonly StatedAddresses[];
}

/** Containers of such a pod do not run again, and its network was taken down. */
const ENDED = new Set(['Succeeded', 'Failed']);

const Entry = v.looseObject({ name: v.string(), ips: v.optional(v.array(v.string()), []) });

/** A pod as the API server has it, as far as it is looked at. */
interface PodObject {
  readonly metadata?: { uid?: string; annotations?: { [name: string]: string } };
  readonly status?: { phase?: string };
}

/** Keeps of a pod what decides. */
export function toPodRecord({ metadata, status }: PodObject): PodRecord {
  const annotations = metadata?.annotations ?? {};
  const text = annotations[NETWORK_STATUS_ANNOTATION] ?? annotations[NETWORKS_STATUS_ANNOTATION];
  const isOver = ENDED.has(status?.phase ?? '');
  return {
    uid: metadata?.uid ?? '',
    stated: text === undefined || isOver ? [] : parseStatus(text),
  };
}

/** Entries that cannot be read say nothing; others beside them do. */
function parseStatus(text: string): StatedAddresses[] {
  const entries = parseList(text);
  return entries.flatMap((value): StatedAddresses[] => {
    const entry = v.safeParse(Entry, value);
    if (!entry.success || entry.output.ips.length === 0) return [];
    const { name, ips } = entry.output;
    // `namespace/definition`; interfaces of the cluster's own network have other names.
    return [{ network: name.slice(name.lastIndexOf('/') + 1), addresses: ips }];
  });
}

function parseList(text: string): unknown[] {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? value : [];
  } catch {
    return []; // written by another program; whoever reads the pod sees it
  }
}
