// Reads what the kernel sends: messages out of a datagram, attributes out of a message. Lengths
// are checked against the datagram, so a malformed message can end a loop but not leave it.
import { NLA_TYPE_MASK, NLM_F_ACK_TLVS, NLM_F_CAPPED, NLMSGERR_ATTR_MSG } from './constants.ts';

const decoder = new TextDecoder();

/** One message in a datagram. `start` and `end` bound what follows its header. */
export interface NetlinkMessage {
  readonly view: DataView;
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly start: number;
  readonly end: number;
}

/** The messages of one datagram, in order. */
export function readMessages(view: DataView): NetlinkMessage[] {
  const messages: NetlinkMessage[] = [];
  let at = 0;
  while (at + 16 <= view.byteLength) {
    const length = view.getUint32(at, true);
    if (length < 16 || at + length > view.byteLength) break;
    messages.push({
      view,
      type: view.getUint16(at + 4, true),
      flags: view.getUint16(at + 6, true),
      sequence: view.getUint32(at + 8, true),
      start: at + 16,
      end: at + length,
    });
    at += (length + 3) & ~3;
  }
  return messages;
}

/** Calls `visit` for each attribute between `start` and `end` with where its payload lies. */
export function eachAttribute(
  span: { view: DataView; start: number; end: number },
  visit: (attribute: Attribute) => void,
): void {
  const { view } = span;
  eachSpan(span, (type, start, end) => visit({ view, type, start, end }));
}

/** As `eachAttribute` without an object for each: a link has some fifty attributes. */
export function eachSpan(
  span: { view: DataView; start: number; end: number },
  visit: (type: number, start: number, end: number) => void,
): void {
  const { view, end } = span;
  let at = span.start;
  while (at + 4 <= end) {
    const length = view.getUint16(at, true);
    if (length < 4 || at + length > end) return;
    visit(view.getUint16(at + 2, true) & NLA_TYPE_MASK, at + 4, at + length);
    at += (length + 3) & ~3;
  }
}

/** One attribute; its payload lies from `start` to `end` in `view`. */
export interface Attribute {
  readonly view: DataView;
  readonly type: number;
  readonly start: number;
  readonly end: number;
}

/** The payload as an unsigned number; 0 if it is too short. */
export function numberIn({ view, start, end }: Attribute): number {
  if (end - start >= 4) return view.getUint32(start, true);
  return end - start >= 2 ? view.getUint16(start, true) : 0;
}

/** The payload as text up to its first zero byte. */
export function textIn(attribute: Attribute): string {
  const bytes = bytesIn(attribute);
  const zero = bytes.indexOf(0);
  return decoder.decode(zero < 0 ? bytes : bytes.subarray(0, zero));
}

/** The payload; a view into the datagram, valid until the next receive. */
export function bytesIn({ view, start, end }: Attribute): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset + start, end - start);
}

/** The errno in an NLMSG_DONE message, 0 if the dump went well. */
export function readDone({ view, start, end }: NetlinkMessage): number {
  return end - start >= 4 ? -view.getInt32(start, true) : 0;
}

/**
 * The outcome in an NLMSG_ERROR message: errno 0 is an acknowledgement. `text` is the kernel's
 * own explanation, if the socket asked for extended acknowledgements and there is one.
 */
export function readError(message: NetlinkMessage): { errno: number; text: string | undefined } {
  const { view, start, end, flags } = message;
  const errno = -view.getInt32(start, true);
  if ((flags & NLM_F_ACK_TLVS) === 0) return { errno, text: undefined };
  // After the errno comes the header of the request, and unless capped the whole request.
  const requestBytes = (flags & NLM_F_CAPPED) === 0 ? view.getUint32(start + 4, true) : 16;
  let text: string | undefined;
  eachAttribute({ view, start: start + 4 + requestBytes, end }, (attribute) => {
    if (attribute.type === NLMSGERR_ATTR_MSG) text = textIn(attribute);
  });
  return { errno, text };
}
