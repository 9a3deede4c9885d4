// DeviceClass: a set of PCI devices by vendor and product, for the attach strategy devClass.
import * as v from 'valibot';
import { admission, text } from './admission.ts';
import { ObjectMeta } from './meta.ts';
import { PCI_ID_PATTERN } from './patterns.ts';

/** Products of one vendor. */
export const DeviceIds = v.looseObject({
  vendor: text(10, 'PCI vendor, like 15b3.', { pattern: PCI_ID_PATTERN }),
  products: v.pipe(
    v.array(text(10, 'PCI device, like 1019.', { pattern: PCI_ID_PATTERN })),
    admission({ description: 'PCI devices of that vendor.', maxItems: 256 }),
  ),
});
export type DeviceIds = v.InferOutput<typeof DeviceIds>;

/** Content of a DeviceClass. */
export const DeviceClassSpec = v.looseObject({
  ids: v.pipe(
    v.array(DeviceIds),
    admission({ description: 'Devices that belong to the class.', maxItems: 256 }),
  ),
});
export type DeviceClassSpec = v.InferOutput<typeof DeviceClassSpec>;

/** Kind DeviceClass, cluster-scoped. */
export const DeviceClass = v.looseObject({
  apiVersion: v.optional(v.string()),
  kind: v.optional(v.string()),
  metadata: ObjectMeta,
  spec: DeviceClassSpec,
});
export type DeviceClass = v.InferOutput<typeof DeviceClass>;
