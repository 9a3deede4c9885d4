// Test equipment: a TCP port of 127.0.0.1 that stays with its holder while nobody listens on it. One
// that is merely free again may be given to anybody, also to the near end of a connection.
import { dlopen } from 'bun:ffi';

const AF_INET = 2;
const STREAM_CLOEXEC = 0o2000001;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;

export interface HeldPort extends Disposable {
  readonly port: number;
}

const openLibc = () =>
  dlopen('libc.so.6', {
    socket: { args: ['i32', 'i32', 'i32'], returns: 'i32' },
    setsockopt: { args: ['i32', 'i32', 'i32', 'ptr', 'u32'], returns: 'i32' },
    bind: { args: ['i32', 'ptr', 'u32'], returns: 'i32' },
    getsockname: { args: ['i32', 'ptr', 'ptr'], returns: 'i32' },
    close: { args: ['i32'], returns: 'i32' },
  }).symbols;
/** Opened once: there are hundreds of servers. */
let opened: ReturnType<typeof openLibc> | undefined;

/**
 * Binds a socket that never listens, to any port unless told. `isShared`: a listener, which reuses
 * addresses, may have the port too. Throws if somebody else has it.
 */
export function holdPort({ port = 0, isShared = true } = {}): HeldPort {
  opened ??= openLibc();
  const libc = opened;
  const fd = libc.socket(AF_INET, STREAM_CLOEXEC, 0);
  // struct sockaddr_in: the family in our byte order, port and address in the network's.
  const address = new Uint8Array(16);
  const view = new DataView(address.buffer);
  view.setUint16(0, AF_INET, true);
  view.setUint16(2, port);
  address.set([127, 0, 0, 1], 4);
  const reuse = new Int32Array([isShared ? 1 : 0]);
  const length = new Uint32Array([address.length]);
  const isHeld =
    libc.setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, reuse, reuse.byteLength) === 0 &&
    libc.bind(fd, address, address.length) === 0 &&
    libc.getsockname(fd, address, length) === 0;
  if (!isHeld) {
    libc.close(fd);
    throw new Error(`port ${port} of 127.0.0.1 cannot be held`);
  }
  return { port: view.getUint16(2), [Symbol.dispose]: () => void libc.close(fd) };
}
