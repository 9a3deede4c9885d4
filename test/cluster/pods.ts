// Test pods: making them, waiting for them, running programs in them and reading what networks they
// got.

import { type ApiAccess, at, callApi, listAt, readApi, textAt } from './api.ts';
import { adminAccess } from './cluster.ts';
import { run, waitFor } from './command.ts';
import { describeNeighbours } from './neighbours.ts';
import { findPeers } from './peers.ts';
import { ADMIN_ENVIRONMENT, POD_IMAGE } from './settings.ts';

/** A pod to make. */
export interface PodRequest {
  readonly name: string;
  readonly namespace?: string;
  /** Undefined: the scheduler chooses. */
  readonly node?: string;
  /** Value of the networks annotation. */
  readonly networks?: string;
  /** Label `group`, by which many pods are waited for and deleted. */
  readonly group?: string;
}

/** One network of a pod as the network-status annotation has it. */
export interface PodNetwork {
  readonly name: string;
  readonly interface: string;
  readonly ips: readonly string[];
}

/** Ends at once on SIGTERM, as PID 1 with a handler, and costs nothing until then. */
export const IDLE_SCRIPT = 'trap exit TERM; sleep 2147483647 & wait';

/** The pod as the API server wants it. */
export function podObject(request: PodRequest): object {
  const annotations =
    request.networks === undefined ? {} : { 'k8s.v1.cni.cncf.io/networks': request.networks };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: request.name,
      namespace: request.namespace ?? 'default',
      labels: { group: request.group ?? request.name },
      annotations,
    },
    spec: {
      ...(request.node === undefined ? {} : { nodeName: request.node }),
      dnsPolicy: 'Default',
      enableServiceLinks: false,
      terminationGracePeriodSeconds: 1,
      containers: [
        {
          name: 'main',
          image: POD_IMAGE,
          imagePullPolicy: 'Never',
          command: ['/bin/sh', '-c', IDLE_SCRIPT],
          securityContext: { capabilities: { add: ['NET_RAW'] } }, // ping
        },
      ],
    },
  };
}

/** Creates pods, all at once. */
export async function createPods(requests: readonly PodRequest[]): Promise<void> {
  const access = adminAccess();
  await Promise.all(requests.map((request) => create(access, request)));
}

/** Waits until all pods of the group, and as many as told, are ready; returns them. */
export async function waitReady(
  group: string,
  o: { count: number; timeoutMs: number; namespace?: string },
): Promise<unknown[]> {
  return waitFor(
    `${o.count} ready pods of ${group}`,
    async () => {
      const pods = await listPods(group, o.namespace);
      return pods.length === o.count && pods.every(isReady) ? pods : undefined;
    },
    { timeoutMs: o.timeoutMs },
  );
}

/**
 * Deletes the pods of a group and waits until the API server has forgotten them, which is after
 * their last DEL.
 */
export async function deletePods(
  group: string,
  o: { timeoutMs: number; namespace?: string },
): Promise<void> {
  const path = `${podsPath(o.namespace)}?labelSelector=group%3D${group}`;
  const reply = await callApi(adminAccess(), { method: 'DELETE', path });
  if (reply.status !== 200) throw new Error(`deleting ${group}: ${JSON.stringify(reply.body)}`);
  const gone = async (): Promise<boolean> => (await listPods(group, o.namespace)).length === 0;
  await waitFor(`end of the pods of ${group}`, gone, { timeoutMs: o.timeoutMs });
}

/**
 * Removes what a test that failed has left in a namespace, so that the next one begins like the
 * first: Deployments, and pods of other groups than those to keep.
 */
export async function clearPods(
  o: { keep?: readonly string[]; namespace?: string } = {},
): Promise<void> {
  const deployments = `/apis/apps/v1/namespaces/${o.namespace ?? 'default'}/deployments`;
  await deleteAll(`${deployments}?propagationPolicy=Background`);
  const others = `labelSelector=group%20notin%20(${['', ...(o.keep ?? [])].join(',')})`;
  const path = `${podsPath(o.namespace)}?${others}`;
  const gone = async (): Promise<boolean> => {
    // Again and again: the owner of a pod may not have heard yet that it is gone itself.
    const pods = listAt(await readApi(adminAccess(), path), 'items');
    if (pods.length > 0) await deleteAll(path);
    return pods.length === 0;
  };
  await waitFor('removal of pods', gone, { timeoutMs: 120_000, everyMs: 300 });
}

