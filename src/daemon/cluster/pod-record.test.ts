// What is read of a pod: addresses that the meta-plugin wrote on it, under either spelling, and
// nothing of a pod whose network was taken down.
import { expect, test } from 'bun:test';
import { toPodRecord } from './pod-record.ts';

const NEW = 'k8s.v1.cni.cncf.io/network-status';
const OLD = 'k8s.v1.cni.cncf.io/networks-status';
const STATUS = `[
  { "name": "cbr0", "interface": "eth0", "ips": ["10.244.0.2"], "default": true, "dns": {} },
  { "name": "team-a/hole", "interface": "net1", "ips": ["10.77.0.1", "fd00::1"], "dns": {} },
  { "name": "team-a/none", "interface": "net2", "dns": {} }
]`;

const read = (annotations: Record<string, string>, phase?: string) =>
  toPodRecord({
    metadata: { uid: 'u', annotations },
    ...(phase === undefined ? {} : { status: { phase } }),
  });

const stated = [
  { network: 'cbr0', addresses: ['10.244.0.2'] },
  { network: 'hole', addresses: ['10.77.0.1', 'fd00::1'] },
];

test('addresses are read under both spellings, and the newer one counts', () => {
  expect(read({ [NEW]: STATUS })).toEqual({ uid: 'u', stated });
  expect(read({ [OLD]: STATUS }, 'Pending').stated).toEqual(stated);
  expect(read({ [NEW]: '[]', [OLD]: STATUS }).stated).toEqual([]);
});

test.each(['Succeeded', 'Failed'])('a pod that has %s holds nothing', (phase) => {
  expect(read({ [NEW]: STATUS }, phase)).toEqual({ uid: 'u', stated: [] });
});

test.each(['', '{', 'null', '7', '{"name":"a"}', '[7,null,{"name":7},{"name":"a","ips":"b"}]'])(
  'an annotation %j says nothing',
  (text) => {
    expect(read({ [NEW]: text }).stated).toEqual([]);
  },
);

test('a pod without annotations has an identity', () => {
  expect(toPodRecord({ metadata: { uid: 'u' } })).toEqual({ uid: 'u', stated: [] });
  expect(toPodRecord({})).toEqual({ uid: '', stated: [] });
});
