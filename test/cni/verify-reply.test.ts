// The second pair of eyes: what is wrong with an answer is found, whatever it is, and what is right
// passes. Part table, part seeded mutation against a bigint oracle.
import { describe, expect, test } from 'bun:test';
import { loadCore } from '../../core-wasm/index.ts';
import { Random, seedTitle } from '../../core-wasm/test/random.ts';
import { type Expectations, verifyReply } from '../../src/cni/verify-reply.ts';
import type { CniResult } from '../../src/shared/model/cni/result.ts';
import type { CniReply, ReplyPool } from '../../src/shared/model/daemon-api.ts';
import { DomainError } from '../../src/shared/model/errors.ts';
import { formatAddress } from '../../src/shared/model/ip/address.ts';
import { attachedReply } from './stub-daemon.ts';

const core = await loadCore();
const NETNS = '/var/run/netns/cni-1';
const expected: Expectations = {
  ifName: 'net1',
  netns: NETNS,
  poolsRequired: true,
  families: [4],
};

type Reply = CniReply & { result: CniResult; pools: ReplyPool[] };

/** What verifying says: the issues, or undefined if nothing is wrong. */
function issuesOf(reply: CniReply, over: Partial<Expectations> = {}): string[] | undefined {
  try {
    verifyReply(core, reply, { ...expected, ...over });
    return undefined;
  } catch (error) {
    if (!(error instanceof DomainError) || error.kind !== 'reply-invalid') throw error;
    const { issues } = error.details;
    return Array.isArray(issues) ? issues : [];
  }
}

/** A good answer for two NICs, with one thing changed. */
function changed(change: (reply: Reply) => void): Reply {
  const reply: Reply = structuredClone(attachedReply({ ifName: 'net1', netns: NETNS }, 2));
  change(reply);
  return reply;
}

const at = <T>(list: T[] | undefined, index: number): T => {
  const item = list?.[index];
  if (item === undefined) throw new Error(`no item ${index}`);
  return item;
};
const move = (reply: Reply, address: string): void => {
  at(reply.result.ips, 0).address = address;
  at(reply.pools, 0).addresses = [address];
};