async function deleteAll(path: string): Promise<void> {
  const reply = await callApi(adminAccess(), { method: 'DELETE', path });
  if (reply.status !== 200) throw new Error(`deleting ${path}: ${JSON.stringify(reply.body)}`);
}

/** Pods with this `group` label. */
export async function listPods(group: string, namespace?: string): Promise<unknown[]> {
  const path = `${podsPath(namespace)}?labelSelector=group%3D${group}`;
  return listAt(await readApi(adminAccess(), path), 'items');
}

/** One pod by name. */
export async function readPod(name: string, namespace = 'default'): Promise<unknown> {
  return readApi(adminAccess(), `${podsPath(namespace)}/${name}`);
}

/** Runs a shell script in a pod and returns what it printed. */
export async function runInPod(
  name: string,
  script: string,
  namespace = 'default',
): Promise<string> {
  const kubectl = (await findPeers()).outside('kubectl');
  return run([kubectl, 'exec', '-n', namespace, name, '--', '/bin/sh', '-ec', script], {
    env: ADMIN_ENVIRONMENT,
  });
}

/** The networks a pod got besides the default one, in the order of its interfaces. */
export function networksOf(pod: unknown): PodNetwork[] {
  const text = at(pod, 'metadata', 'annotations', 'k8s.v1.cni.cncf.io/network-status');
  if (typeof text !== 'string') return [];
  const entries: unknown = JSON.parse(text);
  return listAt({ entries }, 'entries')
    .filter((entry) => at(entry, 'default') !== true)
    .map((entry) => ({
      name: textAt(entry, 'name'),
      interface: textAt(entry, 'interface'),
      ips: listAt(entry, 'ips').map(String),
    }));
}

/**
 * Pings every pod from every other one, each address of an interface from the interface of the same
 * name. Throws with the pairs that got no answer and what is known of neighbours; returns how many
 * did.
 */
export async function pingAll(pods: readonly unknown[]): Promise<number> {
  const targets = pods.map((pod) => ({
    name: textAt(pod, 'metadata', 'name'),
    namespace: textAt(pod, 'metadata', 'namespace'),
    networks: networksOf(pod),
  }));
  const lines = await Promise.all(
    targets.map(async (from) => {
      const others = targets.filter((target) => target !== from).flatMap((to) => to.networks);
      // Started together, so that lost ones cost their seconds only once. A second try, because an
      // answer may be late on a busy machine.
      const pings = others.flatMap((to) =>
        to.ips.map((ip) => {
          const ping = `ping -c1 -W2 -I ${to.interface} ${ip} >/dev/null`;
          return `{ { ${ping} || ${ping}; } && echo "ok ${ip}" || echo "lost ${ip}"; } &`;
        }),
      );
      const output = await runInPod(from.name, `${pings.join('\n')}\nwait`, from.namespace);
      return output
        .trim()
        .split('\n')
        .map((line) => `${from.name}: ${line}`);
    }),
  );
  const all = lines.flat();
  const lost = all.filter((line) => !line.includes(': ok '));
  if (lost.length > 0) {
    const nodes = new Set(pods.map((pod) => textAt(pod, 'spec', 'nodeName')));
    const neighbours = await describeNeighbours([...nodes]);
    throw new Error(['no answer to pings:', ...lost, ...neighbours].join('\n'));
  }
  return all.length;
}

/** True if the pod's Ready condition is. */
export function isReady(pod: unknown): boolean {
  return listAt(pod, 'status', 'conditions').some(
    (condition) => at(condition, 'type') === 'Ready' && at(condition, 'status') === 'True',
  );
}

async function create(access: ApiAccess, request: PodRequest): Promise<void> {
  const body = podObject(request);
  const reply = await callApi(access, { method: 'POST', path: podsPath(request.namespace), body });
  if (reply.status !== 201) {
    throw new Error(`creating pod ${request.name}: ${reply.status} ${JSON.stringify(reply.body)}`);
  }
}

function podsPath(namespace = 'default'): string {
  return `/api/v1/namespaces/${namespace}/pods`;
}
