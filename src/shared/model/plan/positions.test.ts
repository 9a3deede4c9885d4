// Reading the positions that the controller published.
import { expect, test } from 'bun:test';
import { interfaceIndicesOf, planHostOf } from './positions.ts';

const interfaces = [{ interfaceName: 'eth1', netAddress: '10.0.1.0/24' }];
const indices = [
  { netAddress: '10.0.1.0/24', hostIndex: 4 },
  { netAddress: 'FD00:0:0:0::/64', hostIndex: 7 },
  { netAddress: 'junk', hostIndex: 9 },
];
const hostInterface = {
  spec: { hostName: 'h', interfaces },
  status: { networks: [{ name: 'net', uid: 'u1', indices }] },
};

test('interface indices are keyed by canonical net address', () => {
  const interfaceIndices = [
    { netAddress: '10.0.1.0/24', interfaceIndex: 0 },
    { netAddress: 'FD00::/64', interfaceIndex: 3 },
  ];
  expect([...interfaceIndicesOf({ status: { interfaceIndices } })]).toEqual([
    ['10.0.1.0/24', 0],
    ['fd00::/64', 3],
  ]);
});

test('a network without status has no indices', () => {
  expect(interfaceIndicesOf({}).size).toBe(0);
  expect(interfaceIndicesOf({ status: {} }).size).toBe(0);
});

test('host indices are those of the network, without what is no net address', () => {
  const host = planHostOf(hostInterface, { name: 'net', uid: 'u1' });
  expect(host).toMatchObject({ hostName: 'h', interfaces });
  expect([...host.hostIndices]).toEqual([
    ['10.0.1.0/24', 4],
    ['fd00::/64', 7],
  ]);
});

test('indices of a namesake that was deleted do not count', () => {
  expect(planHostOf(hostInterface, { name: 'net', uid: 'u2' }).hostIndices.size).toBe(0);
  expect(planHostOf(hostInterface, { name: 'other', uid: 'u1' }).hostIndices.size).toBe(0);
  expect(
    planHostOf({ spec: hostInterface.spec }, { name: 'net', uid: 'u1' }).hostIndices.size,
  ).toBe(0);
});
