// NetworkAttachmentDefinition of the Network Plumbing Working Group: what Multus reads. The kind is
// not ours, so it has no admission rules here.
import * as v from 'valibot';
import { ObjectMeta } from './meta.ts';

/**
 * Kind NetworkAttachmentDefinition. `spec.config` is a CNI configuration as JSON text; without it
 * Multus looks on disk.
 */
export const NetAttachDef = v.looseObject({
  apiVersion: v.optional(v.string()),
  kind: v.optional(v.string()),
  metadata: ObjectMeta,
  spec: v.optional(v.looseObject({ config: v.optional(v.string()) })),
});
export type NetAttachDef = v.InferOutput<typeof NetAttachDef>;
