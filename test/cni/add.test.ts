// ADD: what is asked of the daemon, what is made of its answer, and what is undone.
import { describe, expect, test } from 'bun:test';
import { readdirSync } from 'node:fs';
import { SUPPORTED_VERSIONS } from '../../src/shared/model/cni/version.ts';
import type { ErrorKind } from '../../src/shared/model/errors.ts';
import { brokenSpool, call, configText, GOOD_CONFIG, GOOD_ENV } from './call.ts';
import { attachedReply, problem, startAttachingDaemon, startStubDaemon } from './stub-daemon.ts';

describe('ADD', () => {
  test('sends the call as it is, once, and prints what the daemon attached', async () => {
    await using daemon = startAttachingDaemon(2);
    const called = await call({ daemon: daemon.socketPath });
    expect(called.exitCode).toBe(0);
    expect(called.stderr).toEqual([]);
    expect(daemon.requests).toEqual([
      {
        requestId: expect.stringMatching(/^[0-9a-f-]{36}$/),
        command: 'ADD',
        containerId: 'sandbox-1',
        netns: '/var/run/netns/cni-1',
        ifName: 'net1',
        args: GOOD_ENV.CNI_ARGS,
        path: '/opt/cni/bin',
        config: GOOD_CONFIG,
      },
    ]);
    expect(called.document).toEqual({
      cniVersion: '1.1.0',
      interfaces: [
        { name: 'net1-0', mac: '02:00:00:00:00:00', mtu: 9000, sandbox: '/var/run/netns/cni-1' },
        { name: 'net1-1', mac: '02:00:00:00:00:01', mtu: 9000, sandbox: '/var/run/netns/cni-1' },
      ],
      ips: [
        { address: '192.168.0.65/18', interface: 0 },
        { address: '192.168.64.66/18', interface: 1 },
      ],
    });
  });

  for (const cniVersion of SUPPORTED_VERSIONS) {
    test(`answers in version ${cniVersion}`, async () => {
      await using daemon = startAttachingDaemon(2);
      const stdin = configText({ cniVersion });
      const { document, exitCode } = await call({ daemon: daemon.socketPath, stdin });
      expect(exitCode).toBe(0);
      expect(document?.cniVersion).toBe(cniVersion);
      if (['0.1.0', '0.2.0'].includes(cniVersion)) {
        expect(document).toEqual({ cniVersion, ip4: { ip: '192.168.0.65/18' }, dns: {} });
        return;
      }
      const hasVersions = cniVersion.startsWith('0');
      const ips = document?.ips as Record<string, unknown>[];
      expect(ips.map((ip) => ip.version)).toEqual(
        hasVersions ? ['4', '4'] : [undefined, undefined],
      );
      expect(ips.map((ip) => ip.interface)).toEqual([0, 1]);
      expect('dns' in (document ?? {})).toBe(hasVersions);
    });
  }

  test('a configuration without a version is answered in 0.1.0', async () => {
    await using daemon = startAttachingDaemon(1);
    const stdin = configText({ cniVersion: undefined });
    const { document } = await call({ daemon: daemon.socketPath, stdin });
    expect(document).toEqual({ cniVersion: '0.1.0', ip4: { ip: '192.168.0.65/18' }, dns: {} });
  });

  test('prevResult is passed on, ours behind it with its own positions (W-15)', async () => {
    await using daemon = startAttachingDaemon(2);
    const prevResult = {
      cniVersion: '1.0.0',
      interfaces: [{ name: 'host0' }, { name: 'eth9', sandbox: '/var/run/netns/cni-1' }],
      ips: [{ address: '10.1.1.9/24', interface: 1 }, { address: '10.1.2.9/24' }],
      routes: [{ dst: '0.0.0.0/0', gw: '10.1.1.1' }],
      dns: { nameservers: ['10.0.0.10'] },
    };
    const stdin = configText({ cniVersion: '1.0.0', prevResult });
    const { document } = await call({ daemon: daemon.socketPath, stdin });
    expect(document).toMatchObject({
      cniVersion: '1.0.0',
      interfaces: [{ name: 'host0' }, { name: 'eth9' }, { name: 'net1-0' }, { name: 'net1-1' }],
      ips: [
        { address: '10.1.1.9/24', interface: 1 },
        { address: '10.1.2.9/24' },
        { address: '192.168.0.65/18', interface: 2 },
        { address: '192.168.64.66/18', interface: 3 },
      ],
      routes: [{ dst: '0.0.0.0/0', gw: '10.1.1.1' }],
      dns: { nameservers: ['10.0.0.10'] },
    });
  });

  test('the families are those of the network as its configuration has it', async () => {
    await using daemon = startAttachingDaemon(2);
    const cases: [string | undefined, number | undefined][] = [
      ['192.168.0.0/16', undefined],
      ['', undefined],
      [undefined, undefined],
      ['nonsense', undefined],
      ['fd00::/48', 106],
      ['192.168.0.0/16,fd00::/48', 106],
      ['192.168.0.0/16, fd00::/48', 106],
    ];
    const unmanaged = configText({ subnet: 'fd00::/48', ipam: {}, multiNICIPAM: false });
    expect((await call({ daemon: daemon.socketPath, stdin: unmanaged })).exitCode).toBe(0);
    for (const [subnet, code] of cases) {
      const stdin = configText({ subnet });
      const { document } = await call({ daemon: daemon.socketPath, stdin });
      expect([subnet, document?.code]).toEqual([subnet, code]);
    }
  });

  test('a network without pools may have no addresses', async () => {
    await using daemon = startStubDaemon(({ ifName, netns }) =>
      Response.json({
        result: { cniVersion: '1.1.0', interfaces: [{ name: `${ifName}-0`, sandbox: netns }] },
      }),
    );
    const stdin = configText({ ipam: {}, multiNICIPAM: false });
    const { document, exitCode } = await call({ daemon: daemon.socketPath, stdin });
    expect(exitCode).toBe(0);
    expect(document).not.toHaveProperty('ips');
    expect(daemon.requests).toHaveLength(1);
  });

  test('a name that the kernel would complete is refused before anybody is asked', async () => {
    await using daemon = startAttachingDaemon(1);
    const { document } = await call({ daemon: daemon.socketPath, env: { CNI_IFNAME: 'a%d' } });
    expect(document).toMatchObject({ code: 4, msg: 'interface name contains %' });
    expect(daemon.requests).toEqual([]);
  });

  test('CNI_ARGS reach the daemon as they are, however malformed', async () => {
    await using daemon = startAttachingDaemon(1);
    for (const args of ['', ';;', 'K8S_POD_NAME', '=x', 'A=1;A=2;B==', 'IgnoreUnknown=0, U=n']) {
      const { exitCode } = await call({ daemon: daemon.socketPath, env: { CNI_ARGS: args } });
      expect(exitCode).toBe(0);
      expect(daemon.requests.at(-1)?.args).toBe(args);
    }
  });
});

