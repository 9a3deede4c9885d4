// The end of a daemon: what is under way is answered, and a connection that somebody merely holds,
// on a port that everybody can reach, does not keep the next daemon of the node from starting.
import { describe, expect, setDefaultTimeout, test } from 'bun:test';
import { connect, type Socket } from 'node:net';
import { createFaultPoints } from '../../src/daemon/attach/fault-points.ts';
import { createLogger } from '../../src/shared/platform/log.ts';
import { createFakeClock } from '../helpers/fake-clock.ts';
import { published } from './cluster-scene.ts';
import { cniRequest, createFakeHost, type Harness, send, startHarness } from './harness.ts';

setDefaultTimeout(120_000);
/** Far below the grace period of a pod, after which it is killed. */
const STOP_MS_MAX = 9_000;

const NAME = 'net-192.168.0.0-24';
const HALF =
  'POST /select HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n' +
  'Content-Length: 1000\r\n\r\n{';

/** A connection that has sent this, which the daemon has seen, and will send no more. */
async function hold(
  target: { path: string } | { host: string; port: number },
  text: string,
): Promise<Socket> {
  const socket = connect(target);
  socket.on('error', () => undefined);
  await new Promise<void>((resolve) => socket.once('connect', () => resolve()));
  await new Promise<void>((resolve) => socket.write(text, () => resolve()));
  return socket;
}

const tcp = (h: Harness) => ({ host: '127.0.0.1', port: Number(new URL(h.url).port) });
const unix = (h: Harness) => ({ path: h.socket });

describe('a daemon that is stopped', () => {
  test('does not wait for connections that somebody holds open', async () => {
    const h = await startHarness();
    const held: Socket[] = [];
    for (const target of [tcp(h), unix(h)]) {
      for (const text of ['GET /metr', HALF]) held.push(await hold(target, text));
    }
    // Answered after the bytes above were read.
    await fetch('http://daemon/healthz', { unix: h.socket });
    await fetch(`${h.url}/healthz`);
    const startMs = performance.now();
    await h.daemon.stop();
    expect(performance.now() - startMs).toBeLessThan(STOP_MS_MAX);
    for (const socket of held) socket.destroy();
    await h[Symbol.asyncDispose]();
  });

  test('publishes what changed last', async () => {
    const hostNet = createFakeHost();
    hostNet.addNetns('/run/netns/c1');
    // Time stands still: nothing is published because of it.
    await using h = await startHarness({ hostNet, clock: createFakeClock() });
    expect((await send(h.socket, cniRequest('ADD'))).status).toBe(200);
    await h.daemon.idle();
    expect(published(h, NAME)).toBeUndefined();
    await h.daemon.stop();
    expect(published(h, NAME)?.spec.allocations).toHaveLength(1);
  });

  test('answers what is under way first', async () => {
    const hostNet = createFakeHost();
    hostNet.addNetns('/run/netns/c1');
    let stopping: Promise<unknown> = Promise.resolve();
    const h = await startHarness({
      hostNet,
      faults: createFaultPoints({
        active: 'add-links-made',
        kill: () => {
          stopping = h.daemon.stop();
        },
      }),
    });
    const answer = await send(h.socket, cniRequest('ADD'));
    expect(answer.status).toBe(200);
    await stopping;
    await expect(send(h.socket, cniRequest('STATUS'))).rejects.toThrow();
    await h[Symbol.asyncDispose]();
  });
});

test('a caller that leaves in the middle of its request is not logged as a bug', async () => {
  const lines: string[] = [];
  const log = createLogger({
    component: 'test',
    level: 'error',
    write: (line) => lines.push(line),
  });
  await using h = await startHarness({ log });
  for (const target of [tcp(h), unix(h)]) {
    const socket = await hold(target, HALF);
    await fetch(`${h.url}/healthz`);
    socket.destroy();
    await new Promise<void>((resolve) => socket.once('close', () => resolve()));
  }
  await fetch(`${h.url}/healthz`);
  await h.daemon.stop();
  expect(lines).toEqual([]);
});
