// Test equipment: a lab on a real kube-apiserver. One server serves several tests, so each starts
// by taking everything away that the one before left.
import { join } from 'node:path';
import * as v from 'valibot';
import type { ApiTarget } from '../../src/shared/platform/kube/api-target.ts';
import { createKubeClient, type KubeClient } from '../../src/shared/platform/kube/client.ts';
import * as kinds from '../../src/shared/platform/kube/resource.ts';
import { NAD_CRD, ourCrds } from '../helpers/crds.ts';
import { eventually } from '../helpers/eventually.ts';
import {
  type ControlPlane,
  type ControlPlaneBinaries,
  startControlPlane,
} from '../peers/control-plane.ts';
import { Lab, NAMESPACE } from './harness.ts';

export const DEPLOY = join(import.meta.dir, '../../deploy');

const OURS: readonly kinds.Resource<unknown>[] = [
  kinds.MULTI_NIC_NETWORKS,
  kinds.NET_ATTACH_DEFS,
  kinds.CIDRS,
  kinds.IP_POOLS,
  kinds.HOST_INTERFACES,
  kinds.DAEMON_CONFIGS,
  kinds.DAEMON_SETS,
  kinds.CONFIG_MAPS,
  kinds.LEASES,
  kinds.PODS,
  kinds.NODES,
].map((kind) => ({ ...kind, parse: kinds.parseNamed }));

const TokenAnswer = v.looseObject({
  status: v.optional(v.looseObject({ token: v.optional(v.string()) })),
});

export class RealCluster implements AsyncDisposable {
  readonly plane: ControlPlane;
  readonly client: KubeClient;

  constructor(plane: ControlPlane) {
    this.plane = plane;
    this.client = createKubeClient(plane.target, { userAgent: 'test' });
  }

  /** With RBAC, garbage collection, and what a cluster has before us: Multus' definition. */
  static async start(binaries: ControlPlaneBinaries): Promise<RealCluster> {
    const plane = await startControlPlane({
      binaries,
      authorization: 'RBAC',
      hasControllerManager: true,
      apiserverFlags: ['--allow-privileged=true'], // the original's daemons are
    });
    const cluster = new RealCluster(plane);
    await cluster.client.create(kinds.CRDS, NAD_CRD);
    return cluster;
  }

  async installCrds(): Promise<void> {
    for (const crd of ourCrds()) await this.client.create(kinds.CRDS, crd);
    await this.untilEstablished();
    await this.client.create(kinds.NAMESPACES, { metadata: { name: NAMESPACE } });
  }

  async untilEstablished(): Promise<void> {
    for (const kind of OURS) {
      await eventually(
        `${kind.plural} are served`,
        async () => {
          await this.client.list(kind, { pageSize: 1 });
          return true;
        },
        20_000,
      );
    }
  }

  /** A lab as the administrator, on an empty cluster. */
  async lab(target: ApiTarget = this.plane.target): Promise<Lab> {
    await this.clean();
    return new Lab({
      client: this.client,
      newClient: (userAgent = 'test') => createKubeClient(target, { userAgent }),
    });
  }

  async clean(): Promise<void> {
    for (const kind of OURS) await this.#removeAll(kind);
    const { items } = await this.client.list(kinds.NAMESPACES);
    const names = items.map(({ metadata }) => metadata?.name ?? '');
    const added = names.filter((name) => !/^(default|kube-.*)$/.test(name) && name !== NAMESPACE);
    // The namespace controller takes seconds for each, so all at once.
    await Promise.all(added.map((name) => this.#removeNamespace(name)));
  }

  async #removeNamespace(name: string): Promise<void> {
    await this.client.delete(kinds.NAMESPACES, { name });
    await eventually(
      `namespace ${name} is gone`,
      async () => (await this.client.get(kinds.NAMESPACES, { name })) === undefined,
      60_000,
    );
  }

  async #removeAll(kind: kinds.Resource<unknown>): Promise<void> {
    const raw = { ...kind, parse: kinds.parseNamed };
    await eventually(
      `no ${kind.plural} are left`,
      async () => {
        const { items } = await this.client.list(raw);
        // Of kinds that the cluster itself uses only what is in our namespace.
        const isShared = kind.group === '' || kind.group === 'coordination.k8s.io';
        const own = items.filter(({ metadata }) =>
          isShared && kind.namespaced
            ? metadata.namespace === NAMESPACE && metadata.name !== 'kube-root-ca.crt'
            : true,
        );
        for (const { metadata } of own) {
          const key = { name: metadata.name, namespace: metadata.namespace };
          const body = { metadata: { finalizers: [] } };
          await this.client.patch(raw, key, { type: 'merge', body }).catch(() => undefined); // gone already
          await this.client.delete(raw, key, { gracePeriodSeconds: 0 });
        }
        return own.length === 0;
      },
      20_000,
    );
  }

  /** A token of a service account as a pod on that node gets it. */
  async tokenOf(account: string, nodeName?: string): Promise<ApiTarget> {
    const bound =
      nodeName === undefined ? {} : { boundObjectRef: await this.#podOn(nodeName, account) };
    const path = `/api/v1/namespaces/${NAMESPACE}/serviceaccounts/${account}/token`;
    const credentials = await this.plane.target.credentials?.();
    const response = await fetch(`${this.plane.url}${path}`, {
      method: 'POST',
      headers: { ...credentials?.headers, 'content-type': 'application/json' },
      tls: { ca: this.plane.ca },
      body: JSON.stringify({
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        spec: { expirationSeconds: 3600, ...bound },
      }),
    });
    const answer = v.parse(TokenAnswer, await response.json());
    const { token } = answer.status ?? {};
    if (token === undefined) throw new Error(`no token for ${account}: ${JSON.stringify(answer)}`);
    return this.plane.targetOf(token);
  }

  /** What the server says to a create by that user with all rights, whose token names that node. */
  async createAs(user: string, o: { node: string; path: string; body: unknown }): Promise<string> {
    const credentials = await this.plane.target.credentials?.();
    const response = await fetch(`${this.plane.url}${o.path}`, {
      method: 'POST',
      headers: {
        ...credentials?.headers,
        'content-type': 'application/json',
        'impersonate-user': user,
        'impersonate-group': 'system:masters',
        'impersonate-extra-authentication.kubernetes.io%2fnode-name': o.node,
      },
      tls: { ca: this.plane.ca },
      body: JSON.stringify(o.body),
    });
    return await response.text();
  }

  async #podOn(nodeName: string, account: string): Promise<Record<string, unknown>> {
    const name = `${account}-on-${nodeName}`;
    const key = { name, namespace: NAMESPACE };
    const pod =
      (await this.client.get(kinds.PODS, key)) ??
      (await this.client.create(kinds.PODS, {
        metadata: key,
        spec: {
          nodeName,
          serviceAccountName: account,
          containers: [{ name: 'daemon', image: 'example/daemon:test' }],
        },
      }));
    return { apiVersion: 'v1', kind: 'Pod', name, uid: pod.metadata?.uid };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.plane.close();
  }
}
