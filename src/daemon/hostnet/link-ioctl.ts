// What the kernel says of one link without describing all of it (netdevice(7)).
//
//   struct ifreq, 40 bytes:  +0 name, 16 bytes, zero terminated   +16 i32 index, or MTU
import { ptr } from 'bun:ffi';
import { libc } from './libc.ts';

const IFREQ_BYTES = 40;
const NAME_BYTES = 16;
const SIOCGIFNAME = 0x8910;
const SIOCGIFMTU = 0x8921;
const decoder = new TextDecoder();

/** Asks about links of the namespace that a socket belongs to. */
export class LinkIoctl {
  readonly #socket: number;
  readonly #request = new Uint8Array(IFREQ_BYTES);
  readonly #view = new DataView(this.#request.buffer);

  /** `socket`: an open socket of any family, which the caller keeps open. */
  constructor(socket: number) {
    this.#socket = socket;
  }

  /** The name of the link with this index, if there is one. */
  nameOf(index: number): string | undefined {
    this.#request.fill(0);
    this.#view.setInt32(NAME_BYTES, index, true);
    if (!this.#ask(SIOCGIFNAME)) return undefined;
    return decoder.decode(this.#request.subarray(0, this.#request.indexOf(0)));
  }

  /** The MTU of the link with this index, if there is one. */
  mtuOf(index: number): number | undefined {
    // The answer leaves the name where the next question needs it.
    if (this.nameOf(index) === undefined || !this.#ask(SIOCGIFMTU)) return undefined;
    return this.#view.getInt32(NAME_BYTES, true);
  }

  #ask(question: number): boolean {
    return libc().ioctl(this.#socket, question, ptr(this.#request)) === 0;
  }
}
