// What the daemon shows to people and programs: attachments, pools, routes, NICs, and why.
import { describe, expect, setDefaultTimeout, test } from 'bun:test';
import { externalRow } from '../../src/daemon/attach/external.ts';
import type { Attachment } from '../../src/daemon/journal/attachment.ts';
import { hostObject, NODE, networkObject, rail } from './cluster.ts';
import { poolObject } from './cluster-scene.ts';
import { cniRequest, createFakeHost, type Harness, send, startHarness } from './harness.ts';

setDefaultTimeout(120_000);

interface Page {
  readonly count: number;
  readonly attachments: { readonly containerId: string }[];
  readonly next?: number;
}

async function setUp() {
  const hostNet = createFakeHost();
  hostNet.addNetns('/run/netns/c1');
  return { hostNet, h: await startHarness({ hostNet }) };
}

describe('views', () => {
  test('show attachments, pools, routes and interfaces', async () => {
    const { h } = await setUp();
    await using _ = h;
    await send(h.socket, cniRequest('ADD'));
    const get = async (path: string): Promise<unknown> => (await fetch(h.url + path)).json();
    expect(await get('/v1/attachments')).toMatchObject({
      node: 'n1',
      count: 1,
      attachments: [{ containerId: 'c1', state: 'attached', podName: 'c1' }],
    });
    expect(await get('/v1/pools')).toMatchObject({
      conflicts: [],
      pools: [{ name: 'net-192.168.0.0-24', state: 'planned', occupied: 1, free: 253 }, {}, {}, {}],
    });
    expect(await get('/v1/routes')).toMatchObject({ desired: 0, missing: [], actual: [] });
    expect(await get('/v1/interfaces')).toMatchObject({
      nics: [{ interfaceName: 'eth1' }, {}, {}, {}],
    });
    expect(await get('/interface')).toEqual(
      [1, 2, 3, 4].map((i) => ({
        interfaceName: `eth${i}`,
        netAddress: `10.0.${i}.0/24`,
        hostIP: `10.0.${i}.10`,
        vendor: '',
        product: '',
        pciAddress: '',
      })),
    );
  });

  test('every attachment is shown once, in whatever parts they are read', async () => {
    const { h, hostNet } = await setUp();
    await using _ = h;
    const config = { args: { cni: { nics: 1 } } };
    const shown = async (): Promise<string[]> => {
      const view = (await (await fetch(`${h.url}/v1/attachments`)).json()) as {
        count: number;
        attachments: { containerId: string }[];
      };
      expect(view.count).toBe(view.attachments.length);
      return view.attachments.map(({ containerId }) => containerId);
    };
    expect(await shown()).toEqual([]);
    const containers: string[] = [];
    for (let number = 0; number < 101; number++) {
      const container = `many-${number}`;
      hostNet.addNetns(`/run/netns/${container}`);
      await send(h.socket, cniRequest('ADD', { container, config }));
      containers.push(container);
      if (number >= 99 || number === 49) expect(await shown()).toEqual(containers);
    }
  });

  test('why tells what was considered, given and refused', async () => {
    const { h } = await setUp();
    await using _ = h;
    const config = { args: { cni: { nics: 1 } } };
    await send(h.socket, cniRequest('ADD', { config }));
    await send(h.socket, cniRequest('ADD', { config, ifName: 'net2', network: 'nope' }));
    const why = (await (await fetch(`${h.url}/v1/why/c1`)).json()) as {
      attachments: { why: { considered: unknown[]; steps: object } }[];
    };
    expect(why).toMatchObject({
      containerId: 'c1',
      attachments: [{ network: 'net', nics: [{ name: 'net1-0', master: 'eth1' }] }],
      refusals: [{ network: 'nope', kind: 'network-unknown' }],
    });
    expect(why.attachments[0]?.why.considered[1]).toMatchObject({
      interfaceName: 'eth2',
      reason: 'not needed: 1 NICs are wanted',
    });
    expect(Object.keys(why.attachments[0]?.why.steps ?? {})).toEqual([
      'planMs',
      'intentMs',
      'linksMs',
      'diskMs',
    ]);
    expect((await fetch(`${h.url}/v1/why/unknown`)).status).toBe(404);
  });

  test('of thousands of attachments are pages', async () => {
    const { h } = await setUp();
    await using _ = h;
    const { journal } = h.daemon.parts;
    const rows = Array.from({ length: 2_001 }, (_one, index) => toRow(h, `many-${index}`));
    await Promise.all(rows.map((row) => journal.insert(row)));
    const shown: string[] = [];
    for (let next: number | undefined = 0, pages = 0; next !== undefined; pages += 1) {
      const response: Response = await fetch(`${h.url}/v1/attachments?after=${next}`);
      const page = (await response.json()) as Page;
      expect(page.count).toBe(rows.length);
      expect(page.attachments.length).toBe([1_000, 1_000, 1][pages] ?? 0);
      shown.push(...page.attachments.map(({ containerId }) => containerId));
      next = page.next;
    }
    expect(shown).toEqual(rows.map(({ containerId }) => containerId));
    expect((await fetch(`${h.url}/v1/attachments?after=-1`)).status).toBe(400);
  });

  test('of a thousand conflicts and more are shortened, and say by how much', async () => {
    const allocations = Array.from({ length: 1_007 }, (_one, index) => ({
      pod: `p${index}`,
      namespace: 'default',
      index,
      address: `172.16.${Math.floor(index / 256)}.${index % 256}`,
    }));
    const pool = poolObject({
      name: 'net-192.168.0.0-24',
      podCIDR: '192.168.0.0/24',
      interfaceName: 'eth1',
      allocations: [],
    });
    const objects = [
      networkObject(),
      hostObject({ name: NODE, hostIndex: 0 }),
      { ...pool, spec: { ...pool.spec, allocations } },
    ];
    await using h = await startHarness({ objects });
    const view = (await (await fetch(`${h.url}/v1/pools`)).json()) as { conflicts: unknown[] };
    expect(view).toMatchObject({ pools: [{}, {}, {}, {}], omitted: { conflicts: 7 } });
    expect(view.conflicts).toEqual(h.daemon.parts.keeper.conflicts.slice(0, 1_000));
  });
});

/** A row without addresses. */
function toRow(h: Harness, containerId: string): Attachment {
  const { journal, attachPorts } = h.daemon.parts;
  const row = externalRow(attachPorts, {
    network: 'net',
    pod: { namespace: 'default', name: containerId, uid: '' },
    interfaceName: 'eth1',
    netAddress: rail(1),
    held: { pool: 'none', index: 0, family: 4, address: '', prefix: 0 },
  });
  return { ...row, id: journal.takeId(), containerId, external: false, nics: [] };
}
