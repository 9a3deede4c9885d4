// Test equipment: what the contract suite asks of an API server, and the objects that it works
// with.
import { afterAll, beforeAll } from 'bun:test';
import type { ApiTarget } from '../../src/shared/platform/kube/api-target.ts';
import { createKubeClient, type KubeClient } from '../../src/shared/platform/kube/client.ts';
import {
  CRDS,
  defineResource,
  isRecord,
  NAMESPACES,
  type NamedObject,
} from '../../src/shared/platform/kube/resource.ts';
import { createLogger } from '../../src/shared/platform/log.ts';
import { eventually } from '../helpers/eventually.ts';

/** An API server that the suite runs against. */
export interface ServerUnderTest {
  readonly target: ApiTarget;
  /** Deletes dependents and empties namespaces. */
  readonly hasController: boolean;
  /** A bearer token that TokenReview confirms, and whose it is. */
  readonly user: { readonly token: string; readonly username: string };
  /** Lists in progress cannot be continued afterwards. */
  forgetHistory(): Promise<void>;
  stop(): Promise<void>;
  start(): Promise<void>;
  close(): Promise<void>;
}

/** The server of a running suite; its members may be used inside tests only. */
export interface Bench {
  readonly server: ServerUnderTest;
  readonly client: KubeClient;
  /** A namespace of this suite alone. */
  readonly namespace: string;
  /** A name that no other test has used. */
  unique(prefix: string): string;
}

export const log = createLogger({ component: 'contract', write: () => undefined });

/** Starts the server once for a file and prepares what all tests need. */
export function useBench(start: () => Promise<ServerUnderTest>): Bench {
  const state: { server?: ServerUnderTest; client?: KubeClient; count: number } = { count: 0 };
  const namespace = `contract-${crypto.randomUUID().slice(0, 8)}`;
  beforeAll(async () => {
    const server = await start();
    state.server = server;
    state.client = createKubeClient(server.target, { userAgent: 'contract/1' });
    await state.client.create(NAMESPACES, { metadata: { name: namespace } });
    await installCrd(state.client, WIDGET_CRD);
    await installCrd(state.client, GADGET_CRD);
  }, 120_000);
  afterAll(async () => {
    await state.server?.close();
  });
  return {
    get server() {
      if (state.server === undefined) throw new Error('the server has not started');
      return state.server;
    },
    get client() {
      if (state.client === undefined) throw new Error('the server has not started');
      return state.client;
    },
    namespace,
    unique(prefix) {
      state.count += 1;
      return `${prefix}-${state.count}`;
    },
  };
}

/** Creates a CustomResourceDefinition and waits until its kind is served. */
export async function installCrd(client: KubeClient, crd: unknown): Promise<void> {
  const created = await client.create(CRDS, crd);
  const name = created.metadata?.name ?? '';
  const { group, versions, names, scope } = created.spec;
  const resource = defineResource({
    group,
    version: versions[0]?.name ?? '',
    plural: names.plural,
    kind: names.kind,
    namespaced: scope === 'Namespaced',
  });
  await eventually(
    `kind of ${name} is served`,
    async () => {
      await client.list(resource, { timeoutMs: 2_000 });
      return true;
    },
    20_000,
  );
}

/** Cluster-wide, with a status subresource and one field of each sort. */
export const WIDGETS = defineResource({
  group: 'contract.test',
  version: 'v1',
  plural: 'widgets',
  kind: 'Widget',
  namespaced: false,
});

/** Namespaced, without subresources, keeps unknown fields in its spec. */
export const GADGETS = defineResource({
  group: 'contract.test',
  version: 'v1',
  plural: 'gadgets',
  kind: 'Gadget',
  namespaced: true,
});

const railItem = {
  type: 'object',
  required: ['net'],
  properties: {
    net: { type: 'string' },
    index: { type: 'integer' },
    note: { type: 'string' },
  },
};

export const WIDGET_CRD = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'widgets.contract.test' },
  spec: {
    group: 'contract.test',
    scope: 'Cluster',
    names: { plural: 'widgets', singular: 'widget', kind: 'Widget', listKind: 'WidgetList' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        subresources: { status: {} },
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: {
              spec: {
                type: 'object',
                required: ['size'],
                properties: {
                  size: { type: 'integer', minimum: 1, maximum: 100 },
                  color: { type: 'string', enum: ['red', 'blue'], default: 'red' },
                  name: { type: 'string', pattern: '^[a-z]+$', maxLength: 8 },
                  comment: { type: 'string', nullable: true },
                  port: { 'x-kubernetes-int-or-string': true },
                  tags: {
                    type: 'array',
                    maxItems: 4,
                    items: { type: 'string' },
                    'x-kubernetes-list-type': 'set',
                  },
                  rails: {
                    type: 'array',
                    items: railItem,
                    'x-kubernetes-list-type': 'map',
                    'x-kubernetes-list-map-keys': ['net'],
                  },
                  plain: { type: 'array', items: { type: 'integer' } },
                  labels: { type: 'object', additionalProperties: { type: 'string' } },
                  nested: {
                    type: 'object',
                    properties: {
                      a: { type: 'string' },
                      b: { type: 'string' },
                      mode: { type: 'string', default: 'auto' },
                    },
                  },
                  free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
                },
              },
              status: {
                type: 'object',
                properties: {
                  phase: { type: 'string' },
                  count: { type: 'integer' },
                  rails: {
                    type: 'array',
                    items: railItem,
                    'x-kubernetes-list-type': 'map',
                    'x-kubernetes-list-map-keys': ['net'],
                  },
                },
              },
            },
          },
        },
      },
    ],
  },
};

const GADGET_CRD = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'gadgets.contract.test' },
  spec: {
    group: 'contract.test',
    scope: 'Namespaced',
    names: { plural: 'gadgets', singular: 'gadget', kind: 'Gadget', listKind: 'GadgetList' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: {
            type: 'object',
            'x-kubernetes-preserve-unknown-fields': true,
          },
        },
      },
    ],
  },
};

/** Server-side apply of a widget by a manager. */
export function widgetApplier(bench: Bench) {
  return async (
    name: string,
    fieldManager: string,
    members: Record<string, unknown>,
    o: { force?: boolean; subresource?: 'status' } = {},
  ): Promise<NamedObject> => {
    const { metadata, ...rest } = members;
    const body = { metadata: { ...(isRecord(metadata) ? metadata : {}), name }, ...rest };
    return await bench.client.patch(WIDGETS, { name }, { type: 'apply', body, fieldManager, ...o });
  };
}

/** The fields of each owner of an object. */
export function ownersOf(object: NamedObject): Record<string, unknown> {
  const entries = object.metadata.managedFields;
  if (!Array.isArray(entries)) return {};
  return Object.fromEntries(
    entries.filter(isRecord).map((entry) => {
      const subresource = entry.subresource === undefined ? '' : '/status';
      return [`${entry.manager} ${entry.operation}${subresource}`, entry.fieldsV1];
    }),
  );
}

/** The error that a promise is rejected with; fails when it is not. */
export async function rejectionOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('the promise was not rejected');
}
