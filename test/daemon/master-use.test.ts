// Two networks on the same NICs: what the kernel cannot do is refused before it does something else.
import { expect, setDefaultTimeout, test } from 'bun:test';
import { hostObject, NODE, networkObject } from './cluster.ts';
import { cniRequest, createFakeHost, type Harness, send, startHarness } from './harness.ts';

setDefaultTimeout(120_000);

const networks = ['l3', 'l2', 'mac'].map((name, index) =>
  networkObject({ name, spec: { subnet: `192.${168 + index}.0.0/16` } }),
);
const objects = [
  ...networks,
  hostObject({ name: NODE, hostIndex: 0, networks: ['l3', 'l2', 'mac'] }),
];
const PLUGINS: Record<string, object> = {
  l3: { type: 'ipvlan', mode: 'l3' },
  l2: { type: 'ipvlan', mode: 'l2' },
  mac: { type: 'macvlan', mode: 'bridge' },
};

async function start(): Promise<Harness> {
  const hostNet = createFakeHost();
  for (const name of ['c1', 'c2']) hostNet.addNetns(`/run/netns/${name}`);
  return await startHarness({ hostNet, objects });
}

const request = (command: 'ADD' | 'DEL', container: string, network: string) =>
  cniRequest(command, { container, network, config: { plugin: PLUGINS[network] } });

test.each(['l2', 'mac'])(
  '%s beside ipvlan l3 is refused until the last link is gone',
  async (n) => {
    await using h = await start();
    expect((await send(h.socket, request('ADD', 'c1', 'l3'))).status).toBe(200);
    const refused = await send(h.socket, request('ADD', 'c2', n));
    expect(refused.status).toBe(422);
    expect(refused.problem.detail).toMatch(/on eth1 .*beside the ipvlan l3 links of network l3/);
    expect(h.daemon.parts.journal.list()).toHaveLength(1);
    expect((await send(h.socket, request('DEL', 'c1', 'l3'))).status).toBe(200);
    expect((await send(h.socket, request('ADD', 'c2', n))).status).toBe(200);
  },
);

test('of two that come at once exactly one gets through', async () => {
  await using h = await start();
  const answers = await Promise.all([
    send(h.socket, request('ADD', 'c1', 'l3')),
    send(h.socket, request('ADD', 'c2', 'l2')),
  ]);
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 422]);
  expect(h.daemon.parts.journal.list()).toHaveLength(1);
});
