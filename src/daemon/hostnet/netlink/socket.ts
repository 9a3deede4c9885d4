// One rtnetlink socket: batches of requests with an outcome per request, dumps, and a descriptor
// that notifications can be read from. rtnetlink does its work inside send(), so replies are there
// when send() returns and nothing here ever waits. The socket stays bound to the namespace it was
// opened in.
import { DomainError } from '../../../shared/model/errors.ts';
import { errnoName } from '../errno.ts';
import { checked, closeFile, libc, SystemCallError } from '../libc.ts';
import type { NetlinkBatch } from './batch.ts';
import * as k from './constants.ts';
import { type NetlinkMessage, readDone, readError, readMessages } from './reader.ts';

/**
 * Messages per send. Each refused request costs about 1 KiB of receive buffer, which by default
 * holds 416 KiB, so all of a chunk's replies fit even if every request fails.
 */
const CHUNK_MESSAGES_MAX = 200;
const DUMP_ATTEMPTS_MAX = 8;
const RECEIVE_BYTES = 65_536;
const RECEIVE_QUEUE_BYTES = 1 << 20;

/** What became of one request of a batch. */
export interface RequestOutcome {
  /** undefined: done. Otherwise the name of the errno, such as 'EEXIST'. */
  readonly errno: string | undefined;
  /** The kernel's own explanation of a refusal. */
  readonly text: string | undefined;
}

const done: RequestOutcome = { errno: undefined, text: undefined };

/** A buffer that holds the largest datagram the kernel sends. */
export function createReceiveBuffer(): Uint8Array {
  return new Uint8Array(RECEIVE_BYTES);
}

/** What requests can be sent through; see `NetlinkSocket.request`. */
export interface RequestSocket {
  request(
    batch: NetlinkBatch,
    onReply?: (message: NetlinkMessage, position: number) => void,
  ): RequestOutcome[];
}

/** A socket of the rtnetlink family. Not thread safe; every call is synchronous. */
export class NetlinkSocket implements RequestSocket, Disposable {
  readonly descriptor: number;
  readonly #buffer: Uint8Array;
  #sequence = 1;
  #isOpen = true;

  /**
   * Opens the socket in the namespace that the calling thread is in now. Sockets of one thread may
   * share a receive buffer, since none is in use between two calls.
   */
  constructor(o: { groups?: readonly number[]; buffer?: Uint8Array } = {}) {
    this.#buffer = o.buffer ?? createReceiveBuffer();
    this.descriptor = checked(
      'socket',
      libc().socket(k.AF_NETLINK, k.SOCK_RAW_CLOEXEC_NONBLOCK, 0),
    );
    try {
      this.#configure(o.groups ?? []);
    } catch (error) {
      closeFile(this.descriptor);
      throw error;
    }
  }

