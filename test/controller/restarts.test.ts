// The controller dies at each of its writes, once before the API server took it and once after, and
// another one goes on: the cluster must end as if nobody had died.
import { describe, expect, test } from 'bun:test';
import { parseLedger } from '../../src/controller/plan/ledger.ts';
import {
  CIDR_FINALIZER,
  HOST_INTERFACE_FINALIZER,
  IP_POOL_FINALIZER,
  LEDGER_KEY,
} from '../../src/shared/model/names.ts';
import * as kinds from '../../src/shared/platform/kube/resource.ts';
import type { ApiRequest } from '../apiserver/requests.ts';
import type { ApiServer } from '../apiserver/server.ts';
import { eventually } from '../helpers/eventually.ts';
import { type EmbeddedLab, type Lab, startLab, type TestController, toSpec } from './harness.ts';
import { addPool } from './pools.ts';

const A = '10.1.0.0/16';
const B = '10.2.0.0/16';
/** Of the one that goes on: claims without owner come back after two of these. */
const LEASE_MS = 200;

/** A chapter of a cluster's life: what users do, and when the controller has followed. */
interface Chapter {
  readonly title: string;
  readonly prepare?: (lab: Lab) => Promise<void>;
  readonly act: (lab: Lab) => Promise<void>;
  /** What is not yet as it must be; empty in the end. */
  readonly pending: (server: ApiServer) => string[];
}

const CHAPTERS: readonly Chapter[] = [
  {
    title: 'a network is made',
    act: async (lab) => {
      await lab.addNetwork('net', toSpec({ namespaces: ['jobs'] }));
    },
    pending: (server) => unserved(server, { hosts: ['node-0', 'node-1'], mtu: undefined }),
  },
  {
    title: 'a host joins and the plugin changes',
    prepare: async (lab) => {
      await lab.addNetwork('net', toSpec({ namespaces: ['jobs'] }));
    },
    act: async (lab) => {
      await lab.addHost('node-2', A, B);
      const args = { mode: 'l3', mtu: '9000' };
      const body = { spec: { plugin: { args } } };
      await lab.client.patch(kinds.MULTI_NIC_NETWORKS, { name: 'net' }, { type: 'merge', body });
    },
    pending: (server) => unserved(server, { hosts: ['node-0', 'node-1', 'node-2'], mtu: 9000 }),
  },
  {
    title: 'a host with finalizers of the original leaves',
    prepare: async (lab) => {
      await lab.addNetwork('net', toSpec({ namespaces: ['jobs'] }));
      await addPool(lab, { name: 'net-192.168.0.0-24', network: 'net', host: 'node-0' });
      await keep(lab, kinds.IP_POOLS, 'net-192.168.0.0-24', IP_POOL_FINALIZER);
      await keep(lab, kinds.HOST_INTERFACES, 'node-0', HOST_INTERFACE_FINALIZER);
    },
    act: async (lab) => await lab.removeNode('node-0'),
    pending: (server) => [
      ...unserved(server, { hosts: ['node-1'], mtu: undefined }),
      ...left(server, 'ippools'),
    ],
  },
  {
    title: 'a network with finalizers of the original is deleted',
    prepare: async (lab) => {
      await lab.addNetwork('net', toSpec({ namespaces: ['jobs'] }));
      await lab.untilCondition('net', 'Ready', 'True');
      await addPool(lab, { name: 'net-192.168.0.0-24', network: 'net', host: 'node-0' });
      await keep(lab, kinds.IP_POOLS, 'net-192.168.0.0-24', IP_POOL_FINALIZER);
      await keep(lab, kinds.CIDRS, 'net', CIDR_FINALIZER);
    },
    act: async (lab) => {
      await lab.client.delete(kinds.MULTI_NIC_NETWORKS, { name: 'net' });
    },
    pending: (server) => [
      ...left(server, 'multinicnetworks'),
      ...left(server, 'network-attachment-definitions'),
      ...left(server, 'cidrs'),
      ...left(server, 'ippools'),
      ...left(server, 'configmaps'),
      ...hostsOf(server).flatMap(({ name, published }) => (published.size === 0 ? [] : name)),
    ],
  },
];

async function keep(
  lab: Lab,
  resource: kinds.Resource<unknown>,
  name: string,
  finalizer: string,
): Promise<void> {
  const body = { metadata: { finalizers: [finalizer] } };
  await lab.client.patch(resource, { name }, { type: 'merge', body });
}

function left(server: ApiServer, plural: string): string[] {
  return server
    .objects(plural)
    .map((object) => `${plural}/${kinds.parseNamed(object).metadata.name}`);
}

/** Hosts with what is published for them, as `net address#index`. */
function hostsOf(server: ApiServer): { name: string; published: ReadonlySet<string> }[] {
  return server.objects('hostinterfaces').map((object) => {
    const { metadata, status } = kinds.HOST_INTERFACES.parse(object);
    const indices = (status?.networks ?? []).flatMap((network) => network.indices);
    const published = indices.map(({ netAddress, hostIndex }) => `${netAddress}#${hostIndex}`);
    return { name: metadata.name, published: new Set(published) };
  });
}

