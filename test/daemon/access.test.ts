// The daemon's rights in deploy/: every verb that it uses is granted, and every verb that is granted
// is used. Requests of a daemon's whole life are watched at the embedded API server.
import { expect, setDefaultTimeout, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import type { ApiRequest } from '../apiserver/requests.ts';
import { eventually } from '../helpers/eventually.ts';
import { hostObject, NODE, networkObject, startCluster } from './cluster.ts';
import { keepDirectory, podObject, poolObject, published } from './cluster-scene.ts';
import { cniRequest, createFakeHost, type Harness, send, startHarness } from './harness.ts';

setDefaultTimeout(30_000);

const Role = v.object({
  kind: v.literal('ClusterRole'),
  metadata: v.object({ name: v.literal('multi-nicd') }),
  rules: v.array(
    v.object({
      apiGroups: v.array(v.string()),
      resources: v.array(v.string()),
      verbs: v.array(v.string()),
    }),
  ),
});

/** `verb group/resource` for each right of the daemon's account. */
function granted(): string[] {
  const path = join(import.meta.dir, '../../deploy/10-namespace-and-access.yaml');
  const documents: unknown = Bun.YAML.parse(readFileSync(path, 'utf8'));
  const all = Array.isArray(documents) ? documents : [documents];
  const role = all.find((document) => v.is(Role, document));
  return v
    .parse(Role, role)
    .rules.flatMap(({ apiGroups, resources, verbs }) =>
      apiGroups.flatMap((group) =>
        resources.flatMap((resource) => verbs.map((verb) => `${verb} ${group}/${resource}`)),
      ),
    );
}

const VERBS: Readonly<Record<string, string>> = { POST: 'create', PATCH: 'patch', PUT: 'update' };

function toRight({ method, kind, name, subresource, isWatch }: ApiRequest): string[] {
  if (kind === undefined) return [];
  const reading = isWatch ? 'watch' : name === '' ? 'list' : 'get';
  const verb = method === 'GET' ? reading : (VERBS[method] ?? method.toLowerCase());
  const resource = subresource === '' ? kind.plural : `${kind.plural}/${subresource}`;
  return [`${verb} ${kind.group}/${resource}`];
}

/** Everything that makes a daemon ask for something. */
async function live(h: Harness): Promise<void> {
  await send(h.socket, cniRequest('ADD'));
  await eventually('published', () => published(h, 'net-192.168.0.0-24') !== undefined);
  await eventually('counted', () =>
    JSON.stringify(published(h, 'net-192.168.0.0-24')).includes('"occupied":1'),
  );
  await eventually('old pool removed', () => published(h, 'net-192.168.9.0-24') === undefined);
  // Refused, and said on the pod.
  await send(h.socket, cniRequest('ADD', { container: 'c2', network: 'nowhere' }));
  await h.daemon.parts.events.idle();
  // A stranger's token is looked at.
  await fetch(`${h.url}/addl3`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: 'Bearer x' },
    body: '{"name":"net"}',
  });
  // Its pod is gone: that is proven by asking for it.
  await h.daemon.collect();
  await h.daemon.parts.routesReporter.report(AbortSignal.timeout(5_000));
}

test('the rights of the daemon are those that it uses', async () => {
  const used = new Set<string>();
  const objects = [
    networkObject({ ipam: { vlanMode: 'l3' } }),
    hostObject({ name: NODE, hostIndex: 0 }),
    podObject('c1'),
    poolObject({
      name: 'net-192.168.9.0-24',
      podCIDR: '192.168.9.0/24',
      interfaceName: 'eth1',
      allocations: [['gone', 1]],
    }),
  ];
  const api = await startCluster(objects);
  using directory = keepDirectory();
  const own = (request: ApiRequest): boolean => {
    for (const right of toRight(request)) used.add(right);
    return false;
  };
  api.faults.add({ action: 'hang', match: own });
  const hostNet = createFakeHost();
  hostNet.addNetns('/run/netns/c1');
  const env = { MULTI_NIC_QUARANTINE_SECONDS: '0' };
  const h = await startHarness({ api, hostNet, directory: directory.path, env });
  await live(h);
  await h.daemon.stop();
  // A node that is new: its HostInterface is made.
  const empty = await startCluster([networkObject()]);
  empty.faults.add({ action: 'hang', match: own });
  const newcomer = await startHarness({ api: empty, hostNet: createFakeHost() });
  await eventually('host published', () => empty.object('hostinterfaces', NODE) !== undefined);
  await newcomer[Symbol.asyncDispose]();
  await api.close();
  await empty.close();
  expect([...used].sort()).toEqual(granted().sort());
});
