// One operation per key at a time, a bounded number altogether, a bounded queue.
import { describe, expect, test } from 'bun:test';
import { KeyLock } from './key-lock.ts';

const create = (o: { running?: number; waiting?: number; now?: () => number } = {}): KeyLock =>
  new KeyLock({
    limits: { running: o.running ?? 4, waiting: o.waiting ?? 10, waitMsMax: 100 },
    now: o.now ?? (() => 0),
  });

describe('KeyLock', () => {
  test('runs operations of one key one after the other, in order', async () => {
    const lock = create();
    const gate = Promise.withResolvers<void>();
    const order: string[] = [];
    const first = lock.run('a', async () => {
      await gate.promise;
      order.push('first');
    });
    const second = lock.run('a', async () => void order.push('second'));
    const other = lock.run('b', async () => void order.push('other'));
    await other;
    gate.resolve();
    await Promise.all([first, second]);
    expect(order).toEqual(['other', 'first', 'second']);
  });

  test('frees the key when the operation fails', async () => {
    const lock = create();
    const failing = lock.run('a', () => Promise.reject(new Error('no')));
    await expect(failing).rejects.toThrow('no');
    expect(await lock.run('a', async () => 1)).toBe(1);
  });

  test('never runs more than its limit', async () => {
    const lock = create({ running: 3, waiting: 100 });
    let atOnce = 0;
    let most = 0;
    await Promise.all(
      Array.from({ length: 50 }, (_, key) =>
        lock.run(String(key), async () => {
          atOnce += 1;
          most = Math.max(most, atOnce);
          await Promise.resolve();
          atOnce -= 1;
        }),
      ),
    );
    expect(most).toBe(3);
    expect(lock.running).toBe(0);
  });

  test('refuses with not-ready when the queue is full', async () => {
    const lock = create({ running: 1, waiting: 1 });
    const gate = Promise.withResolvers<void>();
    const running = lock.run('a', () => gate.promise);
    const waiting = lock.run('b', async () => undefined);
    await expect(lock.run('c', async () => undefined)).rejects.toMatchObject({ kind: 'not-ready' });
    gate.resolve();
    await Promise.all([running, waiting]);
  });

  test('refuses with timeout what waited too long', async () => {
    let nowMs = 0;
    const lock = create({ running: 1, now: () => nowMs });
    const gate = Promise.withResolvers<void>();
    const running = lock.run('a', () => gate.promise);
    const late = lock.run('b', async () => 'ran').catch((error) => error.kind);
    nowMs = 101;
    gate.resolve();
    await running;
    expect(await late).toBe('timeout');
  });

  test('idle resolves after the last operation', async () => {
    const lock = create();
    const gate = Promise.withResolvers<void>();
    const order: string[] = [];
    const running = lock.run('a', async () => {
      await gate.promise;
      order.push('ran');
    });
    const idle = lock.idle().then(() => order.push('idle'));
    gate.resolve();
    await Promise.all([running, idle]);
    expect(order).toEqual(['ran', 'idle']);
    await lock.idle();
  });
});
