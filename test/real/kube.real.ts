// A real kube-apiserver keeps the same contract as the embedded one, and random requests find no
// difference between them.
import { describe, test } from 'bun:test';
import { createKubeClient } from '../../src/shared/platform/kube/client.ts';
import { startApiServer } from '../apiserver/server.ts';
import { requirement } from '../helpers/requirement.ts';
import { describeContract } from '../kube/contract.ts';
import { compareStep, generator, randomStep, resetObjects } from '../kube/differential.ts';
import { installCrd, WIDGET_CRD } from '../kube/under-test.ts';
import {
  type ControlPlaneBinaries,
  findControlPlane,
  startControlPlane,
} from '../peers/control-plane.ts';

/** 1,600 requests; a longer run: TEST_ROUNDS=200. */
const ROUNDS = Number(process.env.TEST_ROUNDS ?? 20);
const STEPS = 80;
const seed = Number(process.env.TEST_SEED ?? Math.floor(Math.random() * 2 ** 31));

const found = await findControlPlane();

if (requirement('real-kube-apiserver', typeof found === 'string' ? found : undefined)) {
  if (typeof found === 'string') throw new Error(found);
  describeReal(found);
}

function describeReal(binaries: ControlPlaneBinaries): void {
  describeContract('real kube-apiserver', async () => {
    const user = { token: 'token-of-alice', username: 'alice' };
    const plane = await startControlPlane({
      binaries,
      users: { [user.token]: { name: user.username } },
      hasControllerManager: true,
    });
    return {
      target: plane.target,
      hasController: binaries.controllerManager !== undefined,
      user,
      forgetHistory: async () => {
        await plane.compact();
        // Its watch cache still knows what etcd has forgotten.
        await plane.stopApiServer();
        await plane.startApiServer();
      },
      stop: () => plane.stopApiServer(),
      start: () => plane.startApiServer(),
      close: () => plane.close(),
    };
  });

  describe('embedded and real API server', () => {
    test(
      `answer random requests alike (seed ${seed})`,
      async () => {
        await using plane = await startControlPlane({ binaries });
        await using server = await startApiServer();
        const userAgent = 'differential/1';
        const real = createKubeClient(plane.target, { userAgent });
        const embedded = createKubeClient({ server: server.url }, { userAgent });
        await installCrd(real, WIDGET_CRD);
        await installCrd(embedded, WIDGET_CRD);
        for (let round = 0; round < ROUNDS; round += 1) {
          const random = generator(seed + round);
          await resetObjects(real, 'default');
          await resetObjects(embedded, 'default');
          for (let step = 0; step < STEPS; step += 1) {
            await compareStep(randomStep(random, 'default'), embedded, real);
          }
        }
      },
      60_000 + ROUNDS * 10_000,
    );
  });
}