const wrong: [string, (reply: Reply) => void, string][] = [
  [
    'no interface',
    (r) => {
      r.result.interfaces = [];
    },
    'the result has no interfaces',
  ],
  [
    'a name of another attachment',
    (r) => {
      at(r.result.interfaces, 1).name = 'net2-1';
    },
    'interface 1 is called net2-1, not net1-1',
  ],
  [
    'names that start at 1',
    (r) => void r.result.interfaces?.shift(),
    'interface 0 is called net1-1, not net1-0',
  ],
  [
    'an interface of the host',
    (r) => void delete at(r.result.interfaces, 0).sandbox,
    `interface net1-0 is not in ${NETNS}`,
  ],
  [
    'an interface in another pod',
    (r) => {
      at(r.result.interfaces, 0).sandbox = '/var/run/netns/other';
    },
    `interface net1-0 is not in ${NETNS}`,
  ],
  [
    'an address for an interface that is not there',
    (r) => {
      at(r.result.ips, 1).interface = 2;
    },
    'address 192.168.64.66/18 is for interface 2, which the result does not have',
  ],
  [
    'an address for no interface',
    (r) => void delete at(r.result.ips, 1).interface,
    'address 192.168.64.66/18 is for interface undefined, which the result does not have',
  ],
  [
    'one address for both',
    (r) => {
      at(r.result.ips, 1).address = at(r.result.ips, 0).address;
    },
    'address 192.168.0.65/18 is given twice',
  ],
  [
    'one address for both, with another prefix length',
    (r) => {
      at(r.result.ips, 1).address = '192.168.0.65/26';
    },
    'address 192.168.0.65/26 is given twice',
  ],
  [
    'both addresses on one NIC',
    (r) => {
      at(r.result.ips, 1).interface = 0;
    },
    'interface net1-1 has 0 IPv4 addresses, not 1',
  ],
  [
    'an address that the pools do not name',
    (r) => {
      at(r.result.ips, 0).address = '192.168.0.66/18';
    },
    'address 192.168.0.66/18 is of no pool',
  ],
  [
    'an address of a pool that the result lacks',
    (r) => void at(r.pools, 0).addresses.push('192.168.0.70/18'),
    'address 192.168.0.70/18 of pool net-192.168.0.64-26 is not in the result',
  ],
  [
    'an address in two pools',
    (r) => void at(r.pools, 1).addresses.push('192.168.0.65/18'),
    'address 192.168.0.65/18 is in two pools',
  ],
  [
    'no pools',
    (r) => {
      r.pools = [];
    },
    'address 192.168.0.65/18 is of no pool',
  ],
  ['the network address', (r) => move(r, '192.168.0.64/18'), 'network, broadcast or excluded'],
  ['the broadcast address', (r) => move(r, '192.168.0.127/18'), 'network, broadcast or excluded'],
  ['an excluded address', (r) => move(r, '192.168.0.100/18'), 'network, broadcast or excluded'],
  ['an address before the pool', (r) => move(r, '192.168.0.63/18'), 'lies outside'],
  ['an address behind the pool', (r) => move(r, '192.168.0.128/18'), 'lies outside'],
  ['the prefix length of the pool', (r) => move(r, '192.168.0.65/26'), 'prefix length 18'],
  ['the prefix length of a host', (r) => move(r, '192.168.0.65/32'), 'prefix length 18'],
  ['IPv6 in an IPv4 pool', (r) => move(r, 'fd00::65/18'), 'is of another family'],
  [
    'a pool outside of its vlan CIDR',
    (r) => {
      at(r.pools, 0).vlanCidr = '192.168.128.0/18';
    },
    'pool net-192.168.0.64-26 lies outside of 192.168.128.0/18',
  ],
  [
    'a pool larger than its vlan CIDR',
    (r) => {
      at(r.pools, 0).vlanCidr = '192.168.0.64/27';
    },
    'pool net-192.168.0.64-26 lies outside of 192.168.0.64/27',
  ],
  [
    'a pool with host bits',
    (r) => {
      at(r.pools, 0).podCidr = '192.168.0.65/26';
    },
    'pool net-192.168.0.64-26 has a block that is none',
  ],
  [
    'an exclude that is none',
    (r) => {
      at(r.pools, 0).excludes = ['192.168.0.256/32'];
    },
    'pool net-192.168.0.64-26 has a block that is none',
  ],
];

describe('an answer is refused for', () => {
  for (const [what, change, issue] of wrong) {
    test(what, () => {
      const issues = issuesOf(changed(change));
      expect(issues?.join('\n')).toContain(issue);
    });
  }

  test('no result at all', () => {
    expect(issuesOf({ pools: [] })).toEqual(['the answer has no result']);
  });

  test('a family that the network does not have', () => {
    expect(issuesOf(dualStack(), { families: [4] })?.join('\n')).toContain('is IPv6, which');
  });

  test('a family that is missing', () => {
    const issues = issuesOf(changed(noChange), { families: [4, 6] });
    expect(issues).toEqual([
      'interface net1-0 has 0 IPv6 addresses, not 1',
      'interface net1-1 has 0 IPv6 addresses, not 1',
    ]);
  });

  test('no address where the network has pools', () => {
    const reply = changed((r) => {
      r.result.ips = [];
      r.pools = [];
    });
    expect(issuesOf(reply, { families: undefined })).toEqual([
      'the network has pools, but there is no address',
    ]);
  });

  test('a pool of /31, which has no usable address', () => {
    const reply = changed((r) => {
      at(r.pools, 0).podCidr = '192.168.0.64/31';
    });
    expect(issuesOf(reply)?.join('\n')).toContain('is not usable');
  });

  test('more than is repeated in an error', () => {
    const reply = changed((r) => {
      r.result.interfaces = Array.from({ length: 500 }, () => ({ name: 'x' }));
    });
    expect(issuesOf(reply)).toHaveLength(20);
  });
});