/** What is missing until the network serves these hosts, and nobody else. */
function unserved(server: ApiServer, o: { hosts: string[]; mtu: number | undefined }): string[] {
  const hosts = hostsOf(server);
  const published = hosts.flatMap((host) => [...host.published]).sort();
  return [
    ...differ('hosts', hosts.map(({ name }) => name).sort(), o.hosts),
    ...hosts.flatMap(({ name, published: own }) => (own.size === 2 ? [] : `indices of ${name}`)),
    ...differ('owners', [...new Set(published)], published),
    ...differ('ledger', ledgerOf(server), published),
    ...differ('CIDR object', recordsOf(server), published),
    ...differ('definitions', definitionsOf(server), [`jobs ${o.mtu}`]),
    ...differ('status', statusOf(server), [
      'True',
      `${A}#${o.hosts.length}`,
      `${B}#${o.hosts.length}`,
    ]),
  ];
}

function differ(what: string, seen: readonly string[], wanted: readonly string[]): string[] {
  return seen.join() === wanted.join()
    ? []
    : [`${what}: ${seen.join(', ')} not ${wanted.join(', ')}`];
}

function ledgerOf(server: ApiServer): string[] {
  const [object] = server.objects('configmaps');
  const { data }: { data?: Record<string, string> } = Object(object);
  const reading = parseLedger(data?.[LEDGER_KEY]);
  if (!reading.ok) return [reading.issue];
  const { nets } = reading.ledger;
  return nets.flatMap((net) => [...net.hosts].map((index) => `${net.netAddress}#${index}`)).sort();
}

function recordsOf(server: ApiServer): string[] {
  return server
    .objects('cidrs')
    .flatMap((object) => kinds.CIDRS.parse(object).spec.cidr)
    .flatMap(({ netAddress, hosts }) => hosts.map((host) => `${netAddress}#${host.hostIndex}`))
    .sort();
}

function definitionsOf(server: ApiServer): string[] {
  return server
    .objects('network-attachment-definitions')
    .map((object) => {
      const { metadata, spec } = kinds.NET_ATTACH_DEFS.parse(object);
      const { plugin }: { plugin?: { mtu?: number } } = JSON.parse(spec?.config ?? '{}');
      return `${metadata.namespace} ${plugin?.mtu}`;
    })
    .sort();
}

function statusOf(server: ApiServer): string[] {
  const [object] = server.objects('multinicnetworks');
  const { status } = kinds.MULTI_NIC_NETWORKS.parse(object);
  const ready = status?.conditions?.find(({ type }) => type === 'Ready');
  const counts = (status?.computeResults ?? []).map((one) => `${one.netAddress}#${one.numOfHosts}`);
  return [ready?.status ?? 'none', ...counts.sort()];
}

/** A client whose process dies at its write number `at`. */
interface Victim {
  readonly died: Promise<void>;
  readonly writes: () => number;
}

const VICTIM = 'victim';
const isWrite = ({ method, kind }: ApiRequest): boolean =>
  method !== 'GET' && kind?.plural !== 'events';

function arm(server: ApiServer, at: number, when: 'before' | 'after'): Victim {
  const { promise: died, resolve } = Promise.withResolvers<void>();
  let writes = 0;
  let isDead = false;
  server.faults.add({
    action: 'drop',
    when: 'before',
    match: ({ userAgent }) => userAgent === VICTIM && isDead,
  });
  server.faults.add({
    action: 'drop',
    when,
    match: (request) => {
      if (request.userAgent !== VICTIM || isDead || !isWrite(request)) return false;
      writes++;
      isDead = writes === at;
      if (isDead) resolve();
      return isDead;
    },
  });
  return { died, writes: () => writes };
}

async function startVictim(lab: Lab): Promise<TestController> {
  return await lab.startController({ client: lab.cluster.newClient(VICTIM) });
}

async function prepare(chapter: Chapter): Promise<EmbeddedLab> {
  const embedded = await startLab({ namespaces: ['jobs'] });
  const { lab } = embedded;
  for (const name of ['node-0', 'node-1']) await lab.addHost(name, A, B);
  const first = await lab.startController();
  await chapter.prepare?.(lab);
  if (chapter.prepare !== undefined) await lab.untilCondition('net', 'Ready', 'True');
  await eventually(
    'the Config is rendered',
    () => embedded.server.objects('daemonsets').length > 0,
  );
  await first.running.queue.idle();
  await first.stop();
  return embedded;
}

/** Lives through the chapter with a death; true when there were so many writes. */
async function live(chapter: Chapter, at: number, when: 'before' | 'after'): Promise<boolean> {
  await using embedded = await prepare(chapter);
  const { lab, server } = embedded;
  const victim = arm(server, at, when);
  const first = await startVictim(lab);
  await chapter.act(lab);
  const settled = eventually(`${chapter.title}: settled`, () => isSettled(chapter, server));
  settled.catch(() => undefined); // looked at again below when the victim died
  const isDead = await Promise.race([victim.died.then(() => true), settled.then(() => false)]);
  if (!isDead) return false;
  await first.stop();
  await lab.startController({ leaseDurationMs: LEASE_MS });
  await eventually(`${chapter.title}, ${when} write ${at}`, () => isSettled(chapter, server));
  return true;
}

function isSettled(chapter: Chapter, server: ApiServer): boolean {
  const pending = chapter.pending(server);
  if (pending.length > 0) throw new Error(pending.join('; '));
  return true;
}

const WRITES_MAX = 60;

describe('a controller that dies', () => {
  for (const chapter of CHAPTERS) {
    for (const when of ['before', 'after'] as const) {
      test(`${when} any of its writes, while ${chapter.title}`, async () => {
        let at = 1;
        while (at < WRITES_MAX && (await live(chapter, at, when))) at++;
        expect(at).toBeWithin(5, WRITES_MAX);
      }, 120_000);
    }
  }
});
