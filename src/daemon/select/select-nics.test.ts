// Which NICs are chosen, in which order, and what is said when they are not enough.
import { describe, expect, test } from 'bun:test';
import { type HostNic, type NicDemand, type NicSupply, selectNics } from './select-nics.ts';

const nic = (n: number, o: Partial<HostNic> = {}): HostNic => ({
  interfaceName: `eth${n}`,
  netAddress: `10.0.${n}.0/24`,
  hostIp: `10.0.${n}.10`,
  vendor: '15b3',
  product: '1019',
  pciAddress: '',
  index: n,
  isUp: true,
  mtu: 1500,
  ...o,
});

const demand = (o: Partial<NicDemand> = {}): NicDemand => ({
  masterNets: [],
  nics: undefined,
  masters: [],
  deviceIds: undefined,
  ...o,
});

const supply = (nics: readonly HostNic[], o: Partial<NicSupply> = {}): NicSupply => ({
  nics,
  skipped: [],
  plannedNets: new Set(),
  unsuitable: () => undefined,
  ...o,
});

const names = (d: Partial<NicDemand>, s: NicSupply): string[] | string => {
  const selection = selectNics(demand(d), s);
  return selection.ok ? selection.nics.map((one) => one.interfaceName) : selection.reason;
};

describe('order', () => {
  test.each([
    ['without wishes: net addresses in text order', {}, ['eth1', 'eth10', 'eth2']],
    ['as masterNets lists them', { masterNets: ['10.0.2.0/24', '10.0.1.0/24'] }, ['eth2', 'eth1']],
    ['as the pod names them', { masters: ['eth10', 'eth1'] }, ['eth10', 'eth1']],
    ['the first of masterNets when fewer are wanted', { nics: 2 }, ['eth1', 'eth10']],
    ['nics truncates the named ones', { masters: ['eth2', 'eth1'], nics: 1 }, ['eth2']],
  ])('%s', (_title, wish, expected) => {
    expect(names(wish, supply([nic(10), nic(2), nic(1)]))).toEqual(expected);
  });

  test('NICs of one net address come by name, whatever the order of discovery', () => {
    const twins = [nic(2, { netAddress: '10.0.1.0/24' }), nic(1)];
    expect(names({}, supply(twins))).toEqual(['eth1', 'eth2']);
    expect(names({}, supply(twins.toReversed()))).toEqual(['eth1', 'eth2']);
  });
});

