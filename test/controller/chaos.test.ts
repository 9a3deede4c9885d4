// Hosts that come and go, controllers that die and API servers that fail, in random order: at no
// moment may two HostInterfaces hold one index, and in the end everybody has one.
import { describe, expect, test } from 'bun:test';
import { Random, seedTitle } from '../../core-wasm/test/random.ts';
import type { HostInterface } from '../../src/shared/model/objects/host-interface.ts';
import { watchCollection } from '../../src/shared/platform/kube/collection.ts';
import * as kinds from '../../src/shared/platform/kube/resource.ts';
import { createLogger } from '../../src/shared/platform/log.ts';
import type { ApiServer } from '../apiserver/server.ts';
import { eventually } from '../helpers/eventually.ts';
import { type Lab, startLab, type TestController, toHostInterface, toSpec } from './harness.ts';

const NETS = ['10.1.0.0/16', '10.2.0.0/16'] as const;
const HOSTS = Array.from({ length: 10 }, (_, index) => `node-${index}`);

/** Sees every version of every HostInterface in order, and keeps what breaks the rule. */
class Referee {
  readonly violations: string[] = [];
  readonly #hosts = new Map<string, HostInterface>();
  readonly #stop = new AbortController();

  constructor(lab: Lab) {
    const collection = watchCollection({
      client: lab.cluster.newClient('referee'),
      resource: kinds.HOST_INTERFACES,
      project: (host) => host,
      onChange: (key) => this.#see(key, collection.get(key)),
      signal: this.#stop.signal,
      log: createLogger({ component: 'referee', write: () => undefined }),
    });
  }

  end(): string[] {
    this.#stop.abort(new Error('the test is over'));
    return this.violations;
  }

  #see(name: string, host: HostInterface | undefined): void {
    const before = this.#hosts.get(name);
    if (host === undefined) this.#hosts.delete(name);
    else this.#hosts.set(name, host);
    if (before?.metadata.uid === host?.metadata.uid) this.#checkStability(name, before, host);
    this.#checkOwners();
  }

  #checkStability(name: string, before?: HostInterface, after?: HostInterface): void {
    const now = indicesOf(after);
    for (const [key, index] of indicesOf(before)) {
      if (now.get(key) !== index)
        this.violations.push(`${name} ${key}: ${index} became ${now.get(key)}`);
    }
  }

  #checkOwners(): void {
    const owners = new Map<string, string>();
    for (const [name, host] of this.#hosts) {
      for (const [key, index] of indicesOf(host)) {
        const place = `${key}#${index}`;
        const other = owners.get(place);
        if (other !== undefined) this.violations.push(`${place}: ${other} and ${name}`);
        owners.set(place, name);
      }
    }
  }
}

/** `network net` -> index. */
function indicesOf(host: HostInterface | undefined): Map<string, number> {
  return new Map(
    (host?.status?.networks ?? []).flatMap(({ name, indices }) =>
      indices.map(({ netAddress, hostIndex }): [string, number] => [
        `${name} ${netAddress}`,
        hostIndex,
      ]),
    ),
  );
}

async function settle(lab: Lab, networks: readonly string[]): Promise<void> {
  const { items } = await lab.client.list(kinds.HOST_INTERFACES);
  for (const { metadata, spec } of items) {
    for (const network of networks) {
      const nets = new Set(spec.interfaces.map(({ netAddress }) => netAddress));
      await eventually(
        `${metadata.name} has its indices in ${network}`,
        async () => {
          if (!(await exists(lab, kinds.HOST_INTERFACES, metadata.name))) return true; // its node went
          const indices = await lab.indices(metadata.name, network);
          return [...nets].every((net) => net !== undefined && net in indices);
        },
        60_000,
      );
    }
  }
}

const exists = async (lab: Lab, kind: kinds.Resource<unknown>, name: string): Promise<boolean> =>
  (await lab.client.get(kind, { name })) !== undefined;

/** One thing that happens; the test itself meets no faults. */
async function happen(
  random: Random,
  o: { lab: Lab; server: ApiServer; controllers: TestController[] },
): Promise<void> {
  const { lab, server, controllers } = o;
  const name = HOSTS[random.below(HOSTS.length)] ?? '';
  switch (random.below(9)) {
    case 0:
      await lab.client.delete(kinds.NODES, { name });
      break;
    case 1:
      await lab.client.delete(kinds.HOST_INTERFACES, { name });
      break;
    case 2:
      await controllers.shift()?.stop();
      controllers.push(await lab.startController());
      break;
    case 3: {
      const code = random.pick([500, 429, 403, 409]);
      const times = random.between(1, 8);
      const match = { userAgent: 'controller' };
      server.faults.add({ action: 'status', code, times, match });
      break;
    }
    case 4: {
      const when = random.oneIn(2) ? 'before' : 'after';
      const match = { userAgent: 'controller', method: 'PATCH' };
      server.faults.add({ action: 'drop', when, times: random.between(1, 4), match });
      break;
    }
    case 5:
      server.compact();
      server.faults.add({ action: 'reset-watch', how: 'expired', times: 3 });
      break;
    default:
      await join(lab, name, random);
  }
}

/** A daemon starts on a node: it writes its HostInterface, whatever was there before. */
async function join(lab: Lab, name: string, random: Random): Promise<void> {
  if (!(await exists(lab, kinds.NODES, name))) {
    await lab.client.create(kinds.NODES, { metadata: { name } });
  }
  const nets = random.oneIn(3) ? [random.pick(NETS)] : [...NETS];
  const object = toHostInterface(name, nets);
  if (await exists(lab, kinds.HOST_INTERFACES, name)) {
    const body = { spec: object.spec };
    await lab.client
      .patch(kinds.HOST_INTERFACES, { name }, { type: 'merge', body })
      .catch(() => undefined); // deleted in between: the next daemon writes it
  } else await lab.client.create(kinds.HOST_INTERFACES, object);
}

describe(`chaos, ${seedTitle}`, () => {
  test.each([1, 2, 3, 4])(
    'world %d',
    async (number) => {
      await using embedded = await startLab();
      const { lab, server } = embedded;
      const random = new Random(100 + number);
      const referee = new Referee(lab);
      await lab.addNetwork('wide', toSpec({ subnet: '192.168.0.0/16' }));
      await lab.addNetwork(
        'tight',
        toSpec({ subnet: '172.30.0.0/16', hostBlock: 4, vlanMode: 'l2' }),
      );
      const controllers = [await lab.startController()];
      for (let step = 0; step < 60; step++) {
        await happen(random, { lab, server, controllers });
        await Bun.sleep(random.below(12)); // lets some of the reactions fall between two events
      }
      server.faults.clear();
      await settle(lab, ['wide', 'tight']);
      expect(referee.end()).toEqual([]);
    },
    180_000,
  );

  test('two leaders at once give no index twice', async () => {
    await using embedded = await startLab();
    const { lab } = embedded;
    const referee = new Referee(lab);
    await lab.addNetwork('wide', toSpec({ hostBlock: 8 })); // room for the claims of both
    // Long leases: what the other claimed and did not publish yet is nobody's to give back.
    await lab.startController({ leaseDurationMs: 60_000 });
    await lab.startController({ leaseDurationMs: 60_000 });
    const names = Array.from({ length: 40 }, (_, index) => `node-${index}`);
    await Promise.all(names.map((name) => lab.addHost(name, ...NETS)));
    await settle(lab, ['wide']);
    expect(referee.end()).toEqual([]);
  });
});
