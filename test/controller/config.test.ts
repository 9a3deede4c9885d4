// The Config and its DaemonSet end to end.
import { describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  CNI_BIN_HOST_PATH,
  refuseConfig,
  toDefaultConfig,
} from '../../src/controller/plan/daemon-config.ts';
import { parseSettings } from '../../src/daemon/settings.ts';
import { CONFIG_FINALIZER } from '../../src/shared/model/names.ts';
import type { DaemonConfig } from '../../src/shared/model/objects/config.ts';
import * as kinds from '../../src/shared/platform/kube/resource.ts';
import { eventually } from '../helpers/eventually.ts';
import { type Lab, NAMESPACE, startLab, toSpec } from './harness.ts';
import { readState } from './states.ts';

const KEY = { name: 'multi-nicd', namespace: NAMESPACE };

const untilDaemonSet = (lab: Lab) =>
  eventually('the DaemonSet', () => lab.client.get(kinds.DAEMON_SETS, KEY));

const untilAccepted = (lab: Lab, name: string, status: string, reason: string) =>
  eventually(`Config ${name} Accepted=${status} ${reason}`, async () => {
    const config = await lab.client.get(kinds.DAEMON_CONFIGS, { name });
    const accepted = config?.status?.conditions?.find(({ type }) => type === 'Accepted');
    return accepted?.status === status && accepted.reason === reason ? accepted : undefined;
  });

