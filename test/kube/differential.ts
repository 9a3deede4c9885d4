// The same random requests to the embedded server and to a real one: answers and objects must not
// differ, field owners included. Finds what nobody thought of writing into the contract. Does not
// cover watches, lists and built-in kinds with defaults.
import type { KubeClient, Patch } from '../../src/shared/platform/kube/client.ts';
import { KubeError } from '../../src/shared/platform/kube/errors.ts';
import {
  CONFIG_MAPS,
  isRecord,
  type NamedObject,
  type ObjectKey,
  parseNamed,
  type Resource,
  toKey,
} from '../../src/shared/platform/kube/resource.ts';
import { WIDGETS } from './under-test.ts';

/** One step: what to do with an object, given how it looks on the server that it is done to. */
interface Step {
  readonly title: string;
  /** What is sent, for messages. */
  readonly body: unknown;
  readonly resource: Resource<NamedObject>;
  readonly key: ObjectKey;
  readonly run: (client: KubeClient, now: NamedObject | undefined) => Promise<unknown>;
}

type Random = () => number;

/** mulberry32. */
function generator(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const pick = <T>(random: Random, ...choices: readonly T[]): T => {
  const choice = choices[Math.floor(random() * choices.length)];
  if (choice === undefined) throw new RangeError('nothing to choose from');
  return choice;
};

/** Some of the members, each kept with the given chance. */
function some(
  random: Random,
  members: Record<string, unknown>,
  chance = 0.4,
): Record<string, unknown> {
  return Object.fromEntries(Object.entries(members).filter(() => random() < chance));
}

function rails(random: Random): unknown[] {
  const nets = ['a', 'b', 'c'].filter(() => random() < 0.5);
  return nets.map((net) => ({ net, ...some(random, { index: pick(random, 0, 1), note: 'n' }) }));
}

/** For a place without a schema: values of every sort instead of one another. */
const FREE: readonly unknown[] = [
  {},
  { deep: { x: 1 } },
  { deep: { x: 2, y: [1] } },
  { deep: { x: null, y: {} } },
  ...[null, 1, [1], [], {}].map((deep) => ({ deep })),
];

/** Mostly valid; sometimes of the wrong type, out of range, unknown or null. */
function widgetSpec(random: Random): Record<string, unknown> {
  const isOdd = random() < 0.15;
  return {
    ...(random() < 0.95 ? { size: pick(random, 1, 2, 3) } : {}),
    ...some(random, {
      color: pick(random, 'red', 'blue'),
      name: pick(random, 'x', 'y'),
      comment: pick(random, null, 'c', 'd'),
      port: pick<unknown>(random, 1, 'http'),
      tags: ['p', 'q', 'r'].filter(() => random() < 0.5),
      rails: rails(random),
      plain: pick(random, [], [1], [1, 2]),
      labels: some(random, { k: '1', l: pick(random, '1', '2') }),
      nested: some(random, { a: pick(random, '1', '2'), b: '1' }),
      free: pick(random, ...FREE),
    }),
    ...(isOdd
      ? some(random, { size: 1000, name: 'TOO BAD', unknown: 1, plain: {}, tags: ['p', 'p'] })
      : {}),
  };
}

function widgetStatus(random: Random): Record<string, unknown> {
  return some(
    random,
    { phase: pick(random, 'x', 'y'), count: 1, rails: rails(random), odd: 1 },
    0.5,
  );
}

function metadataOf(random: Random): Record<string, unknown> {
  const members = {
    labels: some(random, { a: pick(random, '1', '2'), b: '1' }),
    annotations: some(random, { x: pick(random, '1', '2') }),
    finalizers: ['test/f', 'test/g'].filter(() => random() < 0.3),
  };
  return withNulls(random, some(random, members, 0.3));
}

function withNulls(
  random: Random,
  body: Record<string, unknown>,
  chance = 0.05,
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(body).map(([key, value]) => [key, random() < chance ? null : value]),
  );
}

