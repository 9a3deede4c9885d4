// CHECK, STATUS, GC, VERSION, the banner, and the names that are kept.
import { describe, expect, test } from 'bun:test';
import { programOf } from '../../src/cni/program.ts';
import type { ErrorKind } from '../../src/shared/model/errors.ts';
import { call, configText } from './call.ts';
import { problem, startStubDaemon } from './stub-daemon.ts';

const prevResult = {
  cniVersion: '1.1.0',
  interfaces: [{ name: 'net1-0', sandbox: '/var/run/netns/cni-1' }],
  ips: [{ address: '192.168.0.65/18', interface: 0 }],
};

describe('CHECK', () => {
  const env = { CNI_COMMAND: 'CHECK' };
  const stdin = configText({ prevResult });

  test('gives the daemon what the ADD has printed', async () => {
    await using daemon = startStubDaemon(() => Response.json({}));
    const { exitCode, stdout } = await call({ env, stdin, daemon: daemon.socketPath });
    expect([exitCode, stdout]).toEqual([0, '']);
    expect(daemon.requests).toMatchObject([{ command: 'CHECK', config: { prevResult } }]);
  });

  test('reports what the daemon found', async () => {
    await using daemon = startStubDaemon(() => problem('check-failed', 'net1-0 is down'));
    const { document } = await call({ env, stdin, daemon: daemon.socketPath });
    expect(document).toMatchObject({ code: 105, msg: 'net1-0 is down' });
  });

  test('without a daemon is code 11', async () => {
    const { document } = await call({ env, stdin });
    expect(document).toMatchObject({ code: 11 });
    expect(document?.details).toContain('see whether its pod runs on this node');
  });

  test('is answered from 0.4.0 on', async () => {
    await using daemon = startStubDaemon(() => Response.json({}));
    const old = configText({
      cniVersion: '0.4.0',
      prevResult: { ...prevResult, cniVersion: '0.4.0', ips: [] },
    });
    expect((await call({ env, stdin: old, daemon: daemon.socketPath })).exitCode).toBe(0);
  });
});

describe('STATUS', () => {
  // What is set beside the verb is about no attachment, was not checked and is not passed on.
  const env = { CNI_COMMAND: 'STATUS', CNI_CONTAINERID: '%%', CNI_IFNAME: 'a/b' };

  test('is silent when the daemon can serve', async () => {
    await using daemon = startStubDaemon(() => Response.json({}));
    const { exitCode, stdout } = await call({ env, daemon: daemon.socketPath });
    expect([exitCode, stdout]).toEqual([0, '']);
    expect(daemon.requests).toMatchObject([{ command: 'STATUS', containerId: '', ifName: '' }]);
  });

  test('is code 50 without a daemon', async () => {
    const { document, exitCode } = await call({ env });
    expect(document).toMatchObject({ code: 50, cniVersion: '1.1.0' });
    expect(exitCode).toBe(1);
  });

  const kinds: [ErrorKind, number][] = [
    ['not-ready', 50],
    ['journal-corrupt', 50],
    ['network-unknown', 101],
  ];
  for (const [kind, code] of kinds) {
    test(`is code ${code} when the daemon says ${kind}`, async () => {
      await using daemon = startStubDaemon(() => problem(kind));
      const { document } = await call({ env, daemon: daemon.socketPath });
      expect(document?.code).toBe(code);
    });
  }

  test('is code 50 when the daemon hangs', async () => {
    await using daemon = startStubDaemon(() => new Promise(() => undefined));
    const { document } = await call({
      env,
      daemon: daemon.socketPath,
      timeoutsMs: { STATUS: 20 },
    });
    expect(document?.code).toBe(50);
  });
});

describe('GC', () => {
  const env = { CNI_COMMAND: 'GC', CNI_CONTAINERID: '', CNI_NETNS: '', CNI_IFNAME: '' };
  const one = [{ containerID: 'a', ifname: 'net1' }];
  const lists: [string, Record<string, unknown>, unknown][] = [
    ['the key of the specification', { 'cni.dev/valid-attachments': one }, one],
    ['the key of the draft', { 'cni.dev/attachments': one }, one],
    ['both', { 'cni.dev/valid-attachments': one, 'cni.dev/attachments': [] }, one],
    ['null, as libcni writes an empty list', { 'cni.dev/valid-attachments': null }, []],
    ['an empty list', { 'cni.dev/valid-attachments': [] }, []],
  ];
  for (const [what, keys, valid] of lists) {
    test(`takes ${what}`, async () => {
      await using daemon = startStubDaemon(() => Response.json({}));
      const stdin = configText(keys);
      const { exitCode, stdout } = await call({ env, stdin, daemon: daemon.socketPath });
      expect([exitCode, stdout]).toEqual([0, '']);
      expect(daemon.requests).toMatchObject([
        { command: 'GC', config: { 'cni.dev/valid-attachments': valid } },
      ]);
    });
  }

  test('reports what the daemon could not collect', async () => {
    await using daemon = startStubDaemon(() => problem('io-failed', 'two rows stay'));
    const stdin = configText({ 'cni.dev/valid-attachments': [] });
    const { document } = await call({ env, stdin, daemon: daemon.socketPath });
    expect(document).toMatchObject({ code: 5, msg: 'two rows stay' });
  });
});