describe('the Config', () => {
  test('of the samples is ours, and those of the original say that they are not', () => {
    const folder = join(import.meta.dir, '../../deploy');
    const read = (file: string): DaemonConfig =>
      kinds.DAEMON_CONFIGS.parse(
        Bun.YAML.parse(readFileSync(join(folder, 'samples', file), 'utf8')),
      );
    const manifest = readFileSync(join(folder, '30-controller.yaml'), 'utf8');
    const daemonImage = /DAEMON_IMAGE, value: '([^']+)'/.exec(manifest)?.[1] ?? '';
    const made = toDefaultConfig({
      daemonImage,
      cniBinPath: CNI_BIN_HOST_PATH,
      architecture: 'amd64',
    });
    const ours = read('config.yaml');
    expect(ours).toMatchObject(made);
    expect(refuseConfig(ours)).toBeUndefined();
    const variables = ours.spec.daemon.env ?? [];
    const env = Object.fromEntries(variables.map(({ name, value }) => [name, value]));
    expect(parseSettings(env, 'n1')).toEqual(parseSettings({}, 'n1'));
    const original = ['config-of-the-original.yaml', 'config-of-the-original-by-hand.yaml'];
    expect(original.map((file) => refuseConfig(read(file))?.reason)).toEqual([
      'OriginalImage',
      'NotTheOne',
    ]);
  });

  test('is created where there is none, and rendered', async () => {
    await using embedded = await startLab();
    const { lab } = embedded;
    await lab.startController();
    const daemonSet = await untilDaemonSet(lab);
    const config = await lab.client.get(kinds.DAEMON_CONFIGS, { name: 'multi-nicd' });
    expect(config?.spec.daemon.image).toBe('example/daemon:test');
    expect(daemonSet.metadata?.ownerReferences?.[0]).toMatchObject({
      kind: 'Config',
      name: 'multi-nicd',
      uid: config?.metadata.uid ?? '',
    });
    await untilAccepted(lab, 'multi-nicd', 'True', 'Applied');
  });

  test('W-84: deleting it takes its DaemonSet, nothing else, and it stays deleted', async () => {
    await using embedded = await startLab();
    const { lab, server } = embedded;
    await lab.addHost('node-0', '10.1.0.0/16');
    await lab.addNetwork('net', toSpec());
    await lab.startController();
    await untilDaemonSet(lab);
    await lab.untilCondition('net', 'Ready', 'True');
    const body = { metadata: { finalizers: [CONFIG_FINALIZER] } };
    await lab.client.patch(kinds.DAEMON_CONFIGS, { name: 'multi-nicd' }, { type: 'merge', body });
    await lab.client.delete(kinds.DAEMON_CONFIGS, { name: 'multi-nicd' });
    await eventually('the DaemonSet is gone', () => server.objects('daemonsets').length === 0);
    expect(server.objects('configs')).toEqual([]);
    expect(server.objects('cidrs')).toHaveLength(1);
    await lab.untilCondition('net', 'Ready', 'True');
  });

  test('a DaemonSet changed or deleted by hand is put right (W-87)', async () => {
    await using embedded = await startLab();
    const { lab } = embedded;
    await lab.startController();
    const { metadata } = await untilDaemonSet(lab);
    const uid = metadata?.uid;
    const template = { spec: { hostNetwork: false } };
    await lab.client.patch(kinds.DAEMON_SETS, KEY, { type: 'merge', body: { spec: { template } } });
    await eventually('hostNetwork is back', async () => {
      const stored = await lab.client.get(kinds.DAEMON_SETS, KEY);
      return stored?.spec?.template.spec?.hostNetwork;
    });
    await lab.client.delete(kinds.DAEMON_SETS, KEY);
    await eventually('another DaemonSet', async () => {
      const stored = await lab.client.get(kinds.DAEMON_SETS, KEY);
      return stored !== undefined && stored.metadata?.uid !== uid;
    });
  });

  test('a change of it reaches the DaemonSet, and W-83: its port reaches every definition', async () => {
    await using embedded = await startLab();
    const { lab } = embedded;
    await lab.addHost('node-0', '10.1.0.0/16');
    await lab.addNetwork('net', toSpec());
    await lab.startController();
    await untilDaemonSet(lab);
    await lab.untilCondition('net', 'Ready', 'True');
    const body = { spec: { daemon: { port: 12_000, image: 'example/daemon:next' } } };
    await lab.client.patch(kinds.DAEMON_CONFIGS, { name: 'multi-nicd' }, { type: 'merge', body });
    await eventually('image and port', async () => {
      const stored = await lab.client.get(kinds.DAEMON_SETS, KEY);
      const [container] = stored?.spec?.template.spec?.containers ?? [];
      return (
        container?.image === 'example/daemon:next' &&
        container.env?.find(({ name }) => name === 'DAEMON_PORT')?.value === '12000'
      );
    });
    await eventually('the port in the definition', async () => {
      const key = { name: 'net', namespace: 'default' };
      const nad = await lab.client.get(kinds.NET_ATTACH_DEFS, key);
      return nad?.spec?.config?.includes('"daemonPort":12000');
    });
  });

  test('W-84: a second Config has no effect and is told so', async () => {
    await using embedded = await startLab();
    const { lab, server } = embedded;
    await lab.startController();
    await untilDaemonSet(lab);
    const first = await lab.client.get(kinds.DAEMON_CONFIGS, { name: 'multi-nicd' });
    const spec = { ...first?.spec };
    await lab.client.create(kinds.DAEMON_CONFIGS, { metadata: { name: 'other' }, spec });
    await untilAccepted(lab, 'other', 'False', 'NotTheOne');
    expect(server.objects('daemonsets')).toHaveLength(1);
  });

  test('a DaemonSet that the API server refuses is said in the Config', async () => {
    await using embedded = await startLab();
    const { lab, server } = embedded;
    const match = { method: 'PATCH', plural: 'daemonsets' };
    const refusing = server.faults.add({ action: 'status', code: 422, match });
    await lab.startController();
    const { message } = await untilAccepted(lab, 'multi-nicd', 'False', 'WriteFailed');
    expect(message).toContain('apply patch daemonsets');
    refusing[Symbol.dispose]();
    await untilAccepted(lab, 'multi-nicd', 'True', 'Applied');
  });

  test('of a variable that is there twice the last counts, as in a pod', async () => {
    await using embedded = await startLab();
    const { lab } = embedded;
    await lab.startController();
    await untilAccepted(lab, 'multi-nicd', 'True', 'Applied');
    const env = ['1', '2', '3'].map((value) => ({ name: 'TWICE', value }));
    const body = { spec: { daemon: { env } } };
    await lab.client.patch(kinds.DAEMON_CONFIGS, { name: 'multi-nicd' }, { type: 'merge', body });
    await eventually('one variable', async () => {
      const stored = await lab.client.get(kinds.DAEMON_SETS, KEY);
      const [container] = stored?.spec?.template.spec?.containers ?? [];
      const found = container?.env?.filter(({ name }) => name === 'TWICE') ?? [];
      return found.length === 1 && found[0]?.value === '3';
    });
  });

  test('settled: nothing is written any more, also after a restart', async () => {
    await using embedded = await startLab();
    const { lab, server } = embedded;
    const first = await lab.startController();
    await untilAccepted(lab, 'multi-nicd', 'True', 'Applied');
    await first.running.queue.idle();
    await first.stop();
    const { revision } = server;
    const second = await lab.startController({ client: lab.cluster.newClient('second') });
    await eventually('the Config was looked at', () =>
      server.seen.some(
        (one) =>
          one.userAgent === 'second' && one.method === 'PATCH' && one.plural === 'daemonsets',
      ),
    );
    await second.running.queue.idle();
    expect(server.revision).toBe(revision);
  });
});