function jsonOperations(random: Random): unknown[] {
  const count = 1 + Math.floor(random() * 2);
  return Array.from({ length: count }, () => {
    const path = pick(
      random,
      '/spec/size',
      '/spec/nested/a',
      '/spec/plain/0',
      '/spec/plain/-',
      '/metadata/labels',
      '/metadata/labels/a',
      '/spec/rails/0/note',
      '/metadata/finalizers',
    );
    const value = pick<unknown>(random, 1, '1', null, {}, []);
    return { op: pick(random, 'add', 'replace', 'remove', 'test'), path, value };
  });
}

/** What the next request is. */
function randomStep(random: Random, namespace: string): Step {
  return random() < 0.8 ? widgetStep(random) : configMapStep(random, namespace);
}

function widgetStep(random: Random): Step {
  const key = { name: pick(random, 'w1', 'w2') };
  const patch = (title: string, body: Patch): Step => ({
    title,
    body,
    resource: WIDGETS,
    key,
    run: (client) => client.patch(WIDGETS, key, body),
  });
  const manager = pick(random, 'm1', 'm2', 'm3');
  const object = {
    metadata: { ...metadataOf(random), name: key.name },
    spec: widgetSpec(random),
    ...(random() < 0.2 ? { status: widgetStatus(random) } : {}),
  };
  const status = { metadata: { name: key.name }, status: withNulls(random, widgetStatus(random)) };
  const force = random() < 0.5;
  const subresource = 'status' as const;
  const dice = random();
  if (dice < 0.35) {
    const body = { ...object, spec: withNulls(random, object.spec) };
    return patch('apply', { type: 'apply', body, fieldManager: manager, force });
  }
  if (dice < 0.5) {
    const body = { ...status, spec: object.spec };
    return patch('apply status', {
      type: 'apply',
      body: random() < 0.2 ? body : status,
      fieldManager: manager,
      force,
      subresource,
    });
  }
  if (dice < 0.62) {
    const body = { ...object, spec: withNulls(random, object.spec, 0.15) };
    return patch('merge', { type: 'merge', body, fieldManager: manager });
  }
  if (dice < 0.7) {
    const body = { status: withNulls(random, status.status, 0.15), spec: { size: 9 } };
    return patch('merge status', { type: 'merge', body, fieldManager: manager, subresource });
  }
  if (dice < 0.78) {
    return patch('json', { type: 'json', body: jsonOperations(random), fieldManager: manager });
  }
  return wholeStep(random, WIDGETS, key, object, manager);
}

function configMapStep(random: Random, namespace: string): Step {
  const maps: Resource<NamedObject> = { ...CONFIG_MAPS, parse: parseNamed };
  const key = { name: 'c1', namespace };
  const manager = pick(random, 'm1', 'm2');
  const data = some(random, { a: pick(random, '1', '2'), b: '1', c: '1' });
  const object = { metadata: { ...metadataOf(random), ...key }, data: withNulls(random, data) };
  const force = random() < 0.5;
  if (random() < 0.4) {
    const body: Patch = { type: 'apply', body: object, fieldManager: manager, force };
    const run: Step['run'] = (client) => client.patch(maps, key, body);
    return { title: 'apply map', body, resource: maps, key, run };
  }
  return wholeStep(random, maps, key, object, manager);
}

/** Create, replace or delete. */
function wholeStep(
  random: Random,
  resource: Resource<NamedObject>,
  key: ObjectKey,
  object: Record<string, unknown> & { metadata: Record<string, unknown> },
  manager: string,
): Step {
  const dice = random();
  const o = { fieldManager: manager };
  if (dice < 0.35) {
    const run: Step['run'] = (client) => client.create(resource, object, o);
    return { title: 'create', body: object, resource, key, run };
  }
  if (dice < 0.7) {
    const managedFields = pick<unknown>(random, [], [{}]);
    const owners = random() < 0.05 ? { managedFields } : {};
    const run: Step['run'] = async (client, now) => {
      const resourceVersion = now?.metadata.resourceVersion ?? '1';
      const metadata = { ...object.metadata, resourceVersion, ...owners };
      return await client.replace(resource, { ...object, metadata }, o);
    };
    return { title: 'replace', body: { ...object, ...owners }, resource, key, run };
  }
  const run: Step['run'] = (client) => client.delete(resource, key);
  return { title: 'delete', body: undefined, resource, key, run };
}

