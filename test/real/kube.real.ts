// A real kube-apiserver keeps the same contract as the embedded one, and random requests find no
// difference between them.
import { afterAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createKubeClient } from '../../src/shared/platform/kube/client.ts';
import { isKubeError } from '../../src/shared/platform/kube/errors.ts';
import { CONFIG_MAPS, defineResource, NODES } from '../../src/shared/platform/kube/resource.ts';
import { loadApiTarget } from '../../src/shared/platform/kube/target.ts';
import { startApiServer } from '../apiserver/server.ts';
import { eventually } from '../helpers/eventually.ts';
import { requirement } from '../helpers/requirement.ts';
import { describeContract } from '../kube/contract.ts';
import { compareRound } from '../kube/differential.ts';
import { installCrd, rejectionOf, WIDGET_CRD } from '../kube/under-test.ts';
import {
  type ControlPlaneBinaries,
  findControlPlane,
  startControlPlane,
} from '../peers/control-plane.ts';

/** Of 80 requests each; a longer run: TEST_ROUNDS=200. */
const ROUNDS = Number(process.env.TEST_ROUNDS ?? 20);
const seed = Number(process.env.TEST_SEED ?? Math.floor(Math.random() * 2 ** 31));

const rbac = { group: 'rbac.authorization.k8s.io', version: 'v1', namespaced: false };
const CLUSTER_ROLES = defineResource({ ...rbac, plural: 'clusterroles', kind: 'ClusterRole' });
const CLUSTER_ROLE_BINDINGS = defineResource({
  ...rbac,
  plural: 'clusterrolebindings',
  kind: 'ClusterRoleBinding',
});

const found = await findControlPlane();

if (requirement('real-kube-apiserver', typeof found === 'string' ? found : undefined)) {
  if (typeof found === 'string') throw new Error(found);
  describeReal(found);
}

function describeReal(binaries: ControlPlaneBinaries): void {
  describeContract('real kube-apiserver', async () => {
    const user = { token: 'token-of-alice', username: 'alice' };
    const plane = await startControlPlane({
      binaries,
      users: { [user.token]: { name: user.username } },
      hasControllerManager: true,
    });
    return {
      target: plane.target,
      hasController: binaries.controllerManager !== undefined,
      user,
      forgetHistory: async () => {
        await plane.compact();
        // Its watch cache still knows what etcd has forgotten.
        await plane.stopApiServer();
        await plane.startApiServer();
      },
      stop: () => plane.stopApiServer(),
      start: () => plane.startApiServer(),
      close: () => plane.close(),
    };
  });

  describe('embedded and real API server', () => {
    test(
      `answer random requests alike (TEST_SEED=${seed})`,
      async () => {
        await using plane = await startControlPlane({ binaries });
        await using server = await startApiServer();
        const userAgent = 'differential/1';
        const real = createKubeClient(plane.target, { userAgent });
        const embedded = createKubeClient({ server: server.url }, { userAgent });
        await installCrd(real, WIDGET_CRD);
        await installCrd(embedded, WIDGET_CRD);
        for (let round = 0; round < ROUNDS; round += 1) {
          await compareRound(seed + round, embedded, real);
        }
      },
      60_000 + ROUNDS * 10_000,
    );
  });

  describe('real control plane', () => {
    test('its kubeconfig leads to it, and RBAC lets in whom it shall', async () => {
      const bob = 'token-of-bob';
      await using plane = await startControlPlane({
        binaries,
        authorization: 'RBAC',
        users: { [bob]: { name: 'bob', groups: ['readers'] } },
      });
      const target = await loadApiTarget({ kubeconfigPath: plane.kubeconfigPath, env: {} });
      const admin = createKubeClient(target);
      const rules = [{ apiGroups: [''], resources: ['nodes'], verbs: ['get', 'list', 'watch'] }];
      await admin.create(CLUSTER_ROLES, { metadata: { name: 'readers' }, rules });
      await admin.create(CLUSTER_ROLE_BINDINGS, {
        metadata: { name: 'readers' },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'readers' },
        subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: 'readers' }],
      });
      const reader = createKubeClient(plane.targetOf(bob));
      await eventually(
        'the role is known',
        async () => (await reader.list(NODES)).items.length === 0,
      );
      const refused = await rejectionOf(reader.create(NODES, { metadata: { name: 'n' } }));
      expect(isKubeError(refused, 'forbidden')).toBe(true);
      const secret = await rejectionOf(
        reader.get(CONFIG_MAPS, { name: 'x', namespace: 'default' }),
      );
      expect(isKubeError(secret, 'forbidden')).toBe(true);
      const stranger = createKubeClient(plane.targetOf('nobody'));
      expect(isKubeError(await rejectionOf(stranger.list(NODES)), 'unauthorized')).toBe(true);
    });
  });

  const { kubectl } = binaries;
  const missing = kubectl === undefined ? 'kubectl is not built' : undefined;
  if (requirement('kubectl-on-embedded-api-server', missing) && kubectl !== undefined) {
    describeKubectl(kubectl);
  }
}

