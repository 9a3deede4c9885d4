// What the status of a network says, and when it is written.
import { describe, expect, test } from 'bun:test';
import type { MultiNicNetworkStatus } from '../../shared/model/objects/multi-nic-network.ts';
import { planAcceptance } from './acceptance.ts';
import { mergeConditions } from './conditions.ts';
import { toIndexFinding } from './index-findings.ts';
import { type NetworkFinding, planNetworkStatus, type StatusInput } from './network-status.ts';
import { describeProblem, listNames, type Problem } from './problem.ts';
import { planRouteStatus, type RouteHost } from './routes.ts';

const fine: NetworkFinding[] = [
  { type: 'Accepted', status: 'True', reason: 'Accepted', message: 'ok' },
  { type: 'NadsReady', status: 'True', reason: 'Applied', message: 'ok' },
];
const base: StatusInput = {
  previous: undefined,
  generation: 3,
  nowText: '2026-01-01T00:00:00.000Z',
  findings: fine,
  routes: { status: 'N/A', message: '' },
  computeResults: [{ netAddress: '10.1.0.0/16', numOfHosts: 2 }],
  daemons: '2/2',
  discovery: { existDaemon: 2, infoAvailable: 2, cidrProcessed: 2 },
  given: {
    interfaceIndices: [{ netAddress: '10.1.0.0/16', interfaceIndex: 0 }],
    division: { subnet: '10.64.0.0/10', interfaceBits: 4, hostBits: 6 },
  },
};
const later = '2026-01-02T00:00:00.000Z';

function write(input: Partial<StatusInput>): MultiNicNetworkStatus {
  const status = planNetworkStatus({ ...base, ...input });
  if (status === undefined) throw new Error('nothing to write');
  return status;
}

describe('planNetworkStatus', () => {
  test('W-50, W-51: N/A routes are Success without a message', () => {
    expect(write({})).toMatchObject({
      configStatus: 'Success',
      routeStatus: 'N/A',
      message: '',
      observedGeneration: 3,
      lastSyncTime: base.nowText,
    });
  });

  test('the same findings are not written again, whatever the time (W-45, W-56)', () => {
    expect(planNetworkStatus({ ...base, previous: write({}), nowText: later })).toBeUndefined();
  });

  test('the order of results does not matter (spec api 3.3.4)', () => {
    const two = [...base.computeResults, { netAddress: '10.2.0.0/16', numOfHosts: 1 }];
    const previous = write({ computeResults: two });
    const reversed = { ...base, previous, computeResults: [...two].reverse() };
    expect(planNetworkStatus(reversed)).toBeUndefined();
  });

  test.each<[string, Partial<StatusInput>]>([
    ['a host more', { computeResults: [{ netAddress: '10.1.0.0/16', numOfHosts: 3 }] }],
    ['another net address', { computeResults: [{ netAddress: '10.9.0.0/16', numOfHosts: 2 }] }],
    ['a daemon more', { discovery: { ...base.discovery, existDaemon: 10 } }],
    ['routes', { routes: { status: 'Success', message: '' } }],
    ['a generation', { generation: 4 }],
  ])('%s is written, with the time of it', (_, change) => {
    expect(write({ previous: write({}), nowText: later, ...change }).lastSyncTime).toBe(later);
  });

  test('a failing finding is Failed, names itself, and clears when it is over', () => {
    const bad: NetworkFinding = {
      type: 'NadsReady',
      status: 'False',
      reason: 'WriteFailed',
      message: 'team-a: no',
    };
    const failed = write({ findings: [...fine.slice(0, 1), bad] });
    expect(failed).toMatchObject({ configStatus: 'Failed', message: 'team-a: no' });
    expect(failed.conditions?.[0]).toMatchObject({
      type: 'Ready',
      status: 'False',
      reason: 'WriteFailed',
    });
    const healed = write({ previous: failed, nowText: later });
    expect(healed).toMatchObject({ configStatus: 'Success', message: '' });
    expect(healed.conditions?.[0]).toMatchObject({ status: 'True', lastTransitionTime: later });
  });

  test('waiting is not failing', () => {
    const reason = 'WaitingForHosts';
    const waiting: NetworkFinding = {
      type: 'IndicesAllocated',
      status: 'False',
      reason,
      message: 'm',
    };
    expect(write({ findings: [...fine, waiting] }).configStatus).toBe('WaitForConfig');
  });

  test('routes only inform: a network without a report of them is still set up', () => {
    const status = write({ routes: { status: 'Unknown', message: 'no report of routes from a' } });
    expect(status).toMatchObject({
      configStatus: 'Success',
      routeStatus: 'Unknown',
      message: 'no report of routes from a',
    });
  });

  test('members of others and their conditions stay', () => {
    const foreign = {
      type: 'Example',
      status: 'True' as const,
      reason: 'X',
      message: '',
      lastTransitionTime: base.nowText,
    };
    const previous = { ...write({}), conditions: [foreign], extra: 1 };
    const next = write({ previous });
    expect(next.conditions?.at(-1)).toEqual(foreign);
    expect(next).toMatchObject({ extra: 1 });
  });

  test('without a look at indices the published ones stay', () => {
    const next = write({ previous: write({}), given: undefined, generation: 9 });
    expect(next.interfaceIndices).toHaveLength(1);
    expect(next.division).toEqual({ subnet: '10.64.0.0/10', interfaceBlock: 4, hostBlock: 6 });
  });
});

