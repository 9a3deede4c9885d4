// A node with pools that the original damaged while their pods ran on: every address that a pod has
// is held before the daemon gives one, if a record or a pod says so.
import { expect, setDefaultTimeout, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { startApiServer } from '../apiserver/server.ts';
import { readCrds } from './cluster.ts';
import { createFakeHost, startHarness } from './harness.ts';

setDefaultTimeout(60_000);

const Damaged = v.object({
  pools: v.array(v.looseObject({})),
  pods: v.array(v.looseObject({})),
  held: v.array(
    v.object({
      pod: v.string(),
      node: v.string(),
      /** The pod says itself what it has. */
      isStated: v.boolean(),
      addresses: v.array(v.string()),
    }),
  ),
});

const read = (name: string) =>
  v.parse(
    Damaged,
    JSON.parse(readFileSync(join(import.meta.dir, `../golden/damaged/${name}.json`), 'utf8')),
  );

/** Addresses that the daemon of this node holds after it came up. */
async function takeOver(world: v.InferOutput<typeof Damaged>, node: string): Promise<Set<string>> {
  const objects = [
    ...world.pools.map((pool) => ({ apiVersion: 'multinic.fms.io/v1', kind: 'IPPool', ...pool })),
    ...world.pods.map((pod) => ({ apiVersion: 'v1', kind: 'Pod', ...pod })),
  ];
  const api = await startApiServer({ crds: readCrds(), objects });
  const env = { K8S_NODENAME: node };
  const h = await startHarness({ api, hostNet: createFakeHost(), env });
  const held = new Set(h.daemon.parts.journal.held().map(({ address }) => address));
  await h[Symbol.asyncDispose]();
  await api.close();
  return held;
}

test.each([
  ['overwritten', 'worker-0'],
  ['dropped', 'worker-0'],
  ['dropped', 'worker-1'],
])('pools that were %s: every address that a pod of %s has is held', async (name, node) => {
  const world = read(name);
  const pods = world.held.filter((pod) => pod.node === node);
  const stated = pods.filter(({ isStated }) => isStated);
  expect(stated.length).toBeGreaterThan(0);
  const held = await takeOver(world, node);
  const lost = stated.flatMap(({ pod, addresses }) =>
    addresses.filter((address) => !held.has(address)).map((address) => `${pod} ${address}`),
  );
  expect(lost).toEqual([]);
});
