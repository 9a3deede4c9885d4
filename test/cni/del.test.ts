// DEL: released, or recorded for later, or reported as failed; never forgotten.
import { describe, expect, test } from 'bun:test';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { STDIN_BYTES_MAX } from '../../src/cni/dispatch.ts';
import { SpooledRequest } from '../../src/shared/model/daemon-api.ts';
import type { ErrorKind } from '../../src/shared/model/errors.ts';
import { brokenSpool, call, configText } from './call.ts';
import { problem, type StubDaemon, startStubDaemon } from './stub-daemon.ts';

const DEL = { CNI_COMMAND: 'DEL' };

/** The one request in the spool, checked against its schema. */
function spooled({ spoolPath }: StubDaemon): SpooledRequest {
  const names = readdirSync(spoolPath);
  expect(names).toHaveLength(1);
  const text = readFileSync(join(spoolPath, names[0] ?? ''), 'utf8');
  return v.parse(SpooledRequest, JSON.parse(text));
}

describe('DEL', () => {
  test('is sent once and prints nothing', async () => {
    await using daemon = startStubDaemon(() => Response.json({}));
    const called = await call({ env: DEL, daemon: daemon.socketPath });
    expect(called).toEqual({ exitCode: 0, stdout: '', stderr: [], document: undefined });
    expect(daemon.requests).toMatchObject([{ command: 'DEL', netns: '/var/run/netns/cni-1' }]);
  });

  test('needs no netns (P-4), no prevResult and no CNI_ARGS', async () => {
    await using daemon = startStubDaemon(() => Response.json({}));
    const env = { ...DEL, CNI_NETNS: undefined, CNI_ARGS: undefined };
    const { exitCode } = await call({ env, daemon: daemon.socketPath });
    expect(exitCode).toBe(0);
    expect(daemon.requests).toMatchObject([{ netns: '', args: '' }]);
  });

  test('of a configuration edited into nonsense still names the attachment', async () => {
    await using daemon = startStubDaemon(() => Response.json({}));
    for (const over of [{ plugin: 5 }, { ipam: 'x' }, { prevResult: [] }, { masterNets: {} }]) {
      const stdin = configText({ ...over, cniVersion: '0.3.0' });
      const { exitCode } = await call({ env: DEL, daemon: daemon.socketPath, stdin });
      expect(exitCode).toBe(0);
      expect(daemon.requests.at(-1)).toMatchObject({
        containerId: 'sandbox-1',
        ifName: 'net1',
        config: { name: 'multi-nic-sample', cniVersion: '0.3.0' },
      });
    }
  });

  test('of a configuration beyond all bounds is done all the same', async () => {
    await using daemon = startStubDaemon(() => Response.json({}));
    const open = configText().slice(0, -1);
    const depth = 200_000;
    const deep = `${open},"x":${'['.repeat(depth)}${']'.repeat(depth)}}`;
    const large = `${open},"x":"${'x'.repeat(STDIN_BYTES_MAX - open.length - 20)}"}`;
    for (const stdin of [deep, large]) {
      const { exitCode, stdout } = await call({ env: DEL, daemon: daemon.socketPath, stdin });
      expect([exitCode, stdout]).toEqual([0, '']);
      const added = await call({ daemon: daemon.socketPath, stdin });
      expect(added.document?.code).toBe(7);
    }
    expect(daemon.requests.map(({ command }) => command)).toEqual(['DEL', 'DEL']);
  });

  test('works with every version, also with those that never sent prevResult', async () => {
    await using daemon = startStubDaemon(() => Response.json({}));
    for (const cniVersion of ['0.1.0', '0.3.0', '0.4.0', '1.1.0', undefined]) {
      const stdin = configText({ cniVersion });
      expect((await call({ env: DEL, daemon: daemon.socketPath, stdin })).exitCode).toBe(0);
    }
  });
});

