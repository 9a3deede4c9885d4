// The contract of an API server as our programs rely on it: one suite for the embedded server and
// for a real kube-apiserver, so that what passes on the one can be trusted on the other.
import { describe, setDefaultTimeout } from 'bun:test';
import { describeApply } from './contract-apply.ts';
import { describeChanges } from './contract-changes.ts';
import { describeObjects } from './contract-objects.ts';
import { describeOwners } from './contract-owners.ts';
import { describePrograms } from './contract-programs.ts';
import { describeSchemas } from './contract-schemas.ts';
import { describeWatches } from './contract-watches.ts';
import { type ServerUnderTest, useBench } from './under-test.ts';

/** Generous: a test that runs into it takes the servers of a real control plane down with it. */
const TEST_TIMEOUT_MS = 120_000;

/** Registers the whole suite. `start` is called once; the suite closes what it gave. */
export function describeContract(name: string, start: () => Promise<ServerUnderTest>): void {
  setDefaultTimeout(TEST_TIMEOUT_MS);
  describe(name, () => {
    const bench = useBench(start);
    describeObjects(bench);
    describeChanges(bench);
    describeApply(bench);
    describeOwners(bench);
    describeSchemas(bench);
    describeWatches(bench);
    describePrograms(bench);
  });
}
