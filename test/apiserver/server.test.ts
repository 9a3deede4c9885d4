// What the embedded API server has beyond the contract: seeds, faults, bounded history, dry runs,
// discovery, the parts of a controller manager. The contract itself is in test/kube.
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { createKubeClient, type KubeClient } from '../../src/shared/platform/kube/client.ts';
import { isKubeError } from '../../src/shared/platform/kube/errors.ts';
import {
  CONFIG_MAPS,
  NAMESPACES,
  NODES,
  TOKEN_REVIEWS,
} from '../../src/shared/platform/kube/resource.ts';
import { eventually } from '../helpers/eventually.ts';
import { settle } from '../helpers/fake-clock.ts';
import { rejectionOf, WIDGET_CRD, WIDGETS } from '../kube/under-test.ts';
import { type ApiServer, type ApiServerOptions, startApiServer } from './server.ts';

let server: ApiServer;
let client: KubeClient;
beforeEach(() => begin());
afterEach(() => server.close());

async function begin(options: ApiServerOptions = {}): Promise<void> {
  await server?.close();
  server = await startApiServer(options);
  client = createKubeClient({ server: server.url }, { userAgent: 'test/1' });
}

const namespace = 'default';
const map = (name: string, more: Record<string, unknown> = {}) => ({
  metadata: { name, namespace, ...more },
});

/** A request as no typed client sends it. */
async function raw(
  method: string,
  path: string,
  o: { body?: string; type?: string; headers?: Record<string, string> } = {},
): Promise<{ status: number; body: Record<string, unknown>; headers: Headers }> {
  const response = await fetch(server.url + path, {
    method,
    headers: { 'content-type': o.type ?? 'application/json', ...o.headers },
    ...(o.body === undefined ? {} : { body: o.body }),
  });
  const text = await response.text();
  const body: unknown = text.startsWith('{') ? JSON.parse(text) : { text };
  return { status: response.status, body: Object(body), headers: response.headers };
}

describe('seeds', () => {
  test('definitions, objects with their status, and namespaces exist from the start', async () => {
    await begin({
      crds: [WIDGET_CRD],
      objects: [
        {
          apiVersion: 'contract.test/v1',
          kind: 'Widget',
          metadata: { name: 'w' },
          spec: { size: 1 },
          status: { phase: 'ready' },
        },
        { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'm', namespace: 'made' } },
        { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n' }, status: { phase: 'x' } },
      ],
    });
    expect(await client.get(WIDGETS, { name: 'w' })).toMatchObject({ status: { phase: 'ready' } });
    expect(await client.get(CONFIG_MAPS, { name: 'm', namespace: 'made' })).toBeDefined();
    expect(server.object('nodes', 'n')).toMatchObject({ status: { phase: 'x' } });
    expect(server.objects('widgets.contract.test').length).toBe(1);
  });

  test('a seed of an unknown kind or with a fault is refused at once', async () => {
    const odd = { apiVersion: 'none/v1', kind: 'Odd', metadata: { name: 'x' } };
    expect(await rejectionOf(startApiServer({ objects: [odd] }))).toBeInstanceOf(TypeError);
    const widget = { apiVersion: 'contract.test/v1', kind: 'Widget', metadata: { name: 'x' } };
    const bad = { ...widget, spec: { size: 0 } };
    const error = await rejectionOf(startApiServer({ crds: [WIDGET_CRD], objects: [bad] }));
    expect(String(error)).toContain('spec.size');
  });
});

describe('coming and going', () => {
  test('state and address outlive a stop', async () => {
    await client.create(CONFIG_MAPS, map('a'));
    const { url } = server;
    await server.stop();
    expect(isKubeError(await rejectionOf(client.get(NODES, { name: 'x' })), 'unavailable')).toBe(
      true,
    );
    server.start();
    server.start();
    expect(server.url).toBe(url);
    expect(await client.get(CONFIG_MAPS, { name: 'a', namespace })).toBeDefined();
  });

  test('a stop does not wait for requests that hang', async () => {
    server.faults.add({ action: 'hang', match: { plural: 'nodes' } });
    const hanging = rejectionOf(client.list(NODES));
    await settle();
    await server.stop();
    expect(isKubeError(await hanging)).toBe(true);
  });

  test('requests are noted', async () => {
    await client.create(CONFIG_MAPS, map('a'));
    expect(server.seen.at(-1)).toMatchObject({
      method: 'POST',
      plural: 'configmaps',
      namespace,
      userAgent: 'test/1',
      isWatch: false,
    });
  });
});

