// Config: how the daemon is deployed and how often things are looked at. Normally one object named
// multi-nicd. The embedded Kubernetes types are passed into the DaemonSet, whose own admission
// checks them.
import * as v from 'valibot';
import { admission, foreignObject, integer, text } from './admission.ts';
import { Conditions, ObjectMeta } from './meta.ts';
import { URL_PATH_PATTERN } from './patterns.ts';

/** A host path that the daemon sees. */
export const DaemonMount = v.looseObject({
  name: text(63, 'Volume name.', { pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$' }),
  podpath: text(4096, 'Path in the container.', { pattern: '^/' }),
  hostpath: text(4096, 'Path on the host.', { pattern: '^/' }),
});
export type DaemonMount = v.InferOutput<typeof DaemonMount>;

/** Settings of the daemon's DaemonSet. */
export const DaemonSpec = v.looseObject({
  image: text(1024, 'Container image.', { minLength: 1, pattern: '^\\S+$' }),
  port: integer(1, 65_535, 'TCP port for reads and metrics.'),
  imagePullPolicy: v.optional(
    text(32, 'When the image is pulled.', { enum: ['', 'Always', 'IfNotPresent', 'Never'] }),
  ),
  imagePullSecretName: v.optional(text(253, 'Secret with registry credentials.')),
  nodeSelector: v.optional(
    v.pipe(
      v.record(v.string(), text(63, 'Label value.')),
      admission({ description: 'Labels of the nodes that get a daemon.', maxProperties: 64 }),
    ),
  ),
  tolerations: v.optional(
    v.pipe(
      v.array(foreignObject('core/v1 Toleration')),
      admission({ description: 'Taints that the daemon accepts.', maxItems: 64 }),
    ),
  ),
  securityContext: v.optional(foreignObject('core/v1 SecurityContext of the container.')),
  env: v.optional(
    v.pipe(
      v.array(
        v.pipe(
          v.looseObject({
            name: text(253, 'Variable.', { minLength: 1 }),
            value: v.optional(text(32_768, 'Value.')),
          }),
          admission({
            description: 'core/v1 EnvVar',
            'x-kubernetes-preserve-unknown-fields': true,
          }),
        ),
      ),
      admission({ description: 'Environment of the daemon.', maxItems: 128 }),
    ),
  ),
  envFrom: v.optional(
    v.pipe(
      v.array(foreignObject('core/v1 EnvFromSource')),
      admission({ description: 'Environment from ConfigMaps and Secrets.', maxItems: 64 }),
    ),
  ),
  resources: v.optional(foreignObject('core/v1 ResourceRequirements of the container.')),
  mounts: v.optional(
    v.pipe(
      v.array(DaemonMount),
      admission({ description: 'Host paths that the daemon sees.', maxItems: 64 }),
    ),
  ),
});
export type DaemonSpec = v.InferOutput<typeof DaemonSpec>;

const path = (description: string) => text(256, description, { pattern: URL_PATH_PATTERN });

/** Content of a Config. */
export const DaemonConfigSpec = v.looseObject({
  cniType: text(63, 'Plugin name written into NetworkAttachmentDefinitions.', { minLength: 1 }),
  ipamType: text(63, 'IPAM type of our own pools.', { minLength: 1 }),
  daemon: v.pipe(DaemonSpec, admission({ description: 'Deployment of the daemon.' })),
  joinPath: path('Daemon path of the greeting.'),
  getInterfacePath: path('Daemon path of the NIC list.'),
  addRoutePath: v.optional(path('Daemon path that sets routes.')),
  deleteRoutePath: v.optional(path('Daemon path that removes routes.')),
  urgentReconcileSeconds: v.optional(integer(0, 86_400, 'Retry delay after short failures.')),
  normalReconcileMinutes: v.optional(integer(0, 1440, 'Retry delay while waiting.')),
  longReconcileMinutes: v.optional(integer(0, 1440, 'Retry delay after API errors.')),
  contextTimeoutMinutes: v.optional(integer(0, 1440, 'Deadline of requests.')),
  logLevel: v.optional(integer(-127, 127, 'Verbosity; 1 and above log details.')),
});
export type DaemonConfigSpec = v.InferOutput<typeof DaemonConfigSpec>;

/** Status of a Config. The numbers are those of its DaemonSet. */
export const DaemonConfigStatus = v.looseObject({
  desired: v.optional(integer(0, 2 ** 31 - 1, 'Nodes that should have a daemon.')),
  ready: v.optional(integer(0, 2 ** 31 - 1, 'Nodes with a ready daemon.')),
  conditions: v.optional(Conditions),
});
export type DaemonConfigStatus = v.InferOutput<typeof DaemonConfigStatus>;

/** Kind Config, cluster-scoped. */
export const DaemonConfig = v.looseObject({
  apiVersion: v.optional(v.string()),
  kind: v.optional(v.string()),
  metadata: ObjectMeta,
  spec: DaemonConfigSpec,
  status: v.optional(DaemonConfigStatus),
});
export type DaemonConfig = v.InferOutput<typeof DaemonConfig>;
