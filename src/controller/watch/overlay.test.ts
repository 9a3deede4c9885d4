// Our own writes are seen before the watch brings them, several in a row too, and never for longer.
import { beforeEach, describe, expect, test } from 'bun:test';
import { Overlay } from './overlay.ts';

interface View {
  readonly resourceVersion: string;
}

const view = (resourceVersion: string): View => ({ resourceVersion });

describe('Overlay', () => {
  let source: Map<string, View>;
  let overlay: Overlay<View>;
  beforeEach(() => {
    source = new Map([['a', view('1')]]);
    overlay = new Overlay(() => source);
  });
  const version = (): string | undefined => overlay.get('a')?.resourceVersion;
  /** What the watch reports. */
  const report = (resourceVersion: string | undefined): void => {
    if (resourceVersion === undefined) source.delete('a');
    else source.set('a', view(resourceVersion));
    overlay.forget('a');
  };

  test('a write is seen until the watch brings it', () => {
    overlay.put('a', view('2'), '1');
    expect(version()).toBe('2');
    report('2');
    expect(version()).toBe('2');
    report('3');
    expect(version()).toBe('3');
  });

  test('of several writes in a row the last is seen, while the watch brings one by one', () => {
    overlay.put('a', view('2'), '1');
    overlay.put('a', view('3'), '2');
    overlay.put('a', view('4'), '3');
    expect(version()).toBe('4');
    report('2');
    expect(version()).toBe('4');
    report('3');
    expect(version()).toBe('4');
    report('4');
    report('5');
    expect(version()).toBe('5');
  });

  test('what somebody else wrote, or deleted, is not hidden', () => {
    overlay.put('a', view('2'), '1');
    overlay.put('a', view('3'), '2');
    report('9');
    expect(version()).toBe('9');
    overlay.put('a', view('10'), '9');
    report(undefined);
    expect(version()).toBeUndefined();
    expect([...overlay.values()]).toEqual([]);
  });

  test('a write that the watch overtook is not seen', () => {
    report('7');
    overlay.put('a', view('2'), '1');
    expect(version()).toBe('7');
  });

  test('an object that was made is there before the watch brings it', () => {
    source.clear();
    overlay.put('a', view('1'), undefined);
    expect([...overlay.keys()]).toEqual(['a']);
    expect(version()).toBe('1');
  });
});
