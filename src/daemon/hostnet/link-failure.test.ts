// What a refusal of the kernel is said to mean: the likely reason, and none that is known to be
// wrong.
import { expect, test } from 'bun:test';
import type { PodLinkRequest } from './host-net.ts';
import { type LinkRefusal, linkFailure } from './link-failure.ts';

const request: PodLinkRequest = {
  name: 'net1-0',
  parentIndex: 2,
  parentName: 'eth1',
  link: { kind: 'macvlan', mode: 'bridge' },
  mtu: 1_000,
  group: 7,
  addresses: [],
  routes: [],
};

const messageOf = (o: Partial<LinkRefusal>): string =>
  linkFailure({ request, step: 'create', errno: 'EINVAL', masterMtu: 1_500, ...o }).message;

test('an EINVAL without words may be a master in passthru mode', () => {
  expect(messageOf({})).toContain('passthru');
  expect(messageOf({ kernelText: 'Invalid argument' })).toContain('passthru');
});

test('the words of the kernel stand alone', () => {
  const text = messageOf({ kernelText: 'mtu less than device minimum' });
  expect(text).toContain('mtu less than device minimum');
  expect(text).not.toContain('passthru');
});

test('an IPv6 address that is refused on a small MTU names the least that IPv6 needs', () => {
  const step = { step: 'address', subject: 'fd00::1/64' } as const;
  expect(messageOf(step)).toContain('IPv6 needs an MTU of 1280');
  expect(messageOf({ ...step, request: { ...request, mtu: 1_500 } })).not.toContain('1280');
  expect(messageOf({ ...step, subject: '10.0.0.1/24' })).not.toContain('1280');
  const inherited = { ...step, request: { ...request, mtu: 0 }, masterMtu: 1_000 };
  expect(messageOf(inherited)).toContain('IPv6 needs an MTU of 1280');
});