describe('bounds', () => {
  test('history is forgotten beyond its window, and a watch from there meets gone', async () => {
    await begin({ historyMax: 8 });
    const first = await client.create(CONFIG_MAPS, map('a'));
    for (let index = 0; index < 30; index += 1) await client.create(CONFIG_MAPS, map(`b-${index}`));
    const watch = (resourceVersion: string) =>
      client.watch(CONFIG_MAPS, { resourceVersion, signal: new AbortController().signal }).next();
    const old = await rejectionOf(watch(first.metadata?.resourceVersion ?? ''));
    expect(isKubeError(old, 'gone')).toBe(true);
    const recent = await watch(String(server.revision - 2));
    expect(recent.value).toMatchObject({ type: 'ADDED' });
  });

  test('lists in progress are given up, the oldest first', async () => {
    for (const name of ['a', 'b', 'c']) await client.create(CONFIG_MAPS, map(name));
    const path = `/api/v1/namespaces/${namespace}/configmaps?limit=1`;
    const begun: unknown[] = [];
    for (let index = 0; index < 70; index += 1) {
      const { body } = await raw('GET', path);
      begun.push(Object(body.metadata).continue);
    }
    const next = async (token: unknown): Promise<number> =>
      (await raw('GET', `${path}&continue=${encodeURIComponent(String(token))}`)).status;
    expect(await next(begun[0])).toBe(410);
    expect(await next(begun[69])).toBe(200);
    expect(await next('nonsense')).toBe(400);
  });

  test('a version of the future is refused', async () => {
    const { status, body } = await raw('GET', '/api/v1/nodes?resourceVersion=999999');
    expect(status).toBe(504);
    expect(body.reason).toBe('Timeout');
  });

  test('a body that is too large is refused', async () => {
    const body = JSON.stringify({ ...map('big'), data: { a: 'x'.repeat(4 << 20) } });
    const { status } = await raw('POST', `/api/v1/namespaces/${namespace}/configmaps`, { body });
    expect(status).toBe(413);
  });
});