describe('an answer passes with', () => {
  test('two NICs and their pools', () => {
    expect(issuesOf(changed(noChange))).toBeUndefined();
  });

  test('both families', () => {
    expect(issuesOf(dualStack(), { families: [4, 6] })).toBeUndefined();
  });

  test('no families named', () => {
    expect(issuesOf(changed(noChange), { families: undefined })).toBeUndefined();
  });

  test('foreign addresses, where the network has no pools', () => {
    const reply = changed((r) => {
      r.pools = [];
    });
    expect(issuesOf(reply, { poolsRequired: false })).toBeUndefined();
  });

  test('a host-subnet pool, whose vlan CIDR is the net address', () => {
    const reply = changed((r) => {
      r.result.interfaces?.pop();
      r.result.ips = [{ address: '10.0.1.77/24', interface: 0 }];
      r.pools = [
        {
          name: 'p',
          podCidr: '10.0.1.64/26',
          vlanCidr: '10.0.1.0/24',
          excludes: ['10.0.1.70/32'],
          addresses: ['10.0.1.77/24'],
        },
      ];
    });
    expect(issuesOf(reply)).toBeUndefined();
  });
});

test(`any index of any pool is judged as by arithmetic (${seedTitle})`, () => {
  const random = new Random(31);
  for (let round = 0; round < 400; round++) {
    const family = random.pick<4 | 6>([4, 6]);
    const width = family === 4 ? 32 : 128;
    const podPrefix = random.between(width - 16, width - 1);
    const size = 1n << BigInt(width - podPrefix);
    const base = (random.bits(width) / size) * size;
    const vlanPrefix = random.between(8, podPrefix);
    const vlanSize = 1n << BigInt(width - vlanPrefix);
    const excluded = base + random.bits(width - podPrefix);
    const offset = random.oneIn(3)
      ? random.pick([0n, size - 1n, -1n, size, excluded - base, 65_535n])
      : random.bits(width - podPrefix);
    const value = base + offset;
    if (value < 0n || value >> BigInt(width) !== 0n) continue;
    const text = (address: bigint): string => formatAddress({ family, value: address });
    if (family === 6 && value >> 32n === 0xffffn) continue; // IPv4-mapped, which is not parsed
    const usable =
      offset >= 0n &&
      offset < size &&
      offset !== 0n &&
      !(family === 4 && offset === size - 1n) &&
      value !== excluded;
    const address = `${text(value)}/${vlanPrefix}`;
    const reply: CniReply = {
      result: {
        cniVersion: '1.1.0',
        interfaces: [{ name: 'net1-0', sandbox: NETNS }],
        ips: [{ address, interface: 0 }],
      },
      pools: [
        {
          name: 'p',
          podCidr: `${text(base)}/${podPrefix}`,
          vlanCidr: `${text((base / vlanSize) * vlanSize)}/${vlanPrefix}`,
          excludes: [`${text(excluded)}/${width}`],
          addresses: [address],
        },
      ],
    };
    const issues = issuesOf(reply, { families: [family] });
    expect([reply.pools, address, issues === undefined]).toEqual([reply.pools, address, usable]);
  }
  expect(core.arena.freeBytes).toBe(core.arena.bytes);
});

function noChange(): void {
  // The answer as it is.
}

function dualStack(): Reply {
  return changed((reply) => {
    for (const index of [0, 1]) {
      const address = `fd00:0:0:${index}::5/64`;
      reply.result.ips?.push({ address, interface: index });
      reply.pools.push({
        name: `p6-${index}`,
        podCidr: `fd00:0:0:${index}::/112`,
        vlanCidr: `fd00:0:0:${index}::/64`,
        excludes: [],
        addresses: [address],
      });
    }
  });
}
