// Messages byte by byte, and reading of malformed ones.
import { describe, expect, test } from 'bun:test';
import { NetlinkBatch } from './batch.ts';
import { bytesIn, eachAttribute, numberIn, readError, readMessages, textIn } from './reader.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const whole = (batch: NetlinkBatch, sequence = 1, lastFlags = 0): Uint8Array =>
  batch.slice({ start: 0, end: batch.count, sequence, lastFlags });
const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

describe('NetlinkBatch', () => {
  test('writes header, fixed header and attributes as the kernel reads them', () => {
    const batch = new NetlinkBatch();
    batch.add({ type: 16, flags: 0x600, header: Uint8Array.of(1, 2, 3) }, (out) => {
      out.text(3, 'ab');
      out.nested(18, (info) => info.u16(1, 0x0201));
      out.u32(27, 0x04030201);
    });
    expect(hex(whole(batch, 9, 4))).toBe(
      [
        '3000000010000506' + '0900000000000000', // 48 bytes, type 16, flags 0x605, sequence 9
        '01020300',
        '07000300' + '61620000',
        '0c001280' + '06000100' + '01020000', // nested flag, then the inner attribute
        '08001b00' + '01020304',
      ].join(''),
    );
  });

  test('writes multipath members with their own attributes', () => {
    const batch = new NetlinkBatch();
    batch.add({ type: 24, flags: 0, header: new Uint8Array() }, (out) => {
      out.nested(9, (hops) => {
        hops.nexthop(7, (hop) => hop.bytes(5, Uint8Array.of(10, 0, 0, 1)));
        hops.nexthop(8, () => undefined);
      });
    });
    expect(hex(whole(batch)).slice(32)).toBe(
      '1c000980' + '1000000007000000' + '08000500' + '0a000001' + '0800000008000000',
    );
  });

  test('keeps every byte when it outgrows its buffer at any position', () => {
    for (let padding = 0; padding < 64; padding += 4) {
      const batch = new NetlinkBatch();
      batch.add({ type: 1, flags: 0, header: new Uint8Array(900 + padding) }, (out) => {
        for (let n = 0; n < 40; n += 1) {
          out.u32(n, 0xabcd0000 + n);
          out.nested(100, (inner) => inner.u16(1, n));
          out.text(200, `text ${n}`);
        }
      });
      const numbers: number[] = [];
      const texts: string[] = [];
      for (const { view, start, end } of readMessages(viewOf(whole(batch)))) {
        eachAttribute({ view, start: start + 900 + padding, end }, (attribute) => {
          if (attribute.type < 100) numbers.push(numberIn(attribute));
          if (attribute.type === 200) texts.push(textIn(attribute));
        });
      }
      expect(numbers).toEqual(Array.from({ length: 40 }, (_, n) => 0xabcd0000 + n));
      expect(texts).toEqual(Array.from({ length: 40 }, (_, n) => `text ${n}`));
    }
  });

  test('gives any run of messages with their own sequence numbers', () => {
    const batch = new NetlinkBatch();
    for (let n = 0; n < 5; n += 1) {
      batch.add({ type: 20 + n, flags: 0, header: new Uint8Array(n) });
    }
    const bytes = batch.slice({ start: 1, end: 4, sequence: 70, lastFlags: 4 });
    const messages = [...readMessages(viewOf(bytes))];
    expect(messages.map(({ type, sequence, flags }) => [type, sequence, flags])).toEqual([
      [21, 70, 1],
      [22, 71, 1],
      [23, 72, 5],
    ]);
  });
});

describe('reading', () => {
  test('ends at a message or attribute that does not fit, whatever its length says', () => {
    const batch = new NetlinkBatch();
    batch.add({ type: 1, flags: 0, header: new Uint8Array() }, (out) => out.u32(1, 5));
    const good = Buffer.from(whole(batch));
    for (const length of [0, 1, 15, 25, 0xffff_ffff]) {
      const bad = Buffer.from(good);
      bad.writeUInt32LE(length, 0);
      expect([...readMessages(viewOf(bad))]).toEqual([]);
    }
    for (const length of [0, 3, 9, 0xffff]) {
      const bad = Buffer.from(good);
      bad.writeUInt16LE(length, 16);
      const [message] = readMessages(viewOf(bad));
      const types: number[] = [];
      if (message !== undefined) eachAttribute(message, ({ type }) => types.push(type));
      expect(types).toEqual([]);
    }
    expect([...readMessages(viewOf(good.subarray(0, 10)))]).toEqual([]);
  });

  test('finds errno and the kernel’s explanation with and without the request in between', () => {
    const request = Buffer.alloc(24);
    request.writeUInt32LE(24, 0);
    const explanation = Buffer.from(
      `0a000100${Buffer.from('gone\0').toString('hex')}000000`,
      'hex',
    );
    const error = (flags: number, echoed: Buffer): DataView => {
      const header = Buffer.alloc(20);
      const message = Buffer.concat([header, echoed, explanation]);
      message.writeUInt32LE(message.length, 0);
      message.writeUInt16LE(2, 4);
      message.writeUInt16LE(flags, 6);
      message.writeInt32LE(-19, 16);
      return viewOf(message);
    };
    const cases = [
      { view: error(0x200, request), text: 'gone' },
      { view: error(0x300, request.subarray(0, 16)), text: 'gone' },
      { view: error(0, request), text: undefined },
    ];
    for (const { view, text } of cases) {
      const [message] = readMessages(view);
      expect(message && readError(message)).toEqual({ errno: 19, text });
    }
  });

  test('takes text up to its zero byte and numbers of two or four bytes', () => {
    const batch = new NetlinkBatch();
    batch.add({ type: 1, flags: 0, header: new Uint8Array() }, (out) => {
      out.bytes(1, Uint8Array.of(97, 98, 0, 99));
      out.bytes(2, Uint8Array.of(97, 98));
      out.u16(3, 65_535);
      out.bytes(4, Uint8Array.of(1));
    });
    const [message] = readMessages(viewOf(whole(batch)));
    const seen: unknown[] = [];
    if (message !== undefined) {
      eachAttribute(message, (a) => seen.push([textIn(a), numberIn(a), bytesIn(a).length]));
    }
    expect(seen).toEqual([
      ['ab', 0x6300_6261, 4],
      ['ab', 0x6261, 2],
      ['\u{fffd}\u{fffd}', 65_535, 2],
      ['\u0001', 0, 1],
    ]);
  });
});