const refusals: [ErrorKind, number][] = [
  ['invalid-config', 7],
  ['netns-gone', 3],
  ['netns-invalid', 8],
  ['not-ready', 11],
  ['conflict', 11],
  ['timeout', 11],
  ['pool-exhausted', 100],
  ['network-unknown', 101],
  ['no-master', 102],
  ['name-in-use', 103],
  ['already-attached', 103],
  ['link-failed', 104],
  ['forbidden', 107],
];

describe('ADD that the daemon refuses', () => {
  for (const [kind, code] of refusals) {
    test(`${kind} is code ${code}, keeps its facts, and is not undone by us`, async () => {
      await using daemon = startStubDaemon(() => problem(kind, 'because', { master: 'ens5' }));
      const { document, exitCode } = await call({ daemon: daemon.socketPath });
      expect(document).toEqual({
        cniVersion: '1.1.0',
        code,
        msg: 'because',
        details: 'requestId=r master=ens5',
      });
      expect(exitCode).toBe(1);
      expect(daemon.requests).toHaveLength(1);
    });
  }
});

describe('ADD whose effects are not known', () => {
  const answers: [string, () => Response | Promise<Response>, number][] = [
    ['no JSON', () => new Response('<html>'), 106],
    ['an empty answer', () => new Response(''), 106],
    ['JSON of another kind', () => Response.json([1]), 106],
    ['null', () => Response.json(null), 106],
    ['a result without interfaces', () => Response.json({ result: { cniVersion: '1.1.0' } }), 106],
    ['an answer without result', () => Response.json({}), 106],
    ['an address that is none', () => Response.json(withAddress('10.0.0.300/8')), 106],
    ['an address without length', () => Response.json(withAddress('10.0.0.3')), 106],
    ['more than 4 MiB', () => Response.json({ x: 'y'.repeat(4 * 1024 * 1024) }), 106],
    ['an error page', () => new Response('oops', { status: 502 }), 106],
    ['a problem under another media type', () => Response.json({}, { status: 503 }), 106],
    ['a redirect', () => Response.redirect('http://elsewhere/', 307), 106],
    ['no content', () => new Response(null, { status: 204 }), 106],
    ['a bug of the daemon', bugOfTheDaemon, 999],
  ];
  for (const [what, answer, code] of answers) {
    test(`${what} is code ${code} and is undone by one DEL`, async () => {
      await using daemon = startStubDaemon(({ command }) =>
        command === 'ADD' ? answer() : Response.json({}),
      );
      const { document, exitCode } = await call({ daemon: daemon.socketPath });
      expect(document?.code).toBe(code);
      expect(exitCode).toBe(1);
      const [added, removed] = daemon.requests;
      expect(document?.details).toContain(`requestId=${added?.requestId}`);
      expect(document?.details).toContain('undo=done');
      expect(daemon.requests.map(({ command }) => command)).toEqual(['ADD', 'DEL']);
      expect({ ...removed, requestId: '', command: 'ADD' }).toEqual({
        ...added,
        requestId: '',
        command: 'ADD',
      });
      expect(removed?.requestId).not.toBe(added?.requestId);
    });
  }

  test('a daemon that does not answer in time is code 11 and is undone', async () => {
    await using daemon = startStubDaemon(({ command }) =>
      command === 'ADD' ? new Promise<Response>(() => undefined) : Response.json({}),
    );
    const { document } = await call({ daemon: daemon.socketPath, timeoutsMs: { ADD: 30 } });
    expect(document).toMatchObject({ code: 11 });
    expect(document?.msg).toBe('the multi-nic daemon did not answer within 0.03 s');
    expect(document?.details).toContain('undo=done');
  });

  test('a daemon that stops in the middle of its answer is code 11 and is undone', async () => {
    await using daemon = startStubDaemon(({ command }) =>
      command === 'ADD' ? new Response(stalled('{"result":')) : Response.json({}),
    );
    const { document } = await call({ daemon: daemon.socketPath, timeoutsMs: { ADD: 100 } });
    expect(document).toMatchObject({ code: 11 });
    expect(daemon.requests.map(({ command }) => command)).toEqual(['ADD', 'DEL']);
  });

  test('an undo that fails goes to the spool', async () => {
    await using daemon = startStubDaemon(({ command }) =>
      command === 'ADD' ? new Response('nonsense') : problem('not-ready'),
    );
    const { document } = await call({ daemon: daemon.socketPath, spool: daemon.spoolPath });
    expect(document).toMatchObject({ code: 106 });
    expect(document?.details).toContain(`undo=left to the daemon in ${daemon.spoolPath}/`);
    expect(readdirSync(daemon.spoolPath)).toHaveLength(1);
  });

  test('an undo that fails with a full disk is said, and the first error stays', async () => {
    await using daemon = startStubDaemon(({ command }) =>
      command === 'ADD' ? new Response('nonsense') : problem('io-failed', 'journal is full'),
    );
    const { document, stderr } = await call({ daemon: daemon.socketPath, spool: brokenSpool });
    expect(document).toMatchObject({ code: 106 });
    expect(document?.details).toContain('undo=failed: journal is full');
    expect(stderr.join('\n')).toContain('ADD could not be undone');
  });

  test('a bug of the daemon whose undo waits in the spool says where', async () => {
    await using daemon = startStubDaemon(({ command }) =>
      command === 'ADD' ? bugOfTheDaemon() : problem('not-ready'),
    );
    const { document } = await call({ daemon: daemon.socketPath, spool: daemon.spoolPath });
    expect(document).toMatchObject({
      code: 999,
      msg: 'the multi-nic daemon failed: internal error; its log says why',
    });
    expect(document?.details).toContain(`undo=left to the daemon in ${daemon.spoolPath}/`);
  });

  test('a core that does not load means that nothing was checked: undone, code 999', async () => {
    await using daemon = startAttachingDaemon(1);
    const loadCore = () => Promise.reject(new Error('no core'));
    const { document, stderr } = await call({ daemon: daemon.socketPath, over: { loadCore } });
    expect(document).toEqual({
      cniVersion: '1.1.0',
      code: 999,
      msg: 'no core',
      details: `requestId=${daemon.requests[0]?.requestId} undo=done`,
    });
    expect(JSON.parse(stderr[0] ?? '')).toMatchObject({ code: 999, error: 'no core' });
    expect(daemon.requests.map(({ command }) => command)).toEqual(['ADD', 'DEL']);
  });

  test('a result that nobody can be given is undone', async () => {
    await using daemon = startAttachingDaemon(1);
    const stdout = () => {
      throw new Error('EPIPE');
    };
    const { exitCode, document } = await call({ daemon: daemon.socketPath, over: { stdout } });
    expect(exitCode).toBe(1);
    expect(document).toBeUndefined();
    expect(daemon.requests.map(({ command }) => command)).toEqual(['ADD', 'DEL']);
  });

  test('a result without addresses cannot be printed in 0.2.0 and is undone', async () => {
    await using daemon = startStubDaemon(({ ifName, netns }) =>
      Response.json({
        result: { cniVersion: '1.1.0', interfaces: [{ name: `${ifName}-0`, sandbox: netns }] },
      }),
    );
    const stdin = configText({ cniVersion: '0.2.0', ipam: {}, multiNICIPAM: false });
    const { document } = await call({ daemon: daemon.socketPath, stdin });
    expect(document).toMatchObject({ code: 1, msg: 'cannot convert: no valid IP addresses' });
    expect(daemon.requests.map(({ command }) => command)).toEqual(['ADD', 'DEL']);
  });
});

