// The embedded API server keeps the contract.
import { startApiServer } from '../apiserver/server.ts';
import { describeContract } from './contract.ts';

describeContract('embedded API server', async () => {
  const user = { token: 'token-of-alice', username: 'alice' };
  const server = await startApiServer({ users: { [user.token]: { username: user.username } } });
  return {
    target: { server: server.url },
    hasController: true,
    user,
    forgetHistory: async () => server.compact(),
    stop: () => server.stop(),
    start: async () => server.start(),
    close: () => server.close(),
  };
});
