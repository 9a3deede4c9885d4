// Writes rtnetlink messages one after another into one buffer, so that many requests travel in
// one send. Knows headers, attributes and padding, but no message type's meaning.
//
//   nlmsghdr   +0 u32 length   +4 u16 type   +6 u16 flags   +8 u32 sequence   +12 u32 port (0)
//   then a fixed header that depends on the type, then attributes:
//   nlattr     +0 u16 length (4 + payload)   +2 u16 type   +4 payload, padded to 4 bytes
//
// All numbers are in host byte order; Bun runs on little-endian machines only.
import { NLA_F_NESTED, NLM_F_REQUEST } from './constants.ts';

const HEADER_BYTES = 16;
const ATTRIBUTE_BYTES = 4;
const encoder = new TextEncoder();

/** Appends attributes to the message being written. */
export interface AttributeWriter {
  u16(type: number, value: number): void;
  u32(type: number, value: number): void;
  /** With a terminating zero byte. */
  text(type: number, value: string): void;
  bytes(type: number, value: Uint8Array): void;
  nested(type: number, inner: (out: AttributeWriter) => void): void;
  /** One member of RTA_MULTIPATH with weight 1. */
  nexthop(interfaceIndex: number, inner: (out: AttributeWriter) => void): void;
}

/** Requests waiting to be sent. Writes the attributes of the message that was added last. */
export class NetlinkBatch implements AttributeWriter {
  #bytes = new Uint8Array(1024);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;
  readonly #starts: number[] = [];

  /** Number of messages. */
  get count(): number {
    return this.#starts.length;
  }

  /**
   * Appends one message: its type, its flags without NLM_F_REQUEST, its fixed header (bytes as
   * they go out) and its attributes, written by `attributes`.
   */
  add(
    o: { type: number; flags: number; header: Uint8Array },
    attributes?: (out: AttributeWriter) => void,
  ): void {
    const start = this.#length;
    this.#starts.push(start);
    const header = this.#reserve(HEADER_BYTES);
    this.#view.setUint16(header + 4, o.type, true);
    this.#view.setUint16(header + 6, o.flags | NLM_F_REQUEST, true);
    this.#put(o.header);
    attributes?.(this);
    this.#view.setUint32(start, this.#length - start, true);
  }

  /** Messages `start` to `end` (excluded), numbered from `sequence`, flags added to the last. */
  slice(o: { start: number; end: number; sequence: number; lastFlags: number }): Uint8Array {
    const from = this.#starts[o.start] ?? this.#length;
    const to = this.#starts[o.end] ?? this.#length;
    for (let i = o.start; i < o.end; i += 1) {
      this.#view.setUint32((this.#starts[i] ?? 0) + 8, o.sequence + (i - o.start), true);
    }
    const last = (this.#starts[o.end - 1] ?? 0) + 6;
    this.#view.setUint16(last, this.#view.getUint16(last, true) | o.lastFlags, true);
    return this.#bytes.subarray(from, to);
  }

  u16(type: number, value: number): void {
    const at = this.#attribute(type, 2); // First: making room can replace the view.
    this.#view.setUint16(at, value, true);
  }

  u32(type: number, value: number): void {
    const at = this.#attribute(type, 4);
    this.#view.setUint32(at, value, true);
  }

  text(type: number, value: string): void {
    this.bytes(type, encoder.encode(`${value}\0`));
  }

  bytes(type: number, value: Uint8Array): void {
    const at = this.#attribute(type, value.length);
    this.#bytes.set(value, at);
  }

  nested(type: number, inner: (out: AttributeWriter) => void): void {
    const at = this.#attribute(type | NLA_F_NESTED, 0) - ATTRIBUTE_BYTES;
    inner(this);
    this.#view.setUint16(at, this.#length - at, true);
  }

  nexthop(interfaceIndex: number, inner: (out: AttributeWriter) => void): void {
    // struct rtnexthop: u16 length, u8 flags, u8 hops (weight - 1), i32 interface index
    const at = this.#reserve(8);
    this.#view.setInt32(at + 4, interfaceIndex, true);
    inner(this);
    this.#view.setUint16(at, this.#length - at, true);
  }

  /** Writes an attribute header and zeroed room for its payload; returns the payload's place. */
  #attribute(type: number, payloadBytes: number): number {
    const at = this.#reserve(ATTRIBUTE_BYTES + payloadBytes);
    this.#view.setUint16(at, ATTRIBUTE_BYTES + payloadBytes, true);
    this.#view.setUint16(at + 2, type, true);
    return at + ATTRIBUTE_BYTES;
  }

  #put(bytes: Uint8Array): void {
    const at = this.#reserve(bytes.length);
    this.#bytes.set(bytes, at);
  }

  /** Makes zeroed room, padded to 4 bytes, growing the buffer by doubling. */
  #reserve(sizeBytes: number): number {
    const at = this.#length;
    this.#length += (sizeBytes + 3) & ~3;
    if (this.#length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.#length, this.#bytes.length * 2));
      grown.set(this.#bytes);
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    return at;
  }
}