describe('mergeConditions', () => {
  test('the transition time changes with the status only', () => {
    const o = { nowText: base.nowText, generation: 1, own: ['A'] };
    const finding = { type: 'A', status: 'True', reason: 'R', message: 'one' } as const;
    const first = mergeConditions([], [finding], o);
    const second = mergeConditions(first, [{ ...finding, message: 'two' }], {
      ...o,
      nowText: later,
    });
    expect(second[0]).toMatchObject({ message: 'two', lastTransitionTime: base.nowText });
    const third = mergeConditions(second, [{ ...finding, status: 'False' }], {
      ...o,
      nowText: later,
    });
    expect(third[0]).toMatchObject({ lastTransitionTime: later });
  });

  test('a message that could not be stored is shortened', () => {
    const finding = {
      type: 'A',
      status: 'True',
      reason: 'R',
      message: 'x'.repeat(50_000),
    } as const;
    const [condition] = mergeConditions([], [finding], { nowText: later, generation: 1, own: [] });
    expect(condition?.message).toHaveLength(4096);
  });
});

describe('planRouteStatus', () => {
  const host = (name: string, routes: RouteHost['routes'], hasDaemon = true): RouteHost => ({
    name,
    routes,
    hasDaemon,
  });
  test.each<[string, RouteHost[], string, string]>([
    ['one host has no peers', [host('a', undefined)], 'Success', ''],
    ['all report', [host('a', 'True'), host('b', 'True')], 'Success', ''],
    ['W-47: one failed', [host('a', 'True'), host('b', 'False')], 'Failed', 'b'],
    [
      'W-46, W-58: no daemon',
      [host('a', 'True'), host('b', undefined, false)],
      'Unknown',
      'connected: b',
    ],
    [
      'no report',
      [host('a', 'True'), host('b', undefined)],
      'Unknown',
      'no report of routes from b',
    ],
    ['one is at it', [host('a', 'True'), host('b', 'Unknown')], 'WaitForRoutes', 'b'],
  ])('%s', (_, hosts, status, text) => {
    const finding = planRouteStatus(true, hosts);
    expect(finding.status).toBe(status as typeof finding.status);
    expect(finding.message).toContain(text);
  });

  test('without l3 there are no routes', () => {
    expect(planRouteStatus(false, [host('a', 'False')])).toEqual({ status: 'N/A', message: '' });
  });
});