function describeKubectl(kubectl: string): void {
  const home = mkdtempSync(join(tmpdir(), 'multi-nic-kubectl-'));
  afterAll(() => rmSync(home, { recursive: true }));
  const manifest = (image: string, env: string[]): string =>
    JSON.stringify({
      apiVersion: 'apps/v1',
      kind: 'DaemonSet',
      metadata: { name: 'd', namespace: 'default' },
      spec: {
        selector: { matchLabels: { app: 'd' } },
        template: {
          metadata: { labels: { app: 'd' } },
          spec: {
            containers: [{ name: 'c', image, env: env.map((name) => ({ name, value: '1' })) }],
          },
        },
      },
    });

  describe('kubectl on the embedded API server', () => {
    test('applies, applies again, gets, waits and deletes', async () => {
      await using server = await startApiServer({ crds: [WIDGET_CRD] });
      const run = async (input: string, ...flags: string[]): Promise<string> => {
        const child = Bun.spawn([kubectl, '--server', server.url, ...flags], {
          env: { HOME: home, PATH: '/usr/bin:/bin' },
          stdin: new Blob([input]),
          stdout: 'pipe',
          stderr: 'pipe',
          timeout: 30_000,
        });
        const [output, errors] = await Promise.all([child.stdout.text(), child.stderr.text()]);
        return `${output}${errors}`.trim();
      };
      const apply = ['apply', '--validate=false', '-f', '-'];
      expect(await run(manifest('i:1', ['A', 'B']), ...apply)).toBe('daemonset.apps/d created');
      expect(await run(manifest('i:2', ['B']), ...apply)).toBe('daemonset.apps/d configured');
      expect(await run(manifest('i:2', ['B']), ...apply)).toBe('daemonset.apps/d unchanged');
      const path = 'jsonpath={.spec.template.spec.containers[0].env[*].name}';
      expect(await run('', 'get', 'ds', 'd', '-o', path)).toBe('B');
      const serverSide = ['apply', '--server-side', '--force-conflicts', ...apply.slice(1)];
      expect(await run(manifest('i:3', ['C']), ...serverSide)).toContain('serverside-applied');
      const crd = 'crd/widgets.contract.test';
      expect(await run('', 'wait', '--for=condition=established', crd)).toContain('condition met');
      const widget = 'apiVersion: contract.test/v1\nkind: Widget\nmetadata: {name: w}\n';
      expect(await run(`${widget}spec: {size: 1}`, ...apply)).toContain('created');
      expect(await run(`${widget}spec: {size: 0}`, ...apply)).toContain('spec.size');
      expect(await run('', 'get', 'widgets', '-o', 'name')).toBe('widget.contract.test/w');
      expect(await run('', 'delete', 'widget/w', 'ds/d')).toContain('deleted');
      expect(await run('', 'get', 'widgets')).toContain('No resources found');
    });
  });
}
