// The bitmap of host indices and its text.
import { describe, expect, test } from 'bun:test';
import { IndexSet } from './index-set.ts';

describe('IndexSet', () => {
  test('members survive the base64 form, and equal sets have equal texts', () => {
    const set = new IndexSet();
    for (const index of [0, 7, 8, 31, 64, 4999]) set.add(index);
    expect([...(IndexSet.parse(set.toString()) ?? [])]).toEqual([0, 7, 8, 31, 64, 4999]);
    set.delete(4999);
    const fresh = new IndexSet();
    for (const index of [64, 31, 8, 7, 0]) fresh.add(index);
    expect(set.toString()).toBe(fresh.toString());
    expect(set.last).toBe(64);
  });

  test('text that is no base64, or describes more than 2^20 indices, is refused', () => {
    expect(IndexSet.parse('***')).toBeUndefined();
    expect(IndexSet.parse(new Uint8Array(2 ** 17 + 1).toBase64())).toBeUndefined();
  });

  test('5,000 hosts need 625 bytes', () => {
    const set = new IndexSet();
    for (let index = 0; index < 5000; index++) set.add(index);
    expect(Uint8Array.fromBase64(set.toString())).toHaveLength(625);
  });
});