describe('planAcceptance', () => {
  const division = { subnet: '192.168.0.0/16', interfaceBits: 2, hostBits: 6 };
  const good = {
    issues: [],
    ledgerIssue: undefined,
    warnings: [],
    plugin: undefined,
    unserved: [],
    given: { division, source: 'the ledger' },
    division,
    overlap: undefined,
    isInUse: true,
  };

  test('an unchanged definition is served', () => {
    expect(planAcceptance(good)).toMatchObject({ mode: 'full', finding: { status: 'True' } });
  });

  test('a second address family may be added: it renumbers nobody', () => {
    const wider = { ...division, subnet: '192.168.0.0/16,fd00::/48' };
    expect(planAcceptance({ ...good, division: wider }).mode).toBe('full');
    const narrower = { ...good, given: { division: wider, source: 'x' } };
    expect(planAcceptance(narrower).finding.reason).toBe('ImmutableChange');
  });

  test.each([
    ['subnet', { subnet: '10.0.0.0/8' }],
    ['interfaceBlock', { interfaceBits: 3 }],
    ['hostBlock', { hostBits: 7 }],
    ['subnet', { subnet: '' }],
  ])('W-20: a change of %s is refused with both values', (name, change) => {
    const { finding, mode } = planAcceptance({ ...good, division: { ...division, ...change } });
    expect([mode, finding.reason]).toEqual(['hold', 'ImmutableChange']);
    expect(finding.message).toContain(`${name} changed from`);
  });

  test('a ledger that cannot be read stops everything and says how to go on', () => {
    const { finding, mode } = planAcceptance({ ...good, ledgerIssue: 'JSON' });
    expect([mode, finding.reason]).toEqual(['hold', 'LedgerUnreadable']);
    expect(finding.message).toContain('delete it to have it made anew');
  });

  test('an overlap stops a new network and lets one in use keep what it has', () => {
    const overlap = { other: 'first', block: '192.168.0.0/16' };
    expect(planAcceptance({ ...good, overlap }).mode).toBe('adopt');
    expect(planAcceptance({ ...good, overlap, isInUse: false, given: undefined }).mode).toBe(
      'hold',
    );
  });

  test('warnings are said and do not stop anything', () => {
    const { finding } = planAcceptance({ ...good, warnings: ['odd'] });
    expect(finding).toMatchObject({
      status: 'True',
      reason: 'AcceptedWithWarnings',
      message: 'odd',
    });
  });
});

describe('problems', () => {
  const problems: Problem[] = [
    { kind: 'interface-indices-exhausted', netAddresses: ['n'] },
    { kind: 'host-indices-exhausted', netAddress: 'n', hosts: ['h'] },
    { kind: 'host-block-zero', netAddress: 'n', hosts: ['h'] },
    {
      kind: 'index-conflict',
      netAddress: 'n',
      hostIndex: 1,
      hosts: ['h'],
      sources: ['s'],
      isPublished: false,
    },
    { kind: 'records-disagree', netAddress: 'n', hostName: 'h', indices: [1, 2] },
    { kind: 'index-held-twice', netAddress: 'n', hostIndex: 1, hosts: ['h'] },
    { kind: 'index-outside', netAddress: 'n', hostName: 'h', hostIndex: 9 },
    { kind: 'interface-conflict', netAddresses: ['n'], interfaceIndices: [0] },
    { kind: 'net-too-small', netAddress: 'n', hostBits: 8 },
    { kind: 'record-unreadable', record: 'r' },
  ];

  test.each(problems.map((problem) => [problem.kind, problem] as const))(
    '%s fails IndicesAllocated in words',
    (_, problem) => {
      const finding = toIndexFinding({
        problems: [problem],
        hasMore: false,
        hostCount: 1,
        completeCount: 1,
      });
      expect(finding.status).toBe('False');
      expect(finding.reason).toMatch(/^[A-Z][A-Za-z]+$/);
      expect(finding.message).toBe(describeProblem(problem));
    },
  );

  test('an exclude over a block in use is said, and nobody is without addresses', () => {
    const problem: Problem = { kind: 'block-excluded', netAddress: 'n', hosts: ['h'] };
    const finding = toIndexFinding({
      problems: [problem],
      hasMore: false,
      hostCount: 1,
      completeCount: 1,
    });
    expect(finding.status).toBe('True');
    expect(finding.message).toContain('excludeCIDRs');
  });

  test('a lack of interface indices names ways out that are not refused', () => {
    const text = describeProblem({ kind: 'interface-indices-exhausted', netAddresses: ['n'] });
    expect(text).toContain('masterNets');
    expect(text).toContain('a new network with a greater interfaceBlock');
    expect(text).not.toContain('raise');
  });

  test('long lists of names end with a count', () => {
    const names = Array.from({ length: 13 }, (_, index) => `n${index}`);
    expect(listNames(names)).toEndWith('n9 and 3 more');
  });
});
