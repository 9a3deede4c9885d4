// Keys of `args.cni`: ours misspelt are refused with the right one, others are other people's.
import { expect, test } from 'bun:test';
import { readAttachConfig } from './attach-config.ts';

function read(cni: unknown) {
  return readAttachConfig({
    plugin: { type: 'macvlan' },
    ipam: { type: 'multi-nic-ipam' },
    multiNICIPAM: true,
    args: { cni },
  });
}

test.each([
  ['nic', 2, 'nics'],
  ['NICs', 2, 'nics'],
  ['num_nics', 2, 'nics'],
  ['master', ['eth1'], 'masters'],
  ['Masters', ['eth1'], 'masters'],
  ['classes', 'fast', 'class'],
  ['deviceClass', 'fast', 'class'],
])('"%s" is refused with the key that was meant', (key, value, meant) => {
  expect(read({ [key]: value })).toEqual({
    ok: false,
    refusals: [
      {
        reason: 'InvalidDefinition',
        text: `args.cni: unknown key "${key}", the key is "${meant}"`,
      },
    ],
  });
});

test('keys of others are tolerated', () => {
  const cni = { nics: 2, masters: ['eth1'], class: 'a', target: '10Gbps', 'example.com/x': {} };
  expect(read({ ...cni, mac: 'x', IPs: [], nicer: 1 })).toMatchObject({ ok: true });
});

test.each(['toString', 'constructor', '__proto__'])('plugin type %s is none', (type) => {
  const refusals = [{ text: `plugin.type: unsupported device type: ${type}` }];
  const config = { plugin: { type }, ipam: { type: 'multi-nic-ipam' }, multiNICIPAM: true };
  expect(readAttachConfig(config)).toMatchObject({ ok: false, refusals });
});

test('a route whose gateway is of another family is refused', () => {
  const routes = [
    { dst: 'fd00::/64', gw: '192.168.0.200' },
    { dst: '10.0.0.0/8', gw: '192.168.0.200' },
    { dst: '10.0.0.0/8', gw: 'fd00::1' },
  ];
  const network = { plugin: { type: 'macvlan' }, multiNICIPAM: true };
  const reading = readAttachConfig({ ...network, ipam: { type: 'multi-nic-ipam', routes } });
  expect(reading.ok ? [] : reading.refusals.map(({ text }) => text)).toEqual([
    'ipam.routes.0: gateway 192.168.0.200 is of another family than fd00::/64',
    'ipam.routes.2: gateway fd00::1 is of another family than 10.0.0.0/8',
  ]);
});
