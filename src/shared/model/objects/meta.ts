// The frame that every Kubernetes object has: metadata and conditions. Unknown members are kept.
import * as v from 'valibot';
import { admission, integer, text } from './admission.ts';

const Labels = v.record(v.string(), v.string());

/** Owner of an object, for garbage collection. */
export const OwnerReference = v.looseObject({
  apiVersion: v.string(),
  kind: v.string(),
  name: v.string(),
  uid: v.string(),
  controller: v.optional(v.boolean()),
  blockOwnerDeletion: v.optional(v.boolean()),
});
export type OwnerReference = v.InferOutput<typeof OwnerReference>;

/**
 * Metadata of an object. Only `name` is always there: objects that are yet to be created have
 * nothing else.
 */
export const ObjectMeta = v.looseObject({
  name: v.string(),
  namespace: v.optional(v.string()),
  uid: v.optional(v.string()),
  resourceVersion: v.optional(v.string()),
  generation: v.optional(v.number()),
  creationTimestamp: v.optional(v.nullable(v.string())),
  deletionTimestamp: v.optional(v.string()),
  labels: v.optional(Labels),
  annotations: v.optional(Labels),
  finalizers: v.optional(v.array(v.string())),
  ownerReferences: v.optional(v.array(OwnerReference)),
});
export type ObjectMeta = v.InferOutput<typeof ObjectMeta>;

/** An object with its spec and status. */
export interface KubeObject<TSpec, TStatus = unknown> {
  apiVersion?: string | undefined;
  kind?: string | undefined;
  metadata: ObjectMeta;
  spec: TSpec;
  status?: TStatus | undefined;
}

/** One condition as Kubernetes writes them (meta/v1 Condition). */
export const Condition = v.looseObject({
  type: text(316, 'Name of the condition, unique in the list.', { minLength: 1 }),
  status: v.pipe(
    v.picklist(['True', 'False', 'Unknown']),
    admission({ description: 'Its state.' }),
  ),
  reason: text(1024, 'One CamelCase word that says why, for programs.', {
    minLength: 1,
    pattern: '^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$',
  }),
  message: text(32768, 'What is the matter, for people.'),
  lastTransitionTime: text(64, 'When the state last changed.', { format: 'date-time' }),
  observedGeneration: v.optional(
    integer(0, Number.MAX_SAFE_INTEGER, 'metadata.generation that the condition is about.'),
  ),
});
export type Condition = v.InferOutput<typeof Condition>;

/** The conditions of an object, at most one of each type. */
export const Conditions = v.pipe(
  v.array(Condition),
  admission({
    description: 'What is and what is not in order, one entry per aspect.',
    maxItems: 32,
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['type'],
  }),
);
