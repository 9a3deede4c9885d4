// Reachability over one rail: a question from each pod's interface to the address of every other, and its answer back.
// Both sockets are tied to their interfaces, so a packet that took another way is none. What the kernel learns of
// neighbours meanwhile is taken out again after each batch: its table is one for all namespaces of a machine.
import { RailSocket, Readiness, type Received } from './rail-socket.ts';

/** A pod on a rail. */
export interface RailEnd {
  readonly pod: string;
  readonly netns: string;
  readonly interfaceName: string;
  readonly address: string;
}

/** A host's NIC on a rail, which has neighbours of its own where hosts route. */
export interface HostEnd {
  readonly netns: string;
  readonly nicName: string;
  readonly address: string;
}

/** Milliseconds from question to answer, or null without one. */
export type Took = number | null;

/** One direction between two pods. */
interface Cell {
  readonly number: number;
  readonly from: number;
  readonly to: number;
  /** When it was asked first; 0 before. */
  sentAt: number;
  took: Took;
}

/** Cells at a time; each makes the kernel keep two neighbours or more. */
const BATCH_CELLS = 64;
/** How long the next question waits for the answer to the last one; a slow one is not lost. */
const PATIENCE_MS = 5;
/** After so long without any answer the rest of a batch counts as lost. */
const QUIET_MS = 300;
const ATTEMPTS = 2;
/** Between rounds of what was lost: a full table makes room in that time. */
const RETRY_PAUSE_MS = 1000;
const POLL_MS = 20;
const QUESTION = 1;
const ANSWER = 2;

/** What is left of the time that lost questions may be asked again; all rails share it. */
export class RetryBudget {
  readonly #endMs: number;

  constructor(ms: number) {
    this.#endMs = performance.now() + ms;
  }

  isSpent(): boolean {
    return performance.now() >= this.#endMs;
  }
}

/** Asks in both directions between all pods of a rail. Returns pod -> address -> time. */
export async function probeRail(
  ends: readonly RailEnd[],
  o: { hosts?: readonly HostEnd[]; retries: RetryBudget },
): Promise<Map<string, Record<string, Took>>> {
  using rail = new Rail(ends, o.hosts ?? []);
  let open = await rail.ask(rail.cells);
  while (open.length > 0 && !o.retries.isSpent()) {
    await Bun.sleep(RETRY_PAUSE_MS);
    open = await rail.ask(open);
  }
  return rail.times();
}

class Rail implements Disposable {
  readonly cells: readonly Cell[];
  readonly #ends: readonly RailEnd[];
  readonly #hosts: readonly HostEnd[];
  readonly #resources = new DisposableStack();
  readonly #sockets: readonly RailSocket[];
  readonly #hostSockets: readonly RailSocket[];
  readonly #readiness: Readiness;
  #answeredAt = 0;

  constructor(ends: readonly RailEnd[], hosts: readonly HostEnd[]) {
    this.#ends = ends;
    this.#hosts = hosts;
    using opened = new DisposableStack();
    this.#sockets = ends.map((end) => opened.use(RailSocket.open(end)));
    this.#hostSockets = hosts.map(({ netns, nicName }) =>
      opened.use(RailSocket.open({ netns, interfaceName: nicName })),
    );
    this.#resources = opened.move();
    this.#readiness = new Readiness(this.#sockets);
    const pairs = ends.flatMap((_, from) => ends.map((_, to) => ({ from, to })));
    this.cells = pairs
      .filter(({ from, to }) => from !== to)
      .map((pair, number) => ({ ...pair, number, sentAt: 0, took: null }));
  }

  /** Asks what these cells ask, some at a time. Returns those without an answer. */
  async ask(cells: readonly Cell[]): Promise<Cell[]> {
    for (let start = 0; start < cells.length; start += BATCH_CELLS) {
      const batch = cells.slice(start, start + BATCH_CELLS);
      for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) await this.#askBatch(batch);
      this.#forget(batch);
    }
    return cells.filter(({ took }) => took === null);
  }

  times(): Map<string, Record<string, Took>> {
    const matrix = new Map(this.#ends.map(({ pod }) => [pod, {} as Record<string, Took>]));
    for (const { from, to, took } of this.cells) {
      const row = matrix.get(this.#end(from).pod);
      if (row !== undefined) row[this.#end(to).address] = took;
    }
    return matrix;
  }

  async #askBatch(batch: readonly Cell[]): Promise<void> {
    const open = batch.filter(({ took }) => took === null);
    for (const cell of open) {
      const now = performance.now();
      if (cell.sentAt === 0) cell.sentAt = now;
      this.#socket(cell.from).send(this.#end(cell.to).address, encode(QUESTION, cell.number));
      const end = now + PATIENCE_MS;
      while (cell.took === null && performance.now() < end) this.#receive(1);
    }
    this.#answeredAt = performance.now();
    while (open.some(({ took }) => took === null)) {
      if (performance.now() - this.#answeredAt > QUIET_MS) break;
      this.#receive(POLL_MS);
      await nextTurn();
    }
  }

  /** Answers the questions that have come in, and notes the answers. */
  #receive(waitMs: number): void {
    for (const position of this.#readiness.wait(waitMs)) {
      const socket = this.#socket(position);
      for (let got = socket.receive(); got !== undefined; got = socket.receive()) {
        this.#take(position, got);
      }
    }
  }

  /** Only what arrived where it was sent to, from the address that is meant to have sent it, counts. */
  #take(position: number, { from, bytes }: Received): void {
    const [kind, number = -1] = new Uint32Array(bytes.slice().buffer);
    const cell = this.cells[number];
    if (cell === undefined) return;
    const isAt = (own: number, other: number): boolean =>
      position === own && from === this.#end(other).address;
    if (kind === QUESTION && isAt(cell.to, cell.from)) {
      this.#socket(position).send(from, encode(ANSWER, number));
    } else if (kind === ANSWER && isAt(cell.from, cell.to)) {
      this.#answeredAt = performance.now();
      cell.took ??= this.#answeredAt - cell.sentAt;
    }
  }

  #forget(batch: readonly Cell[]): void {
    for (const { from, to } of batch) {
      this.#socket(from).forget(this.#end(to).address);
      this.#socket(to).forget(this.#end(from).address);
    }
    for (const [index, socket] of this.#hostSockets.entries()) {
      for (const [other, { address }] of this.#hosts.entries()) {
        if (other !== index) socket.forget(address);
      }
    }
  }

  #end(index: number): RailEnd {
    const end = this.#ends[index];
    if (end === undefined) throw new Error(`no pod ${index} on this rail`);
    return end;
  }

  #socket(index: number): RailSocket {
    const socket = this.#sockets[index];
    if (socket === undefined) throw new Error(`no pod ${index} on this rail`);
    return socket;
  }

  [Symbol.dispose](): void {
    this.#resources.dispose();
  }
}

/** Lets timers and the API server of this process have their turn. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** A message: what it is and the number of its cell. */
function encode(kind: number, number: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(kind, number).buffer);
}