describe('ADD without a daemon', () => {
  test('is code 11, says what to do, and neither undoes nor spools', async () => {
    await using daemon = startAttachingDaemon(1);
    const socket = `${daemon.socketPath}.not`;
    const { document, exitCode } = await call({ daemon: socket, spool: daemon.spoolPath });
    expect(document?.code).toBe(11);
    expect(document?.msg).toBe('post fail: the multi-nic daemon of this node cannot be reached');
    expect(document?.details).toContain('kubectl -n multi-nic-cni-operator get pods');
    expect(document?.details).toContain('reason=ENOENT');
    expect(exitCode).toBe(1);
    expect(() => readdirSync(daemon.spoolPath)).toThrow('ENOENT');
  });
});

function withAddress(address: string): unknown {
  const reply = attachedReply({ ifName: 'net1', netns: GOOD_ENV.CNI_NETNS }, 1);
  return { ...reply, result: { ...reply.result, ips: [{ address, interface: 0 }] } };
}

function bugOfTheDaemon(): Response {
  const document = { type: 'urn:multi-nic:problem:internal', title: 'internal error', status: 500 };
  const headers = { 'content-type': 'application/problem+json' };
  return Response.json(document, { status: 500, headers });
}

/** A body that begins and never ends. */
function stalled(begin: string): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start: (stream) => stream.enqueue(new TextEncoder().encode(begin)),
    pull: () => new Promise(() => undefined),
  });
}
