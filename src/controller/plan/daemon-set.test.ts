// What a Config becomes: refusals, defaults and the DaemonSet.
import { describe, expect, test } from 'bun:test';
import * as v from 'valibot';
import { DaemonConfig } from '../../shared/model/objects/config.ts';
import { refuseConfig, toDefaultConfig, toNadSettings } from './daemon-config.ts';
import { renderDaemonSet } from './daemon-set.ts';

const Rendered = v.looseObject({
  metadata: v.looseObject({ ownerReferences: v.array(v.unknown()) }),
  spec: v.looseObject({
    selector: v.unknown(),
    template: v.looseObject({
      metadata: v.unknown(),
      spec: v.looseObject({
        initContainers: v.array(v.record(v.string(), v.unknown())),
        containers: v.array(
          v.looseObject({
            name: v.string(),
            env: v.array(v.looseObject({ name: v.string(), value: v.optional(v.string()) })),
            volumeMounts: v.array(v.looseObject({ name: v.string(), mountPath: v.string() })),
          }),
        ),
        volumes: v.array(
          v.looseObject({ name: v.string(), hostPath: v.looseObject({ path: v.string() }) }),
        ),
      }),
    }),
  }),
});

function config(change: Record<string, unknown> = {}, name = 'multi-nicd'): DaemonConfig {
  const base = toDefaultConfig({
    daemonImage: 'example/daemon:1',
    cniBinPath: '/opt/cni/bin',
    architecture: 'arm64',
  });
  const { spec } = base;
  return v.parse(DaemonConfig, {
    metadata: { name, uid: 'uid-c' },
    spec: { ...spec, daemon: { ...spec.daemon, ...change } },
  });
}

function render(change: Record<string, unknown> = {}) {
  const { object } = renderDaemonSet(config(change), { namespace: 'ns' });
  const { metadata, spec } = v.parse(Rendered, object);
  const pod = spec.template.spec;
  const [daemon] = pod.containers;
  if (daemon === undefined) throw new Error('no container');
  return { metadata, spec, pod, daemon };
}