/** Takes away what earlier steps left behind, on one server. */
async function resetObjects(client: KubeClient, namespace: string): Promise<void> {
  const maps: Resource<NamedObject> = { ...CONFIG_MAPS, parse: parseNamed };
  const all: [Resource<NamedObject>, ObjectKey][] = [
    [WIDGETS, { name: 'w1' }],
    [WIDGETS, { name: 'w2' }],
    [maps, { name: 'c1', namespace }],
  ];
  for (const [resource, key] of all) {
    if ((await client.get(resource, key)) === undefined) continue;
    const body = { metadata: { finalizers: null } };
    await client.patch(resource, key, { type: 'merge', body });
    await client.delete(resource, key);
  }
}

const STEPS = 80;
const NAMESPACE = 'default';

/** Sends the same random requests to both and fails at the first one after which they differ. */
export async function compareRound(
  seed: number,
  embedded: KubeClient,
  real: KubeClient,
): Promise<void> {
  const random = generator(seed);
  await resetObjects(real, NAMESPACE);
  await resetObjects(embedded, NAMESPACE);
  for (let count = 0; count < STEPS; count += 1) {
    const step = randomStep(random, NAMESPACE);
    const [here, there] = await Promise.all([outcome(step, embedded), outcome(step, real)]);
    const differing = differences(here.facts, there.facts, '');
    if (differing.length === 0) continue;
    const lines = [
      `the servers differ, with TEST_SEED=${seed} at once`,
      `${step.title} ${toKey(step.key)} ${JSON.stringify(step.body)}`,
      `before: ${JSON.stringify(there.before)}`,
      `embedded says: ${here.words || 'ok'}`,
      `real says: ${there.words || 'ok'}`,
      ...differing.map((line) => `  ${line}`),
    ];
    throw new Error(lines.join('\n'));
  }
}

/** `path: embedded | real` for each place where two values differ. */
function differences(here: unknown, there: unknown, path: string): string[] {
  if (Bun.deepEquals(here, there)) return [];
  if (!isRecord(here) || !isRecord(there)) {
    return [`${path}: ${JSON.stringify(here)} | ${JSON.stringify(there)}`];
  }
  const keys = [...new Set([...Object.keys(here), ...Object.keys(there)])];
  return keys.flatMap((key) => differences(here[key], there[key], `${path}/${key}`));
}

interface OutcomeOfStep {
  readonly facts: Record<string, unknown>;
  readonly words: string;
  readonly before: unknown;
}

async function outcome(step: Step, client: KubeClient): Promise<OutcomeOfStep> {
  const before = await client.get(step.resource, step.key);
  let answer = 'ok';
  let words = '';
  try {
    await step.run(client, before);
  } catch (error) {
    if (!(error instanceof KubeError)) throw error;
    answer = `${error.kind} ${error.status}`;
    words = error.message;
  }
  const after = await client.get(step.resource, step.key);
  const object = after === undefined ? undefined : comparable(after);
  return {
    facts: { title: step.title, answer, object },
    words,
    before: before === undefined ? undefined : comparable(before),
  };
}

const INDIVIDUAL = ['uid', 'resourceVersion', 'creationTimestamp', 'deletionTimestamp'];

/** The object without what is different by nature. */
function comparable(object: NamedObject): unknown {
  const metadata: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(object.metadata)) {
    if (INDIVIDUAL.includes(key)) metadata[key] = typeof value;
    else if (key === 'managedFields') metadata[key] = ownersOf(value);
    else metadata[key] = value;
  }
  return { ...object, metadata };
}

function ownersOf(entries: unknown): Record<string, unknown> {
  const list = Array.isArray(entries) ? entries.filter(isRecord) : [];
  return Object.fromEntries(
    list.map(({ manager, operation, subresource, time, fieldsV1 }) => [
      `${manager} ${operation} ${subresource ?? ''}${time === undefined ? ' timeless' : ''}`,
      fieldsV1,
    ]),
  );
}
