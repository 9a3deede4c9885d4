// CNI_ARGS against the golden vectors.
import { describe, expect, test } from 'bun:test';
import golden from '../../../../test/golden/cni/args.json';
import { parseCniArgs, takeStaticIps } from './args.ts';

describe('the pod', () => {
  for (const { says, text, ...expected } of golden.pod) {
    test(says, () => {
      const none = { podName: '', podNamespace: '', podUid: '', infraContainerId: '' };
      const { pairs: _pairs, ...pod } = parseCniArgs(text);
      expect<object>(pod).toEqual({ ...none, ...expected });
    });
  }

  test('other keys can be looked up', () => {
    expect(parseCniArgs('MAC=02:00:00:00:00:01;X=1').pairs.get('MAC')).toBe('02:00:00:00:00:01');
  });
});

describe('static addresses', () => {
  for (const { id, text, ips, remaining } of golden.staticIps) {
    test(`${id}: ${text}`, () => expect(takeStaticIps(text)).toEqual({ ips, remaining }));
  }
});