describe('requests', () => {
  const maps = `/api/v1/namespaces/${namespace}/configmaps`;

  test.each([
    ['no such path', 'GET', '/nothing', 404],
    ['no such kind', 'GET', '/api/v1/nothings', 404],
    ['no such subresource', 'GET', `${maps}/a/scale`, 404],
    ['a cluster-wide kind inside a namespace', 'GET', '/api/v1/namespaces/default/nodes', 404],
    ['a namespaced object without its namespace', 'GET', '/api/v1/configmaps/a', 404],
    ['a replacement of a collection', 'PUT', maps, 405],
    ['a creation of a named object', 'POST', `${maps}/a`, 405],
    ['a list of reviews', 'GET', '/apis/authentication.k8s.io/v1/tokenreviews', 405],
  ])('%s is refused', async (_title, method, path, status) => {
    const body = method === 'GET' ? {} : { body: '{}' };
    expect((await raw(method, path, body)).status).toBe(status);
  });

  test('bodies of another type, broken or about something else are refused', async () => {
    expect((await raw('POST', maps, { body: '{}', type: 'application/x-protobuf' })).status).toBe(
      415,
    );
    expect((await raw('POST', maps, { body: '{' })).status).toBe(400);
    const other = JSON.stringify({ kind: 'Secret', metadata: { name: 'a' } });
    expect((await raw('POST', maps, { body: other })).status).toBe(400);
    const elsewhere = JSON.stringify({ metadata: { name: 'a', namespace: 'kube-system' } });
    expect((await raw('POST', maps, { body: elsewhere })).status).toBe(400);
  });

  test('YAML is read too', async () => {
    const body = 'metadata:\n  name: y\ndata:\n  a: "1"\n';
    expect((await raw('POST', maps, { body, type: 'application/yaml' })).status).toBe(201);
    expect(server.object('configmaps', 'y', namespace)).toMatchObject({ data: { a: '1' } });
  });

  test('a dry run answers as if, and changes nothing', async () => {
    await client.create(CONFIG_MAPS, map('a'));
    const before = server.revision;
    const body = JSON.stringify(map('b'));
    const made = await raw('POST', `${maps}?dryRun=All`, { body });
    expect(made.status).toBe(201);
    expect((await raw('DELETE', `${maps}/a?dryRun=All`)).status).toBe(200);
    const patch = { body: '{"data":{"x":"1"}}', type: 'application/merge-patch+json' };
    expect((await raw('PATCH', `${maps}/a?dryRun=All`, patch)).body).toMatchObject({
      data: { x: '1' },
    });
    expect(server.revision).toBe(before);
  });

  test('unknown fields are warned about', async () => {
    await begin({ crds: [WIDGET_CRD] });
    const body = JSON.stringify({ metadata: { name: 'w' }, spec: { size: 1, typo: 1 } });
    const { headers } = await raw('POST', '/apis/contract.test/v1/widgets', { body });
    expect(headers.get('warning')).toContain('unknown field \\"spec.typo\\"');
  });

  test('a collection is deleted by selector', async () => {
    await client.create(CONFIG_MAPS, map('a', { labels: { del: 'yes' } }));
    await client.create(CONFIG_MAPS, map('b'));
    await raw('DELETE', `${maps}?labelSelector=del%3Dyes`);
    expect(server.objects('configmaps').map((one) => Object(one.metadata).name)).toEqual(['b']);
  });

  test('discovery names what is served, and only while it is', async () => {
    await begin({ crds: [WIDGET_CRD] });
    const groups = async (): Promise<string> => JSON.stringify((await raw('GET', '/apis')).body);
    expect(await groups()).toContain('contract.test/v1');
    const list = await raw('GET', '/apis/contract.test/v1');
    expect(JSON.stringify(list.body)).toContain('widgets/status');
    expect((await raw('GET', '/api/v1')).body).toMatchObject({ groupVersion: 'v1' });
    expect((await raw('GET', '/apis/apps')).body).toMatchObject({ name: 'apps' });
    await raw(
      'DELETE',
      '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.contract.test',
    );
    expect(await groups()).not.toContain('contract.test');
    for (const path of ['/healthz', '/livez', '/readyz']) {
      expect((await raw('GET', path)).status).toBe(200);
    }
  });

  test('who may do what is up to the test', async () => {
    await begin({
      users: { t: { username: 'daemon', groups: ['g'] } },
      authorize: (request, user) =>
        user?.username === 'daemon' || request.method === 'GET' ? undefined : 'not for you',
    });
    const refused = await rejectionOf(client.create(CONFIG_MAPS, map('a')));
    expect(isKubeError(refused, 'forbidden')).toBe(true);
    expect(String(refused)).toContain('not for you');
    const headers = { authorization: 'Bearer t' };
    const body = JSON.stringify(map('a'));
    expect((await raw('POST', maps, { body, headers })).status).toBe(201);
    server.setTokenRequired(true);
    expect(isKubeError(await rejectionOf(client.list(NODES)), 'unauthorized')).toBe(true);
  });

  test('a review confirms the audiences that were asked for', async () => {
    await begin({ users: { t: { username: 'u', uid: '1', groups: ['g'] } } });
    const spec = { token: 't', audiences: ['multi-nic'] };
    const review = await client.create(TOKEN_REVIEWS, { spec });
    expect(review.status).toMatchObject({
      authenticated: true,
      audiences: ['multi-nic'],
      user: { username: 'u', groups: ['g'] },
    });
  });
});

describe('faults', () => {
  test('strike as often as told, on what they match, until they are taken away', async () => {
    const fault = server.faults.add({
      action: 'status',
      code: 500,
      match: { method: 'POST', plural: 'configmaps', namespace },
      times: 1,
    });
    expect((await client.list(CONFIG_MAPS)).items).toEqual([]);
    expect(isKubeError(await rejectionOf(client.create(CONFIG_MAPS, map('a'))))).toBe(true);
    await client.create(CONFIG_MAPS, map('a'));
    expect(fault.hits).toBe(1);
    const forever = server.faults.add({ action: 'status', code: 500, match: { name: 'a' } });
    const patch = { type: 'merge' as const, body: {} };
    const key = { name: 'a', namespace };
    for (let round = 0; round < 3; round += 1) {
      await rejectionOf(client.patch(CONFIG_MAPS, key, patch));
    }
    expect(forever.hits).toBe(3);
    forever[Symbol.dispose]();
    await client.patch(CONFIG_MAPS, key, patch);
  });

  test('a dropped answer belongs to a request that was done', async () => {
    server.faults.add({ action: 'drop', when: 'after', times: 1, match: { method: 'POST' } });
    await rejectionOf(client.create(CONFIG_MAPS, map('a')));
    expect(server.object('configmaps', 'a', namespace)).toBeDefined();
    server.faults.add({ action: 'drop', times: 1, match: { method: 'POST' } });
    await rejectionOf(client.create(CONFIG_MAPS, map('b')));
    expect(server.object('configmaps', 'b', namespace)).toBeUndefined();
  });
});

