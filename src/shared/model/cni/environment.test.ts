// The environment and the order of checks against the golden vectors of the specification.
import { describe, expect, test } from 'bun:test';
import golden from '../../../../test/golden/cni/environment.json';
import {
  checkComposedIfName,
  checkDispatch,
  checkOwnNetns,
  composedIfName,
  environmentRules,
  parseCniEnvironment,
} from './environment.ts';
import { parseRequestConfig } from './network-config.ts';

describe('variables', () => {
  for (const row of golden.environment) {
    test(`${row.id}: ${row.says}`, () => {
      const env: Record<string, string | undefined> = { ...row.env };
      const outcome = parseCniEnvironment(env);
      if (row.error === undefined) expect<string>(outcome.outcome).toBe(row.outcome ?? '');
      else expect(outcome).toEqual({ outcome: 'refused', error: row.error });
    });
  }

  test('the table is in the order in which missing ones are named', () => {
    expect(environmentRules.map(({ name }) => name).join(' ')).toBe(
      'CNI_COMMAND CNI_CONTAINERID CNI_NETNS CNI_IFNAME CNI_ARGS CNI_PATH CNI_NETNS_OVERRIDE',
    );
  });

  test('are handed on as given, absent ones as empty', () => {
    const env = { CNI_COMMAND: 'DEL', CNI_CONTAINERID: 'c', CNI_IFNAME: 'net1', CNI_PATH: '/a:/b' };
    expect(parseCniEnvironment({ ...env, CNI_ARGS: 'A=1' })).toEqual({
      outcome: 'accepted',
      environment: {
        command: 'DEL',
        containerId: 'c',
        netns: '',
        ifName: 'net1',
        args: 'A=1',
        path: '/a:/b',
        netnsOverride: false,
      },
    });
  });

  for (const [text, isOn] of [
    ['1', true],
    ['TRUE', true],
    ['tRuE', true],
    ['0', false],
    ['yes', false],
    ['', false],
  ] as const) {
    test(`CNI_NETNS_OVERRIDE=${text} is ${isOn}`, () => {
      const outcome = parseCniEnvironment({ CNI_COMMAND: 'VERSION', CNI_NETNS_OVERRIDE: text });
      expect(outcome).toMatchObject({ environment: { netnsOverride: isOn } });
    });
  }
});

describe('verb and version', () => {
  for (const { id, command, cniVersion, error } of golden.dispatch) {
    test(`${id}: ${command} with ${cniVersion}`, () => {
      expect(checkDispatch(command, cniVersion ?? undefined)).toEqual(error ?? undefined);
    });
  }
});

describe('input', () => {
  for (const { id, stdin, error } of golden.config) {
    test(`${id}: ${stdin}`, () => {
      const parsed = parseRequestConfig(stdin);
      expect(parsed.ok).toBe(error === null);
      if (parsed.ok || error === null) return;
      const { msg, ...rest } = error;
      expect(parsed.error).toMatchObject(rest);
      expect(parsed.error.msg).toStartWith(msg);
      expect('details' in parsed.error).toBe('details' in error);
    });
  }

  test('is handed on with its unknown members', () => {
    const parsed = parseRequestConfig('{"name":"net","cniVersion":"1.0.0","other":{"a":[1]}}');
    expect(parsed).toEqual({
      ok: true,
      value: {
        name: 'net',
        cniVersion: '1.0.0',
        value: { name: 'net', cniVersion: '1.0.0', other: { a: [1] } },
      },
    });
  });
});

describe('the own namespace (P-14)', () => {
  const own = { isOwnNetns: true, netnsOverride: false };

  for (const command of ['ADD', 'DEL']) {
    test(`is refused by ${command}`, () => {
      expect(checkOwnNetns({ command, ...own })).toMatchObject({ code: 8 });
      expect(checkOwnNetns({ command, ...own, isOwnNetns: false })).toBeUndefined();
      expect(checkOwnNetns({ command, ...own, netnsOverride: true })).toBeUndefined();
    });
  }

  test('does not matter to CHECK', () => {
    expect(checkOwnNetns({ command: 'CHECK', ...own })).toBeUndefined();
  });
});

describe('names of pod interfaces', () => {
  test('are counted from 0', () => expect(composedIfName('net1', 0)).toBe('net1-0'));

  const rows: [ifName: string, count: number, fits: boolean][] = [
    ['1234567890123', 1, true],
    ['1234567890123', 10, true],
    ['1234567890123', 11, false],
    ['12345678901234', 1, false],
    ['123456789012', 16, true],
    ['12345678901é', 10, true],
    ['123456789012é', 1, false],
    ['net1', 0, true],
  ];
  for (const [ifName, count, fits] of rows) {
    test(`${ifName} for ${count} NICs ${fits ? 'fits' : 'is too long'}`, () => {
      const error = checkComposedIfName(ifName, count);
      if (fits) expect(error).toBeUndefined();
      else expect(error).toMatchObject({ code: 4, msg: 'interface name is too long' });
    });
  }

  test('have no %, which the kernel replaces by a number', () => {
    for (const ifName of ['a%d', '%', 'a%']) {
      expect(checkComposedIfName(ifName, 1)).toMatchObject({ code: 4 });
    }
  });
});
