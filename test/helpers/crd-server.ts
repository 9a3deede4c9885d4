// Test equipment for the suites about our CRDs: a real kube-apiserver with our definitions or
// looser ones, and the objects that it is asked to take.
import { afterAll, beforeAll } from 'bun:test';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createKubeClient, type KubeClient } from '../../src/shared/platform/kube/client.ts';
import { isKubeError } from '../../src/shared/platform/kube/errors.ts';
import {
  CIDRS,
  CRDS,
  DAEMON_CONFIGS,
  DEVICE_CLASSES,
  defineResource,
  HOST_INTERFACES,
  IP_POOLS,
  isRecord,
  MULTI_NIC_NETWORKS,
  type Resource,
} from '../../src/shared/platform/kube/resource.ts';
import { eventually } from '../helpers/eventually.ts';
import {
  type ControlPlane,
  type ControlPlaneBinaries,
  startControlPlane,
} from '../peers/control-plane.ts';

const root = join(import.meta.dir, '../..');
const SERVED_TIMEOUT_MS = 20_000;

/** An object of ours as JSON. */
export interface StoredObject {
  apiVersion: string;
  kind: string;
  metadata: { name: string; [key: string]: unknown };
  spec: Record<string, unknown> | undefined;
  status?: unknown;
}

/** All our kinds. */
export const KINDS: Resource<unknown>[] = [
  MULTI_NIC_NETWORKS,
  CIDRS,
  IP_POOLS,
  HOST_INTERFACES,
  DEVICE_CLASSES,
  DAEMON_CONFIGS,
];

/** The kind as stored, without our schema: the API server is what is tested. */
export function rawResource(kind: string): Resource<Record<string, unknown>> {
  const resource = KINDS.find((one) => one.kind === kind);
  if (resource === undefined) throw new Error(`no kind ${kind}`);
  const { group, version, plural, namespaced } = resource;
  return defineResource({ group, version, plural, kind, namespaced });
}

/** The object in a YAML file. */
export function readYaml(path: string): StoredObject {
  const object: unknown = Bun.YAML.parse(readFileSync(path, 'utf8'));
  if (!isRecord(object)) throw new Error(`${path} has no object`);
  return object as unknown as StoredObject; // the server checks it
}

/** Definitions of our own, as they are installed. */
export function ourCrds(): StoredObject[] {
  const folder = join(root, 'deploy/crds');
  return readdirSync(folder)
    .sort()
    .map((name) => readYaml(join(folder, name)));
}

/** The object as a client may create it. */
export function fresh({ apiVersion, kind, metadata, spec }: StoredObject): StoredObject {
  const { name, labels, finalizers } = metadata;
  const kept = { name, ...(labels === undefined ? {} : { labels }) };
  return {
    apiVersion,
    kind,
    metadata: finalizers === undefined ? kept : { ...kept, finalizers },
    spec,
  };
}

/** The API server, with the few things that the suites do with it. */
export class CrdServer {
  readonly client: KubeClient;
  readonly plane: ControlPlane;

  constructor(plane: ControlPlane) {
    this.plane = plane;
    this.client = createKubeClient(plane.target, { userAgent: 'crd-test/1' });
  }

  /** Applies definitions and waits until the kinds are served with these rules. */
  async install(crds: readonly unknown[]): Promise<void> {
    for (const crd of crds) {
      const { metadata } = crd as StoredObject; // both callers make definitions
      const patch = { type: 'apply', body: crd, fieldManager: 'crd-test', force: true } as const;
      await this.client.patch(CRDS, { name: metadata.name }, patch);
    }
    for (const kind of KINDS) {
      const list = async () => (await this.client.list(rawResource(kind.kind))) !== undefined;
      await eventually(`${kind.kind} is served`, list, SERVED_TIMEOUT_MS);
    }
  }

  /** Waits until a network with a wrong type is refused, so until our rules are in force. */
  async untilStrict(): Promise<void> {
    const probe = network({ name: 'probe', plugin: { type: 'no-such-plugin' } });
    const isRefused = async (): Promise<boolean> => {
      const text = await this.refusal(probe);
      if (text === undefined) await this.remove('MultiNicNetwork', 'probe');
      return text !== undefined;
    };
    await eventually('our rules are in force', isRefused, SERVED_TIMEOUT_MS);
  }

  async create(object: StoredObject): Promise<Record<string, unknown>> {
    const resource = rawResource(object.kind);
    return await this.client.create(resource, object, { fieldValidation: 'Strict' });
  }

  /** What the server says when it refuses the object, or undefined if it takes it. */
  async refusal(object: StoredObject): Promise<string | undefined> {
    try {
      await this.create(object);
      return undefined;
    } catch (error) {
      if (isKubeError(error, 'invalid')) return error.message;
      throw error;
    }
  }

  async remove(kind: string, name: string): Promise<void> {
    const resource = rawResource(kind);
    const body = { metadata: { finalizers: null } };
    await this.client.patch(resource, { name }, { type: 'merge', body });
    await this.client.delete(resource, { name });
  }

  async patch(kind: string, name: string, body: unknown, subresource?: 'status'): Promise<unknown> {
    const patch = { type: 'merge' as const, body };
    const o = subresource === undefined ? {} : { subresource };
    return await this.client.patch(rawResource(kind), { name }, { ...patch, ...o });
  }

  /** Columns and rows as `kubectl get -o wide` gets them. */
  async table(plural: string): Promise<Record<string, unknown>[]> {
    const url = `${this.plane.url}/apis/multinic.fms.io/v1/${plural}`;
    const { headers, tls } = (await this.plane.target.credentials?.()) ?? { headers: {}, tls: {} };
    const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io';
    const response = await fetch(url, { headers: { ...headers, accept }, tls: { ...tls } });
    const { columnDefinitions, rows } = Object(await response.json());
    return rows.map(({ cells }: { cells: unknown[] }) =>
      Object.fromEntries(
        columnDefinitions.map(({ name }: { name: string }, i: number) => [name, cells[i]]),
      ),
    );
  }
}

/** A network in order, but for what is changed. */
export function network(change: {
  name?: string;
  spec?: Record<string, unknown>;
  ipam?: Record<string, unknown>;
  plugin?: Record<string, unknown>;
}): StoredObject {
  const ipam = { type: 'multi-nic-ipam', hostBlock: 8, interfaceBlock: 2, vlanMode: 'l3' };
  return {
    apiVersion: 'multinic.fms.io/v1',
    kind: 'MultiNicNetwork',
    metadata: { name: change.name ?? 'net' },
    spec: {
      subnet: '192.168.0.0/16',
      ipam: JSON.stringify({ ...ipam, ...change.ipam }),
      multiNICIPAM: true,
      plugin: { cniVersion: '0.3.0', type: 'ipvlan', ...change.plugin },
      ...change.spec,
    },
  };
}

/** Starts a server for one group of tests. */
export function useServer(
  binaries: ControlPlaneBinaries,
  prepare: (server: CrdServer) => Promise<void>,
): { readonly server: CrdServer } {
  const state: { server?: CrdServer } = {};
  beforeAll(async () => {
    state.server = new CrdServer(await startControlPlane({ binaries }));
    await prepare(state.server);
  }, 180_000);
  afterAll(async () => {
    await state.server?.plane.close();
  });
  return {
    get server() {
      if (state.server === undefined) throw new Error('the server has not started');
      return state.server;
    },
  };
}