describe('a Config of the original', () => {
  const seed = async (lab: Lab, image?: string): Promise<void> => {
    const [config] = readState('01-ipvlan-l3', 'configs');
    const [daemonSet] = readState('01-ipvlan-l3', 'daemonsets');
    const { metadata, ...rest } = config ?? { metadata: { name: '' } };
    await lab.client.create(kinds.DAEMON_CONFIGS, { ...rest, metadata: { name: metadata.name } });
    if (image !== undefined) await setImage(lab, image);
    await lab.client.create(kinds.DAEMON_SETS, {
      metadata: { name: 'multi-nicd', namespace: NAMESPACE },
      spec: daemonSet?.spec,
    });
  };
  const setImage = async (lab: Lab, image: string): Promise<void> => {
    const body = { spec: { daemon: { image } } };
    await lab.client.patch(kinds.DAEMON_CONFIGS, { name: 'multi-nicd' }, { type: 'merge', body });
  };

  test('leaves its daemons running until it names our image', async () => {
    await using embedded = await startLab();
    const { lab } = embedded;
    await seed(lab);
    const before = await lab.client.get(kinds.DAEMON_SETS, KEY);
    await lab.startController();
    await untilAccepted(lab, 'multi-nicd', 'False', 'OriginalImage');
    expect(await lab.client.get(kinds.DAEMON_SETS, KEY)).toEqual(before);
    await setImage(lab, 'example/daemon:ours');
    await untilAccepted(lab, 'multi-nicd', 'True', 'Applied');
    const after = await lab.client.get(kinds.DAEMON_SETS, KEY);
    expect(after?.metadata?.uid).not.toBe(before?.metadata?.uid ?? '');
    const pod = after?.spec?.template.spec;
    expect(pod?.serviceAccountName).toBe('multi-nicd');
    expect(pod?.containers).toHaveLength(1);
    expect(pod?.containers[0]?.securityContext).toEqual({ privileged: true }); // as that Config says
    expect(pod?.volumes?.map(({ name }) => name)).not.toContain('cnibin');
    expect(pod?.volumes?.find(({ name }) => name === 'cni-bin')?.hostPath?.path).toBe(
      '/var/lib/cni/bin',
    );
  });

  test('is not privileged any more once it does not say so', async () => {
    await using embedded = await startLab();
    const { lab } = embedded;
    await seed(lab, 'example/daemon:ours');
    await lab.startController();
    await untilAccepted(lab, 'multi-nicd', 'True', 'Applied');
    const body = { spec: { daemon: { securityContext: null } } };
    await lab.client.patch(kinds.DAEMON_CONFIGS, { name: 'multi-nicd' }, { type: 'merge', body });
    const context = await eventually('capabilities instead', async () => {
      const stored = await lab.client.get(kinds.DAEMON_SETS, KEY);
      const own = stored?.spec?.template.spec?.containers[0]?.securityContext;
      return own?.capabilities === undefined ? undefined : own;
    });
    expect(context).toEqual({
      runAsUser: 0,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'], add: ['NET_ADMIN', 'SYS_ADMIN'] },
    });
  });
});
