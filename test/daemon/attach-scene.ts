// Test equipment: a daemon with pods to attach, and what the tests of ADD and DEL look at.
import { expect } from 'bun:test';
import type { FakeHostNet } from '../hostnet/fake-host-net.ts';
import {
  type Answer,
  createFakeHost,
  type Harness,
  type HarnessOptions,
  startHarness,
} from './harness.ts';

/** Namespace of the pod that most cases use. */
export const PATH = '/run/netns/c1';

/** A daemon on a fake host with the network namespaces of these pods. */
export async function setUp(o: HarnessOptions & { pods?: readonly string[] } = {}) {
  const hostNet = createFakeHost();
  for (const pod of o.pods ?? ['c1']) hostNet.addNetns(`/run/netns/${pod}`);
  return { hostNet, h: await startHarness({ hostNet, ...o }) };
}

/** The kind of problem that an answer names, or ok. */
export const kindOf = (answer: Answer): string => answer.problem.type?.split(':').at(-1) ?? 'ok';

/** Names of the links in a pod. */
export function linkNames(hostNet: FakeHostNet, path = PATH): string[] {
  using netns = hostNet.openNetns(path);
  return netns.links().map((link) => link.name);
}

/** Nothing is held and nothing is recorded. */
export function expectClean(h: Harness): void {
  expect(h.daemon.parts.journal.list()).toEqual([]);
  expect(h.daemon.parts.journal.held()).toEqual([]);
  expect(h.daemon.parts.pools.records().map(({ pool }) => pool.occupied)).toEqual(
    h.daemon.parts.pools.records().map(() => 0),
  );
}
