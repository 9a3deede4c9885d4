// What the meta-plugin makes of the networks annotation and of CNI_ARGS.
import { describe, expect, test } from 'bun:test';
import { argumentsFor, identityFrom, parseArguments, parseSelections } from './selection.ts';

describe('networks annotation', () => {
  test('short names take the namespace of the pod', () => {
    expect(parseSelections('a, other/b@data0', 'mine')).toEqual([
      { namespace: 'mine', name: 'a' },
      { namespace: 'other', name: 'b', interfaceName: 'data0' },
    ]);
  });

  test('the JSON form carries addresses, MAC and arguments', () => {
    const item = {
      name: 'a',
      namespace: 'other',
      interface: 'data0',
      ips: ['10.0.0.1/24'],
      mac: '02:00:00:00:00:01',
      'cni-args': { nics: 2 },
    };
    expect(parseSelections(JSON.stringify([item]), 'mine')).toEqual([
      {
        namespace: 'other',
        name: 'a',
        interfaceName: 'data0',
        mac: '02:00:00:00:00:01',
        ips: ['10.0.0.1/24'],
        cniArgs: { nics: 2 },
      },
    ]);
  });

  test('an empty annotation selects nothing', () => {
    expect(parseSelections(' ', 'mine')).toEqual([]);
    expect(parseSelections('[]', 'mine')).toEqual([]);
  });

  for (const bad of [
    'a,,b',
    'A/b',
    'a@name-that-is-too-long',
    '{"name":"a"}',
    '[{"nam":"a"}]',
    '[{',
  ]) {
    test(`refuses ${bad}`, () => {
      expect(() => parseSelections(bad, 'mine')).toThrow();
    });
  }
});

describe('CNI_ARGS', () => {
  const text =
    'K8S_POD_UID=u;IgnoreUnknown=1;K8S_POD_NAMESPACE=ns;K8S_POD_NAME=p;' +
    'K8S_POD_INFRA_CONTAINER_ID=s';

  test('the pod is found whatever the order of the keys is', () => {
    expect(identityFrom(parseArguments(text))).toEqual({
      namespace: 'ns',
      name: 'p',
      uid: 'u',
      sandboxId: 's',
    });
  });

  test('a text that names no pod is refused', () => {
    expect(() => identityFrom(parseArguments('K8S_POD_NAME=p'))).toThrow('no pod');
  });

  test('a pair without a key is refused', () => {
    expect(() => parseArguments('=x')).toThrow('invalid pair');
  });

  test('a network gets five fixed pairs, then those of the runtime, then the wishes', () => {
    const received = parseArguments(text);
    const sent = argumentsFor(identityFrom(received), received, {
      mac: 'm',
      ips: ['10.0.0.1', '10.0.0.2'],
    });
    expect(sent.map(([key]) => key)).toEqual([
      'IgnoreUnknown',
      'K8S_POD_NAMESPACE',
      'K8S_POD_NAME',
      'K8S_POD_INFRA_CONTAINER_ID',
      'K8S_POD_UID',
      ...received.map(([key]) => key),
      'MAC',
      'IP',
    ]);
    expect(sent.at(-1)).toEqual(['IP', '10.0.0.1,10.0.0.2']);
  });
});
