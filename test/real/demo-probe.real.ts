// What the demo's matrix is worth: a cell is only good if question and answer went over the rail that it stands for, and
// asking leaves no neighbours behind in a table that all namespaces share.
import { expect, test } from 'bun:test';
import { probeRail, RetryBudget } from '../../scripts/demo/probe.ts';
import { NetnsWorld, netnsObstacle, type TestNetns } from '../helpers/netns.ts';
import { requirement } from '../helpers/requirement.ts';

interface Lab {
  readonly world: NetnsWorld;
  readonly a: TestNetns;
  readonly b: TestNetns;
}

/** Two pods on two rails: pod a has 10.0.RAIL.1 and pod b 10.0.RAIL.2. */
function buildLab(world: NetnsWorld): Lab {
  const wires = world.addNetns('wires');
  const pods = ['a', 'b'].map((name) => world.addNetns(name));
  for (const rail of [0, 1]) {
    const ports = pods.map(({ name }) => `${name}${rail}`);
    for (const [index, netns] of pods.entries()) {
      const name = `net1-${rail}`;
      world.addVeth({ netns: wires, name: ports[index] ?? '' }, { netns, name });
      world.ip(netns, ['addr', 'add', `10.0.${rail}.${index + 1}/24`, 'dev', name]);
    }
    world.addBridge(wires, `rail${rail}`, ports);
  }
  const [a, b] = pods;
  if (a === undefined || b === undefined) throw new Error('a lab without pods');
  return { world, a, b };
}

function probe({ a, b }: Lab, rail: number, retryMs: number) {
  const ends = [a, b].map(({ name, path }, index) => ({
    pod: name,
    netns: path,
    interfaceName: `net1-${rail}`,
    address: `10.0.${rail}.${index + 1}`,
  }));
  return probeRail(ends, { retries: new RetryBudget(retryMs) });
}

if (requirement("the demo's probe", netnsObstacle())) {
  test('pods that reach each other get the time of each answer, and no neighbour stays', async () => {
    using world = new NetnsWorld();
    const lab = buildLab(world);
    for (const rail of [0, 1]) {
      const times = await probe(lab, rail, 5000);
      expect(times.get('a')).toEqual({ [`10.0.${rail}.2`]: expect.any(Number) });
      expect(times.get('b')).toEqual({ [`10.0.${rail}.1`]: expect.any(Number) });
    }
    for (const pod of [lab.a, lab.b]) {
      expect(JSON.parse(world.ip(pod, ['-json', '-4', 'neigh', 'show', 'nud', 'all']))).toEqual([]);
    }
  });

  test('an address that answers over another rail does not count', async () => {
    using world = new NetnsWorld();
    const lab = buildLab(world);
    world.ip(lab.b, ['link', 'set', 'net1-1', 'down']);
    world.ip(lab.b, ['addr', 'add', '10.0.1.2/32', 'dev', 'lo']);
    world.ip(lab.a, ['route', 'add', '10.0.1.2/32', 'dev', 'net1-0']);
    world.ip(lab.b, ['route', 'add', '10.0.1.1/32', 'dev', 'net1-0']);
    expect(world.ping(lab.a, '10.0.1.2')).toBe(true);
    expect(world.ping(lab.b, '10.0.1.1')).toBe(true);
    const times = await probe(lab, 1, 0);
    expect(times.get('a')).toEqual({ '10.0.1.2': null });
    expect(times.get('b')).toEqual({ '10.0.1.1': null });
  });

  test('a question that was lost is asked again', async () => {
    using world = new NetnsWorld();
    const lab = buildLab(world);
    world.ip(lab.b, ['link', 'set', 'net1-0', 'down']);
    // It has asked once when it first waits.
    const probing = probe(lab, 0, 30_000);
    world.ip(lab.b, ['link', 'set', 'net1-0', 'up']);
    const times = await probing;
    expect(times.get('a')).toEqual({ '10.0.0.2': expect.any(Number) });
    expect(times.get('b')).toEqual({ '10.0.0.1': expect.any(Number) });
  });
}