describe('wishes', () => {
  test('a number counts usable NICs, not listed ones (D-40)', () => {
    const one = { masterNets: ['10.9.0.0/24', '10.0.2.0/24'], nics: 1 };
    expect(names(one, supply([nic(1), nic(2)]))).toEqual(['eth2']);
  });

  test('more than there are is refused, not cut down', () => {
    expect(names({ nics: 3 }, supply([nic(1), nic(2)]))).toBe('3 NICs are wanted, 2 are suitable');
  });

  test('a pod cannot name a NIC outside the network (D-44)', () => {
    const outside = { masterNets: ['10.0.1.0/24'], masters: ['eth2'] };
    expect(names(outside, supply([nic(1), nic(2)]))).toBe('no NIC of this node is suitable');
  });

  test('an unknown name is an error, also beside known ones', () => {
    const selection = selectNics(demand({ masters: ['eth1', 'eth9'] }), supply([nic(1)]));
    expect(selection.ok).toBe(false);
    expect(selection.considered).toContainEqual({
      interfaceName: 'eth9',
      netAddress: '',
      reason: 'this node has no such NIC',
    });
  });

  test('a named NIC that discovery left out comes with its reason', () => {
    const skipped = [{ interfaceName: 'eth9', reason: 'it is down' }];
    const selection = selectNics(demand({ masters: ['eth9'] }), supply([nic(1)], { skipped }));
    expect(selection.considered.at(-1)?.reason).toBe('it is down');
  });

  test('a device class takes its vendors and products only', () => {
    const nics = [nic(1, { vendor: '1d0f', product: 'efa1' }), nic(2), nic(3, { product: '1017' })];
    const deviceIds = [
      { vendor: '15b3', products: ['1019'] },
      { vendor: '1d0f', products: ['efa0', 'efa1'] },
    ];
    expect(names({ deviceIds }, supply(nics))).toEqual(['eth1', 'eth2']);
  });

  test('numbers of devices are the same with 0x and in capitals, on both sides', () => {
    const nics = [
      nic(1, { vendor: '15b3', product: '101d' }),
      nic(2, { vendor: '0x15B3', product: '0x101D' }),
      nic(3, { vendor: '15b3', product: '1017' }),
    ];
    for (const [vendor, product] of [
      ['0x15b3', '0x101d'],
      ['15B3', '101D'],
      ['15b3', '0X101D'],
    ] as const) {
      const deviceIds = [{ vendor, products: [product] }];
      expect(names({ deviceIds }, supply(nics))).toEqual(['eth1', 'eth2']);
    }
  });

  test('a vendor that is listed twice keeps both lists', () => {
    const deviceIds = [
      { vendor: '15b3', products: ['1019'] },
      { vendor: '15b3', products: ['1017'] },
    ];
    const nics = [nic(1), nic(2, { product: '1017' })];
    expect(names({ deviceIds }, supply(nics))).toEqual(['eth1', 'eth2']);
  });

  test('an empty device class matches nothing', () => {
    expect(names({ deviceIds: [] }, supply([nic(1)]))).toBe('no NIC of this node is suitable');
  });
});

describe('fewer than the network has here', () => {
  test.each([
    ['down', nic(2, { isUp: false }), 'the link is down'],
    ['not in the kernel', nic(2, { index: 0 }), 'the kernel has no such link'],
  ])('a NIC that is %s refuses the attachment', (_title, bad, reason) => {
    const selection = selectNics(demand(), supply([nic(1), bad]));
    expect(selection).toMatchObject({
      ok: false,
      reason: "1 of the network's NICs cannot be used",
      considered: [
        { interfaceName: 'eth1', reason: undefined },
        { interfaceName: 'eth2', reason },
      ],
    });
  });

  test('it does not matter when the pod wants fewer', () => {
    expect(names({ nics: 1 }, supply([nic(1, { isUp: false }), nic(2)]))).toEqual(['eth2']);
  });

  test('a net address where this node holds an index but has no NIC any more refuses', () => {
    const plannedNets = new Set(['10.0.1.0/24', '10.0.2.0/24']);
    const selection = selectNics(demand(), supply([nic(1)], { plannedNets }));
    expect(selection.ok).toBe(false);
    expect(selection.considered.at(-1)).toEqual({
      interfaceName: '',
      netAddress: '10.0.2.0/24',
      reason: 'this node had a NIC in this net, and has none now',
    });
  });

  test('a net address of the network that this node never had is no loss', () => {
    const masterNets = ['10.0.1.0/24', '10.0.7.0/24'];
    expect(names({ masterNets }, supply([nic(1)]))).toEqual(['eth1']);
  });

  test('the reason that the pools give is passed on', () => {
    const unsuitable = (one: HostNic) => (one.interfaceName === 'eth2' ? 'no index' : undefined);
    const selection = selectNics(demand(), supply([nic(1), nic(2)], { unsuitable }));
    expect(selection.considered[1]?.reason).toBe('no index');
  });

  test('a node without NICs is refused', () => {
    expect(names({}, supply([]))).toBe('no NIC of this node is suitable');
  });
});

test('NICs that were not needed are told apart from those that were chosen', () => {
  const selection = selectNics(demand({ nics: 1 }), supply([nic(1), nic(2)]));
  expect(selection.considered.map(({ reason }) => reason)).toEqual([
    undefined,
    'not needed: 1 NICs are wanted',
  ]);
});