describe('renderDaemonSet', () => {
  test('the daemon gets two capabilities and nothing else', () => {
    const { pod, daemon } = render();
    expect(daemon.securityContext).toEqual({
      runAsUser: 0,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'], add: ['NET_ADMIN', 'SYS_ADMIN'] },
    });
    expect(pod.hostNetwork).toBe(true);
    expect(pod.securityContext).toEqual({ seccompProfile: { type: 'RuntimeDefault' } });
    expect(pod).not.toHaveProperty('hostPID');
  });

  test('the installer may write to a directory that is not of root, and nothing else', () => {
    expect(render().pod.initContainers[0]?.securityContext).toEqual({
      runAsUser: 0,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'], add: ['DAC_OVERRIDE'] },
    });
  });

  test('what the Config says of confinement holds for both, capabilities for the daemon', () => {
    const seLinuxOptions = { type: 'spc_t' };
    const own = { runAsUser: 0, seLinuxOptions, capabilities: { add: ['NET_ADMIN', 'SYS_ADMIN'] } };
    const { pod, daemon } = render({ securityContext: own });
    expect(daemon.securityContext).toEqual(own);
    expect(pod.initContainers[0]?.securityContext).toMatchObject({
      seLinuxOptions,
      capabilities: { drop: ['ALL'], add: ['DAC_OVERRIDE'] },
    });
  });

  test('a privileged installer does not refuse more rights: the API server would not have it', () => {
    const { pod } = render({ securityContext: { privileged: true } });
    const context = pod.initContainers[0]?.securityContext;
    expect(context).toMatchObject({ privileged: true });
    expect(context).not.toHaveProperty('allowPrivilegeEscalation');
  });

  test('only nodes with the processor of the image get one', () => {
    expect(render().pod.nodeSelector).toEqual({
      'kubernetes.io/os': 'linux',
      'kubernetes.io/arch': 'arm64',
    });
  });

  test('it sees namespaces of pods that start later, and its own two folders', () => {
    const { pod, daemon } = render();
    const mount = (path: string) => daemon.volumeMounts.find(({ mountPath }) => mountPath === path);
    expect(mount('/run/netns')).toMatchObject({ mountPropagation: 'HostToContainer' });
    expect(mount('/run/multi-nic')).toBeDefined();
    expect(mount('/var/lib/multi-nic')).toBeDefined();
    expect(mount('/host/opt/cni/bin')).toBeUndefined(); // the installer's alone
    for (const { name } of daemon.volumeMounts) {
      expect(pod.volumes.filter((volume) => volume.name === name)).toHaveLength(1);
    }
  });

  test('the installer writes the CNI directory of the host that the Config names', () => {
    const mounts = [{ name: 'cnibin', podpath: '/host/opt/cni/bin', hostpath: '/var/lib/cni/bin' }];
    const { pod } = render({ mounts });
    expect(pod.initContainers[0]).toMatchObject({
      name: 'install',
      command: ['/usr/local/bin/multi-nicd', 'install', '--to', '/host/opt/cni/bin'],
      volumeMounts: [{ name: 'cni-bin', mountPath: '/host/opt/cni/bin' }],
    });
    expect(pod.volumes.find(({ name }) => name === 'cni-bin')?.hostPath.path).toBe(
      '/var/lib/cni/bin',
    );
  });

  test('what the Config says is honoured', () => {
    const { pod, daemon } = render({
      securityContext: { privileged: true },
      nodeSelector: { gpu: 'yes' },
      tolerations: [{ key: 'x', operator: 'Exists' }],
      resources: { limits: { memory: '1Gi' } },
      env: [{ name: 'RT_TABLE_PATH', value: '/opt/rt_tables' }],
      envFrom: [{ configMapRef: { name: 'more' } }],
      imagePullSecretName: 'pull',
      imagePullPolicy: 'Always',
      mounts: [
        { name: 'rt-tables', podpath: '/opt/rt_tables', hostpath: '/etc/iproute2/rt_tables' },
      ],
    });
    expect(pod).toMatchObject({
      nodeSelector: { gpu: 'yes', 'kubernetes.io/os': 'linux' },
      tolerations: [{ key: 'x', operator: 'Exists' }],
      imagePullSecrets: [{ name: 'pull' }],
    });
    expect(daemon).toMatchObject({
      securityContext: { privileged: true },
      resources: { limits: { memory: '1Gi' } },
      envFrom: [{ configMapRef: { name: 'more' } }],
      imagePullPolicy: 'Always',
    });
    expect(daemon.env).toContainEqual({ name: 'RT_TABLE_PATH', value: '/opt/rt_tables' });
    expect(daemon.volumeMounts).toContainEqual({ name: 'rt-tables', mountPath: '/opt/rt_tables' });
  });

  test('W-83: the port is one value, whatever the environment of the Config says', () => {
    const { daemon } = render({ port: 12_000, env: [{ name: 'DAEMON_PORT', value: '11000' }] });
    expect(daemon.env.filter(({ name }) => name === 'DAEMON_PORT')).toEqual([
      { name: 'DAEMON_PORT', value: '12000' },
    ]);
    expect(daemon.ports).toEqual([{ name: 'http', containerPort: 12_000, protocol: 'TCP' }]);
    expect(daemon.readinessProbe).toMatchObject({
      httpGet: { path: '/readyz', port: 12_000, host: '127.0.0.1' },
    });
    expect(daemon.livenessProbe).toMatchObject({ httpGet: { path: '/healthz' } });
  });

  test('a mount of the Config with a name of ours is renamed', () => {
    const { pod } = render({ mounts: [{ name: 'state', podpath: '/extra', hostpath: '/extra' }] });
    expect(pod.volumes.map(({ name }) => name)).toContain('config-state');
  });

  test('W-84: the Config owns it', () => {
    expect(render().metadata.ownerReferences).toMatchObject([
      { kind: 'Config', name: 'multi-nicd', uid: 'uid-c', controller: true },
    ]);
  });

  test('the same Config gives the same mark, another one another', () => {
    const mark = (change: Record<string, unknown>): string =>
      renderDaemonSet(config(change), { namespace: 'ns' }).rendered;
    expect(mark({})).toBe(mark({}));
    expect(mark({})).not.toBe(mark({ image: 'example/daemon:2' }));
  });
});

describe('Config', () => {
  test('only the one of the fixed name counts', () => {
    expect(refuseConfig(config())).toBeUndefined();
    expect(refuseConfig(config({}, 'other'))?.reason).toBe('NotTheOne');
  });

  test.each([
    ['ghcr.io/foundation-model-stack/multi-nic-cni-daemon:v1.3.2', 'OriginalImage'],
    ['registry:5000/multi-nic-cni-daemon@sha256:00', 'OriginalImage'],
    ['multi-nic-cni-daemon', 'OriginalImage'],
    ['example/my-multi-nic-cni-daemon-fork:1', undefined],
    ['multi-nic.local/daemon:2.0.0', undefined],
  ])('image %s: %p', (image, reason) => {
    expect(refuseConfig(config({ image }))?.reason).toBe(reason);
  });

  test('definitions take port and type from it, and defaults while there is none', () => {
    expect(toNadSettings(config({ port: 1234 }))).toEqual({
      cniType: 'multi-nic',
      daemonPort: 1234,
    });
    expect(toNadSettings(undefined)).toEqual({ cniType: 'multi-nic', daemonPort: 11000 });
  });
});