describe('the names that are kept', () => {
  for (const program of ['multi-nic-ipam', 'aws-ipvlan'] as const) {
    test(`${program} answers VERSION and prints its own banner`, async () => {
      const version = await call({ env: { CNI_COMMAND: 'VERSION' }, over: { program } });
      expect(version.document).toMatchObject({ cniVersion: '1.1.0' });
      const banner = await call({ env: { CNI_COMMAND: '' }, over: { program } });
      expect(banner.stderr.join()).toContain(`CNI ${program} plugin 2.0.0-test`);
      expect(banner).toMatchObject({ exitCode: 0, stdout: '' });
    });

    test(`${program} says that it does not attach and what to do, and asks nobody`, async () => {
      await using daemon = startStubDaemon(() => Response.json({}));
      for (const [command, advice] of [
        ['ADD', 'set type to multi-nic'],
        ['CHECK', 'recreate the pod'],
      ] as const) {
        const { document, exitCode } = await call({
          env: { CNI_COMMAND: command },
          stdin: configText({ prevResult }),
          daemon: daemon.socketPath,
          over: { program },
        });
        expect(document).toMatchObject({
          code: 7,
          msg: `${program} does not handle ${command}: it is kept as a name only`,
        });
        expect(String(document?.details)).toContain(advice);
        expect(exitCode).toBe(1);
      }
      expect(daemon.requests).toEqual([]);
    });

    test(`${program} lets a pod of the original end: DEL is silent and says why`, async () => {
      await using daemon = startStubDaemon(() => Response.json({}));
      const leftover = JSON.stringify({ cniVersion: '0.3.0', name: 'n', type: program });
      for (const stdin of [leftover, configText({ prevResult }), configText({ plugin: 5 })]) {
        for (const CNI_NETNS of ['/var/run/netns/gone', '']) {
          const { exitCode, stdout, stderr } = await call({
            env: { CNI_COMMAND: 'DEL', CNI_NETNS },
            stdin,
            daemon: daemon.socketPath,
            over: { program },
          });
          expect([exitCode, stdout]).toEqual([0, '']);
          expect(stderr.map((line) => JSON.parse(line))).toMatchObject([
            {
              level: 'info',
              msg: 'DEL has nothing to release',
              containerId: 'sandbox-1',
              ifName: 'net1',
              reason: expect.stringContaining(`nothing is attached under the name ${program}`),
            },
          ]);
        }
      }
      expect(daemon.requests).toEqual([]);
    });

    test(`${program} refuses malformed DELs as multi-nic does`, async () => {
      const malformed: Parameters<typeof call>[0][] = [
        { env: { CNI_CONTAINERID: undefined } },
        { env: { CNI_CONTAINERID: '%%' } },
        { env: { CNI_IFNAME: 'a/b' } },
        { env: { CNI_PATH: undefined } },
        { stdin: '{' },
        { stdin: configText({ name: undefined }) },
        { stdin: configText({ name: 'n/a' }) },
        { stdin: configText({ cniVersion: '2.0.0' }) },
        { over: { isOwnNetns: () => true } },
      ];
      for (const o of malformed) {
        const env = { ...o?.env, CNI_COMMAND: 'DEL' };
        const wanted = await call({ ...o, env });
        const { document, exitCode } = await call({ ...o, env, over: { ...o?.over, program } });
        expect(document).toEqual(wanted.document);
        expect(document).toHaveProperty('code');
        expect(exitCode).toBe(1);
      }
    });

    test(`${program} passes STATUS on, and GC has nothing to do`, async () => {
      await using daemon = startStubDaemon(() => problem('not-ready'));
      const over = { program };
      const o = { daemon: daemon.socketPath, over };
      expect((await call({ env: { CNI_COMMAND: 'STATUS' }, ...o })).document?.code).toBe(50);
      const gc = { env: { CNI_COMMAND: 'GC' }, stdin: configText() };
      expect((await call({ ...gc, ...o })).exitCode).toBe(0);
      expect(daemon.requests).toHaveLength(1);
    });
  }

  test('argv[0] decides, with or without a folder', () => {
    expect(programOf('/opt/cni/bin/multi-nic-ipam')).toBe('multi-nic-ipam');
    expect(programOf('aws-ipvlan')).toBe('aws-ipvlan');
    expect(programOf('./multi-nic')).toBe('multi-nic');
    expect(programOf('/usr/bin/bun')).toBe('multi-nic');
    expect(programOf('')).toBe('multi-nic');
  });
});
