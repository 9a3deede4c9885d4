// Datagram sockets inside the pods' network namespaces, opened by the demo's own process: no pod needs a program to be
// probed. Each is tied to one interface, so what it sends leaves there and what it receives came in there.
//
//   struct sockaddr_in, 16 bytes:  +0 u16 family   +2 u16 port, big-endian   +4 address, 4 bytes   +8 zeros
//   struct arpreq, 68 bytes:  +0 sockaddr_in, the neighbour   +52 device name, 16 bytes, the rest zeros (arp(7))
//   struct pollfd, 8 bytes:   +0 i32 descriptor   +4 i16 events wanted   +6 i16 events there are
import { FFIType, ptr } from 'bun:ffi';
import { checked, closeFile, lastErrno, libc, openLibrary } from '../../src/daemon/hostnet/libc.ts';
import { inNetns, NetnsFile, OWN_NETNS_PATH } from '../../src/daemon/hostnet/netns-file.ts';

const { i32, u32, u64_fast: u64, i64_fast: i64, ptr: pointer } = FFIType;
const AF_INET = 2;
const SOCK_DGRAM_NONBLOCK_CLOEXEC = 2 | 0o2004000;
const SOL_SOCKET = 1;
const SO_BINDTODEVICE = 25;
const SIOCDARP = 0x8953;
const POLLIN = 1;
const NAME_BYTES = 16;
const ECHO_PORT = 7;
/** Errors of a packet that found no way just now, or of a table that is full: it counts as lost. */
const lostErrnos = new Set(['EAGAIN', 'ENOBUFS', 'EHOSTUNREACH', 'ENETUNREACH', 'ENETDOWN']);

const signatures = {
  sendto: { args: [i32, pointer, u64, i32, pointer, u32], returns: i64 },
  recvfrom: { args: [i32, pointer, u64, i32, pointer, pointer], returns: i64 },
  poll: { args: [pointer, u64, i32], returns: i32 },
} as const;

const open = () => openLibrary(signatures);
let symbols: ReturnType<typeof open> | undefined;

/** The calls that the daemon has no use for. */
function calls(): ReturnType<typeof open> {
  symbols ??= open();
  return symbols;
}

function socketAddress(address: string): Uint8Array {
  const bytes = new Uint8Array(NAME_BYTES);
  new DataView(bytes.buffer).setUint16(0, AF_INET, true);
  new DataView(bytes.buffer).setUint16(2, ECHO_PORT);
  bytes.set(address.split('.').map(Number), 4);
  return bytes;
}

/** A message and the address that it came from. */
export interface Received {
  readonly from: string;
  readonly bytes: Uint8Array;
}

/** One end of a rail: a socket at one address of one interface in one namespace. */
export class RailSocket implements Disposable {
  readonly descriptor: number;
  readonly interfaceName: string;
  readonly #buffer = new Uint8Array(64);
  readonly #source = new Uint8Array(NAME_BYTES);
  readonly #sourceSize = new Uint32Array(1);

  private constructor(descriptor: number, interfaceName: string) {
    this.descriptor = descriptor;
    this.interfaceName = interfaceName;
  }

  /** Opens one in the namespace at `netns`. Without an address it is good for `forget` only. */
  static open(o: { netns: string; interfaceName: string; address?: string }): RailSocket {
    using home = NetnsFile.open(OWN_NETNS_PATH);
    using target = NetnsFile.open(o.netns);
    const descriptor = inNetns({ target, home }, () =>
      checked('socket', libc().socket(AF_INET, SOCK_DGRAM_NONBLOCK_CLOEXEC, 0)),
    );
    const socket = new RailSocket(descriptor, o.interfaceName);
    if (o.address === undefined) return socket;
    try {
      const device = new TextEncoder().encode(`${o.interfaceName}\0`);
      const bound = libc().setsockopt(
        descriptor,
        SOL_SOCKET,
        SO_BINDTODEVICE,
        ptr(device),
        device.length,
      );
      checked(`use ${o.interfaceName} in ${o.netns}`, bound);
      const local = socketAddress(o.address);
      const named = libc().bind(descriptor, ptr(local), local.length);
      checked(`use ${o.address} of ${o.interfaceName} in ${o.netns}`, named);
      return socket;
    } catch (error) {
      socket[Symbol.dispose]();
      throw error;
    }
  }

  /** Sends one message; one that finds no way is lost, as it would be on the wire. */
  send(address: string, bytes: Uint8Array): void {
    const to = socketAddress(address);
    const sent = calls().sendto(this.descriptor, ptr(bytes), bytes.length, 0, ptr(to), to.length);
    if (sent >= 0) return;
    const errno = lastErrno();
    if (!lostErrnos.has(errno)) throw new Error(`send to ${address}: ${errno}`);
  }

  /** The next message that has come in, if there is one. */
  receive(): Received | undefined {
    this.#sourceSize[0] = this.#source.length;
    const size = Number(
      calls().recvfrom(
        this.descriptor,
        ptr(this.#buffer),
        this.#buffer.length,
        0,
        ptr(this.#source),
        ptr(this.#sourceSize),
      ),
    );
    if (size < 0) {
      const errno = lastErrno();
      if (lostErrnos.has(errno)) return undefined;
      throw new Error(`receive on ${this.interfaceName}: ${errno}`);
    }
    return { from: this.#source.subarray(4, 8).join('.'), bytes: this.#buffer.slice(0, size) };
  }

  /** Takes a neighbour out of the kernel's table, if it is there. */
  forget(address: string): void {
    const request = new Uint8Array(68);
    request.set(socketAddress(address));
    request.fill(0, 2, 4);
    request.set(new TextEncoder().encode(this.interfaceName), 52);
    if (libc().ioctl(this.descriptor, SIOCDARP, ptr(request)) === 0) return;
    const errno = lastErrno();
    if (errno !== 'ENXIO') throw new Error(`forget the neighbour ${address}: ${errno}`);
  }

  [Symbol.dispose](): void {
    closeFile(this.descriptor);
  }
}

/** Waits for messages on some sockets. */
export class Readiness {
  readonly #entries: Int32Array;

  constructor(sockets: readonly RailSocket[]) {
    this.#entries = new Int32Array(sockets.flatMap(({ descriptor }) => [descriptor, POLLIN]));
  }

  /** The positions of the sockets that have a message, after up to so many milliseconds. */
  wait(timeoutMs: number): number[] {
    const sockets = this.#entries.length / 2;
    if (calls().poll(ptr(this.#entries), sockets, timeoutMs) <= 0) return [];
    // The kernel writes the upper half of each second word.
    return Array.from({ length: sockets }, (_, position) => position).filter(
      (position) => ((this.#entries[2 * position + 1] ?? 0) >>> 16) & POLLIN,
    );
  }
}