  #configure(groups: readonly number[]): void {
    const address = new Uint8Array(12); // sockaddr_nl: u16 family, u16 pad, u32 port, u32 groups
    new DataView(address.buffer).setUint16(0, k.AF_NETLINK, true);
    checked('bind', libc().bind(this.descriptor, address, address.length));
    // Older kernels lack some of these options; each only sharpens what is checked here anyway.
    this.#setOption(k.SOL_SOCKET, k.SO_RCVBUF, RECEIVE_QUEUE_BYTES);
    this.#setOption(k.SOL_NETLINK, k.NETLINK_CAP_ACK, 1);
    this.#setOption(k.SOL_NETLINK, k.NETLINK_EXT_ACK, 1);
    this.#setOption(k.SOL_NETLINK, k.NETLINK_GET_STRICT_CHK, 1);
    for (const group of groups) {
      const joined = this.#setOption(k.SOL_NETLINK, k.NETLINK_ADD_MEMBERSHIP, group);
      checked('join a netlink group', joined);
    }
  }

  #setOption(level: number, option: number, value: number): number {
    const bytes = new Uint32Array([value]);
    return libc().setsockopt(this.descriptor, level, option, bytes, bytes.byteLength);
  }

  /**
   * Sends a batch and gives the outcome of each request, in order. Only the last request of a
   * chunk asks for an acknowledgement: errors are reported anyway, and order is kept, so what was
   * not refused before it has been done. `onReply` gets the answers to get requests.
   */
  request(
    batch: NetlinkBatch,
    onReply: (message: NetlinkMessage, position: number) => void = () => undefined,
  ): RequestOutcome[] {
    const outcomes = new Array<RequestOutcome>(batch.count).fill(done);
    for (let start = 0; start < batch.count; start += CHUNK_MESSAGES_MAX) {
      const end = Math.min(start + CHUNK_MESSAGES_MAX, batch.count);
      const sequence = this.#takeSequences(end - start);
      this.#send(batch.slice({ start, end, sequence, lastFlags: k.NLM_F_ACK }));
      this.#receiveUntil((message) => {
        const position = start + message.sequence - sequence;
        if (position < start || position >= end) return false; // left over from a failed call
        if (message.type !== k.NLMSG_ERROR) {
          onReply(message, position);
          return false;
        }
        const { errno, text } = readError(message);
        outcomes[position] = errno === 0 ? done : { errno: errnoName(errno), text };
        return position === end - 1;
      });
    }
    return outcomes;
  }

  /**
   * Runs a dump (the only message of `batch`) and maps its messages. A dump that the kernel marks
   * as interrupted by a change is run again, a bounded number of times.
   */
  dump<T>(batch: NetlinkBatch, decode: (message: NetlinkMessage) => T | undefined): T[] {
    for (let attempt = 0; attempt < DUMP_ATTEMPTS_MAX; attempt += 1) {
      const items: T[] = [];
      const { isComplete, errno } = this.#dumpOnce(batch, (message) => {
        const item = decode(message);
        if (item !== undefined) items.push(item);
      });
      if (errno !== undefined) throw new SystemCallError('netlink dump', errno);
      if (isComplete) return items;
    }
    throw new DomainError('io-failed', 'the kernel configuration kept changing during a dump');
  }

  #dumpOnce(
    batch: NetlinkBatch,
    onMessage: (message: NetlinkMessage) => void,
  ): { isComplete: boolean; errno?: string } {
    const sequence = this.#takeSequences(1);
    this.#send(batch.slice({ start: 0, end: 1, sequence, lastFlags: k.NLM_F_DUMP }));
    let isComplete = true;
    let errno = 0;
    this.#receiveUntil((message) => {
      if (message.sequence !== sequence) return false; // left over from a failed call
      if ((message.flags & k.NLM_F_DUMP_INTR) !== 0) isComplete = false;
      const isDone = message.type === k.NLMSG_DONE;
      if (isDone) errno = readDone(message);
      else if (message.type === k.NLMSG_ERROR) errno = readError(message).errno;
      else onMessage(message);
      return isDone || message.type === k.NLMSG_ERROR;
    });
    return errno === 0 ? { isComplete } : { isComplete, errno: errnoName(errno) };
  }

  [Symbol.dispose](): void {
    if (this.#isOpen) closeFile(this.descriptor);
    this.#isOpen = false;
  }

  #takeSequences(count: number): number {
    if (!this.#isOpen) throw new Error('the netlink socket was disposed');
    const first = this.#sequence;
    this.#sequence = (first + count) & 0x3fff_ffff;
    return first;
  }

  #send(bytes: Uint8Array): void {
    checked('send', libc().send(this.descriptor, bytes, bytes.length, 0));
  }

  /** Hands over messages until `take` says that it got the last one. Throws if none is left. */
  #receiveUntil(take: (message: NetlinkMessage) => boolean): void {
    for (;;) {
      for (const message of readMessages(this.#receive())) {
        if (take(message)) return;
      }
    }
  }

  #receive(): DataView {
    const length = checked(
      'recv',
      libc().recv(this.descriptor, this.#buffer, RECEIVE_BYTES, k.MSG_TRUNC),
    );
    if (length > RECEIVE_BYTES) throw new SystemCallError('recv', 'EMSGSIZE');
    return this.#received(length);
  }

  #received(length: number): DataView {
    return new DataView(this.#buffer.buffer, this.#buffer.byteOffset, length);
  }
}
