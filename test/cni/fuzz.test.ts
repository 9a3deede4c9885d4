// Random and damaged calls: whatever comes in, at most one JSON document goes out, the exit status
// agrees with it, and no code is 999. Does not cover damaged answers of the daemon; add.test.ts and
// verify-reply.test.ts do.
import { expect, test } from 'bun:test';
import { Random, seedTitle } from '../../core-wasm/test/random.ts';
import { call, configText, GOOD_CONFIG, GOOD_ENV } from './call.ts';
import { startAttachingDaemon } from './stub-daemon.ts';

const ROUNDS = 3000;
const VERBS = ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION', 'FOO', ''] as const;
const WORDS = [
  '',
  'a',
  '../x',
  'net1',
  'é',
  '-',
  '%%',
  ' ',
  'x'.repeat(300),
  '\u0001',
  '💥',
] as const;
const VALUES: readonly [unknown, ...unknown[]] = [
  null,
  true,
  0,
  -1,
  1.5,
  '',
  'x',
  [],
  [null],
  [[1]],
  {},
  { a: {} },
  '1.1.0',
  '0.3.0',
  { type: 5 },
  { cniVersion: '0.2.0', ip4: { ip: '10.0.0.1/8' } },
  { interfaces: [{ name: 'x' }], ips: [{ address: '10.0.0.1/8', interface: 9 }] },
];
const KEYS: readonly [string, ...string[]] = [
  'cniVersion',
  'name',
  'type',
  'plugin',
  'ipam',
  'prevResult',
  'args',
  'masterNets',
  'subnet',
  'runtimeConfig',
  'cni.dev/valid-attachments',
  '__proto__',
  'constructor',
];

function randomEnv(random: Random): Record<string, string | undefined> {
  const env: Record<string, string | undefined> = { CNI_COMMAND: random.pick(VERBS) };
  for (const name of Object.keys(GOOD_ENV)) {
    if (random.oneIn(8)) env[name] = random.pick([undefined, ...WORDS]);
  }
  if (random.oneIn(8)) env.CNI_NETNS_OVERRIDE = random.pick(WORDS);
  return env;
}

function randomStdin(random: Random): string {
  if (random.oneIn(10))
    return random.pick([...WORDS, '[1]', 'null', '{', '{}', '"a"', '[['.repeat(9)]);
  const config: Record<string, unknown> = {
    ...GOOD_CONFIG,
    cniVersion: random.pick(['0.1.0', '0.2.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0']),
  };
  for (let changes = random.below(4); changes > 0; changes--) {
    const key = random.pick(KEYS);
    if (random.oneIn(4)) delete config[key];
    else setOwn(config, key, random.pick(VALUES));
  }
  const text = JSON.stringify(config);
  if (!random.oneIn(6)) return text;
  const at = random.below(text.length);
  const damage = random.pick(['', '"', '{', ',', '\\', '\u0000', '9'.repeat(400)]);
  return text.slice(0, at) + damage + text.slice(at + random.below(3));
}

test(`${ROUNDS} random calls (${seedTitle})`, async () => {
  await using daemon = startAttachingDaemon(2);
  const random = new Random(41);
  for (let round = 0; round < ROUNDS; round++) {
    const env = randomEnv(random);
    const stdin = randomStdin(random);
    const program = random.pick([
      'multi-nic',
      'multi-nic',
      'multi-nic-ipam',
      'aws-ipvlan',
    ] as const);
    const called = await call({ env, stdin, daemon: daemon.socketPath, over: { program } });
    const { code } = called.document ?? {};
    const context = JSON.stringify({ round, env, stdin, program, called });
    if ((called.exitCode === 0) === (typeof code === 'number')) {
      throw new Error(`exit status and document disagree: ${context}`);
    }
    if (code === 999 || code === 106) throw new Error(`nobody should see this: ${context}`);
  }
});

/** Sets an own member whatever the key is; `__proto__` would otherwise change the object's nature. */
function setOwn(object: object, key: string, value: unknown): void {
  Object.defineProperty(object, key, {
    value,
    enumerable: true,
    configurable: true,
    writable: true,
  });
}

test('input nested 100,000 deep is an error, not a crash', async () => {
  for (const open of ['[', '{"a":']) {
    const deep = open.repeat(100_000);
    const { document, exitCode } = await call({ stdin: `{"name":"a","x":${deep}` });
    expect(document?.code).toBe(6);
    expect(exitCode).toBe(1);
    const close = (open === '[' ? ']' : '}').repeat(100_000);
    const stdin = `${configText().slice(0, -1)},"x":${deep}0${close}}`;
    expect((await call({ stdin })).document).toMatchObject({
      code: 7,
      msg: 'the configuration is nested too deeply to be passed on',
    });
  }
});

test('a megabyte that is wrong everywhere is a short error', async () => {
  const many = Array(100_000).fill({ address: 1 });
  const wrong = [
    configText({ masterNets: many }),
    configText({ plugin: 'x'.repeat(1_000_000) }),
    configText({ prevResult: { ips: many.slice(0, 50_000) } }),
    configText({ name: '%'.repeat(1_000_000) }),
    configText({ cniVersion: '9'.repeat(1_000_000) }),
  ];
  for (const stdin of wrong) {
    const { stdout, document } = await call({ stdin });
    expect(document).toHaveProperty('code');
    expect(stdout.length).toBeLessThan(10_000);
  }
});

test('bytes that are no UTF-8 are an error or a replacement, not a crash', async () => {
  const random = new Random(42);
  const good = new TextEncoder().encode(configText({ cniVersion: '1.1.0' }));
  for (let round = 0; round < 200; round++) {
    const bytes = good.slice();
    bytes[random.below(bytes.length)] = random.between(0x80, 0xff);
    const { document, exitCode } = await call({ stdin: bytes });
    expect(exitCode).toBe(1);
    expect(document?.code).toBeOneOf([1, 6, 7, 11]);
  }
});
