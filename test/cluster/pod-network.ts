// The runtime's primary CNI configuration on a node: the test's meta-plugin, or a real Multus where
// MULTUS_BIN names one.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { kubeconfigOf } from './api.ts';
import { attempt, run } from './command.ts';
import type { ControlPlane } from './control-plane.ts';
import { writeFile } from './machine.ts';
import { installPlugin } from './node.ts';
import { nodeNumber, podBlock, STATE } from './settings.ts';

const KUBECONFIG = '/etc/test-meta/kubeconfig';
const META_PLUGIN = join(STATE, 'programs/test-meta');

/**
 * Path of a Multus executable to use instead of the meta-plugin; undefined if the tests bring their
 * own.
 */
export function multusProgram(): string | undefined {
  const path = process.env.MULTUS_BIN;
  return path === undefined || path === '' ? undefined : path;
}

/** Throws if MULTUS_BIN names something else than a Multus; nothing would work, and late. */
export async function checkMultus(): Promise<void> {
  const path = multusProgram();
  if (path === undefined) return;
  if (Bun.which(path) !== path) throw new Error(`MULTUS_BIN is ${path}, which is no executable`);
  const { stdout, stderr } = await attempt([path, '--version'], { timeoutMs: 10_000 });
  if (/^multus\b(?!-shim)/im.test(stdout + stderr)) return;
  const said = `${stdout}${stderr}`.trim().slice(0, 200);
  throw new Error(`MULTUS_BIN is ${path}, which is no Multus; its --version says: ${said}`);
}

/** Why the suites do not run through a real Multus; undefined if they do. */
export function whyNoMultus(): string | undefined {
  return multusProgram() === undefined ? 'MULTUS_BIN names no executable' : undefined;
}

/**
 * Why pods with further networks cannot start while the API server is away; undefined if they can.
 * Multus in its thin form asks the API server about every pod and has no cache.
 */
export function whyNotWithoutApi(): string | undefined {
  return multusProgram() === undefined ? undefined : 'thin Multus needs the API server';
}

/** Compiles the meta-plugin; not needed with a Multus. */
export async function buildMetaPlugin(): Promise<void> {
  const folder = join(STATE, 'programs');
  mkdirSync(folder, { recursive: true });
  const entry = join(import.meta.dir, 'meta-plugin.ts');
  const switches = [
    '--compile',
    '--minify',
    '--no-compile-autoload-dotenv',
    '--no-compile-autoload-bunfig',
  ];
  // In a folder that goes with the cluster: a compiler that is killed leaves a file where it works.
  await run([process.execPath, 'build', ...switches, entry, '--outfile', META_PLUGIN], { folder });
}

/** Writes the executable, its credentials and the configuration to the disk of a node. */
export function installPodNetwork(name: string, plane: ControlPlane): void {
  writeFile(name, KUBECONFIG, kubeconfigOf(plane.access('meta')), 0o600);
  const defaultNetwork = defaultNetworkOf(name);
  const multus = multusProgram();
  if (multus !== undefined) {
    installPlugin(name, multus, 'multus');
    const config = {
      cniVersion: '1.0.0',
      name: 'multus-cni-network',
      type: 'multus',
      kubeconfig: KUBECONFIG,
      confDir: '/etc/cni/multus/net.d',
      delegates: [defaultNetwork],
    };
    writeFile(name, 'etc/cni/net.d/00-multus.conf', JSON.stringify(config));
    return;
  }
  installPlugin(name, META_PLUGIN, 'test-meta');
  const plugin = {
    type: 'test-meta',
    kubeconfig: KUBECONFIG,
    cniDir: '/var/lib/cni/test-meta',
    capabilities: { 'io.kubernetes.cri.pod-annotations': true },
    defaultNetwork,
  };
  const list = { cniVersion: '1.1.0', name: 'test-meta', plugins: [plugin] };
  writeFile(name, 'etc/cni/net.d/10-test-meta.conflist', JSON.stringify(list));
}

/**
 * Objects that the meta-plugin, or Multus, needs in the API server: its rights, and the kind of its
 * networks.
 */
export function podNetworkObjects(): object[] {
  const rbac = 'rbac.authorization.k8s.io';
  const role = { apiGroup: rbac, kind: 'ClusterRole', name: 'test-meta' };
  const plural = 'network-attachment-definitions';
  const config = { type: 'string', description: 'CNI configuration, or a list of them, in JSON' };
  const spec = { type: 'object', properties: { config } };
  return [
    {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: `${plural}.k8s.cni.cncf.io` },
      spec: {
        group: 'k8s.cni.cncf.io',
        scope: 'Namespaced',
        names: {
          plural,
          singular: 'network-attachment-definition',
          kind: 'NetworkAttachmentDefinition',
          shortNames: ['net-attach-def'],
        },
        versions: [
          {
            name: 'v1',
            served: true,
            storage: true,
            schema: { openAPIV3Schema: { type: 'object', properties: { spec } } },
          },
        ],
      },
    },
    {
      apiVersion: `${rbac}/v1`,
      kind: 'ClusterRole',
      metadata: { name: 'test-meta' },
      rules: [
        { apiGroups: [''], resources: ['pods'], verbs: ['get'] },
        { apiGroups: [''], resources: ['pods/status'], verbs: ['patch', 'update'] },
        { apiGroups: ['k8s.cni.cncf.io'], resources: [plural], verbs: ['get', 'list', 'watch'] },
      ],
    },
    {
      apiVersion: `${rbac}/v1`,
      kind: 'ClusterRoleBinding',
      metadata: { name: 'test-meta' },
      roleRef: role,
      subjects: [{ apiGroup: rbac, kind: 'User', name: 'test-meta' }],
    },
  ];
}

function defaultNetworkOf(name: string): object {
  const bridge = {
    type: 'bridge',
    bridge: 'cni0',
    isGateway: true,
    hairpinMode: true,
    ipam: {
      type: 'host-local',
      ranges: [[{ subnet: podBlock(nodeNumber(name)) }]],
      routes: [{ dst: '0.0.0.0/0' }],
    },
  };
  return { cniVersion: '1.0.0', name: 'pods', plugins: [bridge] };
}
