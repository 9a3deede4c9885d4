// A real kube-apiserver keeps the same contract as the embedded one.

import { requirement } from '../helpers/requirement.ts';
import { describeContract } from '../kube/contract.ts';
import { findControlPlane, startControlPlane } from '../peers/control-plane.ts';

const binaries = await findControlPlane();

if (requirement('real-kube-apiserver', typeof binaries === 'string' ? binaries : undefined)) {
  if (typeof binaries === 'string') throw new Error(binaries);
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
}
