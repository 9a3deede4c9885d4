// At most one leader, whatever the API server and the clocks do. The server is the embedded one,
// time is fake; the connection of each candidate can be cut, hung or made to lose answers.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { type ApiServer, startApiServer } from '../../../../test/apiserver/server.ts';
import {
  Election as AnyElection,
  LEASE_MS,
  type Line,
  NAMESPACE,
  RENEW_MS,
  RETRY_MS,
} from '../../../../test/helpers/election.ts';
import { createLogger } from '../log.ts';
import { createKubeClient } from './client.ts';
import { runAsLeader } from './leader.ts';
import { LEASES } from './resource.ts';

let server: ApiServer;
beforeAll(async () => {
  server = await startApiServer();
});
afterAll(async () => {
  await server.close();
});

class Election extends AnyElection {
  constructor() {
    super(server.url);
  }
}

describe('leader election', () => {
  test('the first candidate makes the lease and leads at once', async () => {
    const election = new Election();
    const a = election.enter('a');
    await election.pass(0);
    await election.quiet();
    expect(a.leads).toBe(true);
    expect((await election.lease())?.spec).toMatchObject({
      holderIdentity: 'a',
      leaseDurationSeconds: 15,
      leaseTransitions: 0,
      acquireTime: '2024-01-01T00:00:00.000000Z',
    });
    await election.close();
  });

  test('the lease is renewed, and nobody else leads meanwhile', async () => {
    const election = new Election();
    const a = election.enter('a');
    await election.pass(1_000);
    const b = election.enter('b');
    await election.pass(120_000);
    expect(a.leads).toBe(true);
    expect(b.starts).toBe(0);
    expect(election.overlap).toBeUndefined();
    await election.close();
  });

  test('after a death the lease passes on when it has stood still for its duration', async () => {
    const election = new Election();
    const a = election.enter('a');
    await election.pass(1_000);
    const b = election.enter('b');
    await election.pass(RETRY_MS * 2);
    a.isDead = true;
    await election.pass(LEASE_MS - RETRY_MS - 1_000);
    expect(b.leads).toBe(false);
    await election.pass(RETRY_MS * 3);
    expect(b.leads).toBe(true);
    expect((await election.lease())?.spec).toMatchObject({
      holderIdentity: 'b',
      leaseTransitions: 1,
    });
    await election.close();
  });

  test.each([
    ['long ago', '2000-01-01T00:00:00.000000Z'],
    ['in the future', '2099-01-01T00:00:00.000000Z'],
  ])(
    'a foreign lease renewed %s by its clock is judged by ours alone',
    async (_when, renewTime) => {
      const election = new Election();
      await createKubeClient({ server: server.url }).create(LEASES, {
        metadata: { name: election.name, namespace: NAMESPACE },
        spec: { holderIdentity: 'other', leaseDurationSeconds: 15, renewTime },
      });
      const a = election.enter('a');
      await election.pass(LEASE_MS - 1_000);
      expect(a.leads).toBe(false);
      await election.pass(RETRY_MS + 1_000);
      expect(a.leads).toBe(true);
      await election.close();
    },
  );

  test('a longer duration in a foreign lease is respected', async () => {
    const election = new Election();
    await createKubeClient({ server: server.url }).create(LEASES, {
      metadata: { name: election.name, namespace: NAMESPACE },
      spec: { holderIdentity: 'other', leaseDurationSeconds: 60 },
    });
    const a = election.enter('a');
    await election.pass(58_000);
    expect(a.leads).toBe(false);
    await election.pass(5_000);
    expect(a.leads).toBe(true);
    await election.close();
  });

  test('jumps of the wall clock change nothing', async () => {
    const election = new Election();
    const a = election.enter('a');
    await election.pass(1_000);
    const b = election.enter('b');
    for (const jumpMs of [3_600_000, -7_200_000, 86_400_000]) {
      election.clock.shiftWall(jumpMs);
      await election.pass(20_000);
    }
    expect(a.leads).toBe(true);
    expect(b.starts).toBe(0);
    await election.close();
  });

  test.each(['down', 'hung'] as const)(
    'with the line %s the leader gives up before anyone can lead',
    async (line) => {
      const election = new Election();
      const a = election.enter('a');
      await election.pass(1_000);
      const b = election.enter('b');
      await election.pass(RETRY_MS);
      a.line = line;
      await election.pass(RENEW_MS - RETRY_MS);
      expect(a.leads).toBe(true);
      await election.pass(RETRY_MS);
      expect(a.leads).toBe(false);
      expect(b.leads).toBe(false);
      expect(await a.result).toBe('lost');
      await election.pass(LEASE_MS);
      expect(b.leads).toBe(true);
      expect(election.overlap).toBeUndefined();
      await election.close();
    },
  );

  test('a leader that is stopped while its line hangs ends, and its lease runs out', async () => {
    const election = new Election();
    const a = election.enter('a');
    await election.pass(1_000);
    const b = election.enter('b');
    await election.pass(RETRY_MS);
    a.line = 'hung';
    a.stop.abort(new Error('leaving'));
    await election.pass(LEASE_MS - RETRY_MS);
    expect(b.leads).toBe(false);
    await election.pass(RETRY_MS * 2);
    expect(b.leads).toBe(true);
    expect(await a.result).toBe('stopped');
    await election.close();
  });

  test('a short absence of the API server costs nothing', async () => {
    const election = new Election();
    const a = election.enter('a');
    await election.pass(1_000);
    a.line = 'down';
    await election.pass(RENEW_MS - 2 * RETRY_MS);
    a.line = 'up';
    await election.pass(30_000);
    expect(a.leads).toBe(true);
    expect(a.starts).toBe(1);
    await election.close();
  });

  test('a renewal that was written but whose answer got lost is recognised', async () => {
    const election = new Election();
    const a = election.enter('a');
    await election.pass(1_000);
    a.line = 'answers lost';
    await election.pass(RETRY_MS);
    a.line = 'up';
    await election.pass(60_000);
    expect(a.leads).toBe(true);
    expect(a.starts).toBe(1);
    await election.close();
  });

  test('a lease that somebody else wrote is lost', async () => {
    const election = new Election();
    const a = election.enter('a');
    await election.pass(1_000);
    const lease = await election.lease();
    await createKubeClient({ server: server.url }).replace(LEASES, {
      ...lease,
      spec: { ...lease?.spec, holderIdentity: 'thief' },
    });
    await election.pass(RETRY_MS * 2);
    expect(a.leads).toBe(false);
    expect(await a.result).toBe('lost');
    expect((await election.lease())?.spec?.holderIdentity).toBe('thief');
    await election.close();
  });

  test('a lease that was deleted is lost', async () => {
    const election = new Election();
    const a = election.enter('a');
    await election.pass(1_000);
    const key = { name: election.name, namespace: NAMESPACE };
    await createKubeClient({ server: server.url }).delete(LEASES, key);
    await election.pass(RETRY_MS * 2);
    expect(await a.result).toBe('lost');
    await election.close();
  });

  test('at the end the lease is kept until the work has ended, then given back', async () => {
    const election = new Election();
    const a = election.enter('a');
    const work = Promise.withResolvers<void>();
    a.hold = work.promise;
    await election.pass(1_000);
    const b = election.enter('b');
    await election.pass(RETRY_MS);
    a.stop.abort(new Error('leaving'));
    await election.pass(LEASE_MS * 2);
    expect(b.starts).toBe(0);
    expect((await election.lease())?.spec?.holderIdentity).toBe('a');
    work.resolve();
    await election.pass(RETRY_MS * 2);
    expect(await a.result).toBe('stopped');
    expect(b.leads).toBe(true);
    await election.close();
  });

  test('work that fails gives the lease back and its error on', async () => {
    const election = new Election();
    const failure = new Error('the work failed');
    const a = election.enter('a', { fail: failure });
    await election.pass(1_000);
    expect(await a.result.catch((error: unknown) => error)).toBe(failure);
    expect((await election.lease())?.spec?.holderIdentity).toBe('');
    await election.close();
  });

  test('a candidate that is stopped before it leads just ends', async () => {
    const election = new Election();
    election.enter('a');
    await election.pass(1_000);
    const b = election.enter('b');
    await election.pass(1_000);
    b.stop.abort(new Error('leaving'));
    await election.pass(1_000);
    expect(await b.result).toBe('stopped');
    expect(b.starts).toBe(0);
    await election.close();
  });

  test('times that cannot work are refused', async () => {
    const options = {
      client: createKubeClient({ server: server.url }),
      namespace: NAMESPACE,
      name: 'x',
      identity: 'a',
      run: async () => undefined,
      signal: AbortSignal.abort(),
      log: createLogger({ component: 'test', write: () => undefined }),
    };
    const times = { leaseDurationMs: 10_000, renewDeadlineMs: 10_000, retryPeriodMs: 2_000 };
    await expect(runAsLeader({ ...options, ...times })).rejects.toBeInstanceOf(RangeError);
  });
});

