// Which Go toolchains can build the cluster's programs.
import { describe, expect, test } from 'bun:test';
import { whyNoGo } from './packages.ts';

describe('a Go toolchain', () => {
  test.each([
    'go1.26.0\nauto\n',
    'go1.27rc1\nlocal\n',
    'go1.21.5\nauto\n', // fetches what a module asks for
    'go1.22.2\nlocal+auto\n',
    'devel go1.28-a1b2c3d\nlocal\n',
  ])('%j is good enough', (output) => {
    expect(whyNoGo(output)).toBeUndefined();
  });

  test.each([
    'go1.19.8\n\n', // Debian 12
    'go1.18.1\n',
    'go1.25.1\nlocal\n',
    'go1.21.0\npath\n',
  ])('%j is too old, and its version is named', (output) => {
    expect(whyNoGo(output)).toContain(output.split('\n')[0] ?? '');
    expect(whyNoGo(output)).toContain('1.26 or newer');
  });
});