describe('DEL without a daemon', () => {
  test('is recorded in a private directory and reported as done', async () => {
    await using daemon = startStubDaemon(() => Response.json({}));
    const beforeMs = Date.now();
    const called = await call({
      env: DEL,
      daemon: `${daemon.socketPath}.not`,
      spool: daemon.spoolPath,
    });
    expect(called).toMatchObject({ exitCode: 0, stdout: '' });
    expect(called.stderr.join('\n')).toContain('DEL left in the spool');
    const { spooledAt, ...request } = spooled(daemon);
    expect(request).toMatchObject({
      command: 'DEL',
      containerId: 'sandbox-1',
      ifName: 'net1',
      config: { name: 'multi-nic-sample', cniVersion: '1.1.0' },
    });
    expect(request.config).not.toHaveProperty('masterNets');
    expect(Date.parse(spooledAt)).toBeGreaterThanOrEqual(beforeMs - 1);
    const [name = ''] = readdirSync(daemon.spoolPath);
    expect(name).toMatch(/^sandbox-1-net1-[0-9a-f]{12}\.json$/);
    expect(statSync(daemon.spoolPath).mode & 0o777).toBe(0o700);
    expect(statSync(join(daemon.spoolPath, name)).mode & 0o777).toBe(0o600);
  });

  test('repeated, as runtimes do, is recorded each time', async () => {
    await using daemon = startStubDaemon(() => Response.json({}));
    const away = { daemon: `${daemon.socketPath}.not`, spool: daemon.spoolPath };
    const exits = await Promise.all(
      Array.from({ length: 20 }, async () => (await call({ env: DEL, ...away })).exitCode),
    );
    expect(exits).toEqual(Array(20).fill(0));
    expect(readdirSync(daemon.spoolPath)).toHaveLength(20);
  });

  test('that cannot be recorded either is code 11, so that the runtime tries again', async () => {
    const { document, exitCode } = await call({ env: DEL, spool: brokenSpool });
    expect(exitCode).toBe(1);
    expect(document).toMatchObject({ code: 11, cniVersion: '1.1.0' });
    expect(document?.msg).toContain('could not be recorded');
    expect(document?.details).toContain('spool=no space left');
    expect(document?.details).toContain('reason=ENOENT');
  });
});

describe('DEL that a daemon does not finish', () => {
  const laters: [string, () => Response | Promise<Response>][] = [
    ['is not ready yet', () => problem('not-ready')],
    ['ran out of time itself', () => problem('timeout')],
    ['cannot read the request', () => problem('decode-failed')],
    ['answers nonsense', () => new Response('<html>')],
    ['answers something else', () => Response.json([])],
    ['never answers', () => new Promise(() => undefined)],
    ['fails with a bug', () => new Response('', { status: 500 })],
  ];
  for (const [what, answer] of laters) {
    test(`is recorded when it ${what}`, async () => {
      await using daemon = startStubDaemon(answer);
      const { exitCode, stdout } = await call({
        env: DEL,
        daemon: daemon.socketPath,
        spool: daemon.spoolPath,
        timeoutsMs: { DEL: 100 },
      });
      expect([exitCode, stdout]).toEqual([0, '']);
      expect(spooled(daemon).containerId).toBe('sandbox-1');
    });
  }

  const failures: [ErrorKind, number][] = [
    ['io-failed', 5],
    ['link-failed', 104],
    ['conflict', 11],
    ['forbidden', 107],
    ['journal-corrupt', 11],
  ];
  for (const [kind, code] of failures) {
    test(`is reported when the daemon says ${kind}: it knows of the attachment`, async () => {
      await using daemon = startStubDaemon(() => problem(kind));
      const { exitCode, document } = await call({
        env: DEL,
        daemon: daemon.socketPath,
        spool: daemon.spoolPath,
      });
      expect(exitCode).toBe(1);
      expect(document?.code).toBe(code);
      expect(() => readdirSync(daemon.spoolPath)).toThrow('ENOENT');
    });
  }
});
