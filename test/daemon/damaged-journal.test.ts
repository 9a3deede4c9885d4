// A daemon does not start on a journal that lost a part of its log, or whose plans it cannot read:
// it says which file and how to recover, and gives no address in the meantime.
import { Database } from 'bun:sqlite';
import { expect, setDefaultTimeout, test } from 'bun:test';
import { cpSync, rmSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { startCluster } from './cluster.ts';
import { keepDirectory } from './cluster-scene.ts';
import {
  AWAY,
  addressesIn,
  cniRequest,
  createFakeHost,
  type Harness,
  type HarnessOptions,
  send,
  startHarness,
} from './harness.ts';

setDefaultTimeout(60_000);

const PODS = ['p0', 'p1', 'p2', 'p3', 'q0'];

/** A host that outlives its daemons, and whose pods have namespaces. */
function createHost() {
  const hostNet = createFakeHost();
  for (const pod of PODS) hostNet.addNetns(`/run/netns/${pod}`);
  return hostNet;
}

async function add(h: Harness, pods: readonly string[]): Promise<string[]> {
  const addresses: string[] = [];
  for (const container of pods) {
    addresses.push(...addressesIn(await send(h.socket, cniRequest('ADD', { container }))));
  }
  return addresses;
}

/** Starts a daemon, and says why it does not start or which addresses a new pod gets. */
async function startAndAdd(o: HarnessOptions): Promise<unknown> {
  let h: Harness;
  try {
    h = await startHarness(o);
  } catch (error) {
    return error;
  }
  await using _ = h;
  return await add(h, ['q0']);
}

const losses: [string, (log: string) => void][] = [
  ['its log', (log) => rmSync(log)],
  ['half of its log', (log) => truncateSync(log, Math.floor(statSync(log).size / 2))],
];
test.each(losses)(
  'a journal that lost %s is refused, also without the API server',
  async (_title, lose) => {
    using directory = keepDirectory();
    const hostNet = createHost();
    const first = await startHarness({ hostNet, directory: directory.path });
    await add(first, ['p0']);
    await first[Symbol.asyncDispose]();
    const copies = { good: join(directory.path, 'good'), cut: join(directory.path, 'cut') };
    let given: string[];
    {
      await using second = await startHarness({ hostNet, directory: directory.path });
      given = await add(second, ['p1', 'p2', 'p3']);
      // As a kill would leave them.
      for (const copy of Object.values(copies)) {
        cpSync(join(directory.path, 'state'), join(copy, 'state'), { recursive: true });
      }
    }
    lose(join(copies.cut, 'state', 'journal.db-wal'));
    await using api = await startCluster([]);
    using _outage = api.faults.add({ action: 'drop' });
    const world = { api, env: AWAY, hostNet };
    const after = await startAndAdd({ ...world, directory: copies.good });
    expect(after).toHaveLength(4);
    expect(given.filter((address) => (after as string[]).includes(address))).toEqual([]);
    expect(await startAndAdd({ ...world, directory: copies.cut })).toMatchObject({
      kind: 'journal-corrupt',
      message: expect.stringContaining(`move ${copies.cut}/state/journal.db`),
    });
  },
);

test.each(['network', 'host', 'class', 'pool'])(
  'a plan of a %s that has another shape is refused with the file and what to do',
  async (kind) => {
    using directory = keepDirectory();
    await (await startHarness({ directory: directory.path }))[Symbol.asyncDispose]();
    const path = join(directory.path, 'state', 'journal.db');
    const db = new Database(path);
    db.run(`INSERT INTO plans (kind, name, body) VALUES (?, 'odd', '{"x":1}')`, [kind]);
    db.close(true);
    const start = () => startAndAdd({ directory: directory.path });
    const refusal = {
      kind: 'journal-corrupt',
      message: expect.stringContaining(`its plan of ${kind} odd has another shape. To recover`),
    };
    expect(await start()).toMatchObject(refusal);
    // The lock is free again, and nothing was made good by refusing it.
    expect(await start()).toMatchObject(refusal);
  },
);