describe('controllers', () => {
  const owned = (name: string, owner: { name: string; uid: string }[], block = false) =>
    map(name, {
      ownerReferences: owner.map((one) => ({
        apiVersion: 'v1',
        kind: 'ConfigMap',
        ...one,
        blockOwnerDeletion: block,
      })),
    });
  const make = async (name: string): Promise<{ name: string; uid: string }> => {
    const made = await client.create(CONFIG_MAPS, map(name));
    return { name, uid: made.metadata?.uid ?? '' };
  };
  const names = (): unknown[] =>
    server.objects('configmaps').map((one) => Object(one.metadata).name);

  test('a dependent with another owner left only loses the reference', async () => {
    const [a, b] = [await make('a'), await make('b')];
    await client.create(CONFIG_MAPS, owned('c', [a, b]));
    await client.delete(CONFIG_MAPS, { name: 'a', namespace });
    await eventually('one reference', async () => {
      const c = await client.get(CONFIG_MAPS, { name: 'c', namespace });
      return c?.metadata?.ownerReferences?.length === 1;
    });
    await client.delete(CONFIG_MAPS, { name: 'b', namespace });
    await eventually('nothing is left', () => names().length === 0);
  });

  test('a dependent of nobody is collected', async () => {
    await client.create(CONFIG_MAPS, owned('c', [{ name: 'x', uid: 'no-such-uid' }]));
    await eventually('nothing is left', () => names().length === 0);
  });

  test('an owner of the same name but another uid does not count', async () => {
    const old = await make('a');
    await client.create(CONFIG_MAPS, owned('c', [old]));
    await client.delete(CONFIG_MAPS, { name: 'a', namespace });
    await make('a');
    await eventually('only the new one is left', () => names().join() === 'a');
  });

  test('a deletion in the foreground waits for its dependents', async () => {
    const a = await make('a');
    const held = owned('c', [a], true);
    await client.create(CONFIG_MAPS, {
      metadata: { ...held.metadata, finalizers: ['test/hold'] },
    });
    const key = { name: 'a', namespace };
    await client.delete(CONFIG_MAPS, key, { propagation: 'Foreground' });
    const dependent = { name: 'c', namespace };
    await eventually('the dependent ends', async () => {
      const c = await client.get(CONFIG_MAPS, dependent);
      return c?.metadata?.deletionTimestamp !== undefined;
    });
    expect(names()).toEqual(['a', 'c']);
    const body = { metadata: { finalizers: null } };
    await client.patch(CONFIG_MAPS, dependent, { type: 'merge', body });
    await eventually('nothing is left', () => names().length === 0);
  });

  test('orphans stay', async () => {
    const a = await make('a');
    await client.create(CONFIG_MAPS, owned('c', [a]));
    await client.delete(CONFIG_MAPS, { name: 'a', namespace }, { propagation: 'Orphan' });
    await eventually('the owner is gone', () => names().join() === 'c');
    const c = await client.get(CONFIG_MAPS, { name: 'c', namespace });
    expect(c?.metadata?.ownerReferences ?? []).toEqual([]);
  });

  test('a namespace ends when its last object does, and takes no new ones meanwhile', async () => {
    await client.create(NAMESPACES, { metadata: { name: 'n' } });
    const metadata = { name: 'a', namespace: 'n', finalizers: ['test/hold'] };
    await client.create(CONFIG_MAPS, { metadata });
    await client.delete(NAMESPACES, { name: 'n' });
    await settle();
    const late = { metadata: { name: 'b', namespace: 'n' } };
    expect(isKubeError(await rejectionOf(client.create(CONFIG_MAPS, late)), 'forbidden')).toBe(
      true,
    );
    const body = { metadata: { finalizers: null } };
    const key = { name: 'a', namespace: 'n' };
    await client.patch(CONFIG_MAPS, key, { type: 'merge', body });
    await eventually('it is gone', () => server.object('namespaces', 'n') === undefined);
  });

  test('without a controller nothing is collected', async () => {
    await begin({ hasController: false });
    await client.create(CONFIG_MAPS, owned('c', [{ name: 'x', uid: 'no-such-uid' }]));
    await settle();
    expect(names()).toEqual(['c']);
  });
});