const seed = Number(process.env.TEST_SEED ?? Math.floor(Math.random() * 2 ** 31));

const LINES: readonly Line[] = ['up', 'up', 'up', 'down', 'hung', 'answers lost'];

/** One random event: a line changes, a process dies, leaves or arrives. */
function disturb(election: Election, random: () => number, step: number): void {
  const present = election.candidates.filter((one) => !one.isDead);
  const one = present[Math.floor(random() * present.length)];
  const dice = random();
  if (one !== undefined) {
    if (dice < 0.5) one.line = LINES[Math.floor(random() * LINES.length)] ?? 'up';
    else if (dice < 0.55) one.isDead = true;
    else if (dice < 0.6) one.stop.abort(new Error('leaving'));
  }
  if (present.length < 3 || random() < 0.05) election.enter(`new-${step}`, { random });
}

test(`never two leaders under random failures, and one in the end (seed ${seed})`, async () => {
  let state = seed;
  const random = (): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return state / 2 ** 31;
  };
  const election = new Election();
  for (const identity of ['a', 'b', 'c']) election.enter(identity, { random });
  for (let step = 0; step < 120; step += 1) {
    disturb(election, random, step);
    await election.pass(Math.floor(random() * 8_000), 1_000);
    expect(election.overlap).toBeUndefined();
  }
  for (const one of election.candidates) one.line = 'up';
  election.enter('last', { random });
  await election.pass(LEASE_MS * 3, 1_000);
  expect(election.candidates.filter((one) => one.leads).length).toBe(1);
  await election.close();
});
