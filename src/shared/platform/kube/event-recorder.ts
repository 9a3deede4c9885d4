// Events for people who look at an object with `kubectl describe`. Nothing waits for one and
// nothing depends on one: what cannot be written now is dropped and counted.
import type { Clock } from '../clock.ts';
import type { Logger } from '../log.ts';
import type { KubeClient } from './client.ts';
import { EVENTS } from './resource.ts';

/** What an event is about. Without `namespace` it is cluster-scoped. */
export interface EventSubject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string;
  /** '' where it is not known. */
  readonly uid: string;
}

/** One event. */
export interface EventNote {
  readonly about: EventSubject;
  readonly type: 'Normal' | 'Warning';
  /** One CamelCase word. */
  readonly reason: string;
  readonly message: string;
  /** An event with the same key is not written again for some minutes. */
  readonly key?: string;
}

/** Since the start: written, left out as repeated, and dropped because of no room or no answer. */
export interface EventCounts {
  written: number;
  repeated: number;
  dropped: number;
}

const WAITING_MAX = 64;
const KEYS_MAX = 1_024;
const REPEAT_AFTER_MS = 300_000;
/** From the first event to its writing: whoever recorded it has something better to do now. */
const DELAY_MS = 100;
const TIMEOUT_MS = 5_000;
const MESSAGE_CHARS_MAX = 1_024; // the limit of the API
/** Names have 253 characters, 17 of them for what tells two events of one object apart. */
const SUBJECT_CHARS_MAX = 236;
/** Where events about objects without a namespace are. */
const CLUSTER_NAMESPACE = 'default';

/** Writes events in the background, until the signal. */
export class EventRecorder {
  readonly counts: EventCounts = { written: 0, repeated: 0, dropped: 0 };
  readonly #client: KubeClient;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #source: { readonly component: string; readonly host?: string };
  readonly #signal: AbortSignal;
  readonly #waiting: { readonly note: EventNote; readonly atMs: number }[] = [];
  /** Until when an event with that key is a repetition (monotonic), the oldest first. */
  readonly #repeatedUntil = new Map<string, number>();
  #work: Promise<void> | undefined;

  constructor(o: {
    client: KubeClient;
    clock: Clock;
    log: Logger;
    source: { readonly component: string; readonly host?: string };
    signal: AbortSignal;
  }) {
    this.#client = o.client;
    this.#clock = o.clock;
    this.#log = o.log;
    this.#source = o.source;
    this.#signal = o.signal;
  }

  /** Takes an event over, or drops it. Returns at once and never throws. */
  record(note: EventNote): void {
    if (this.#isRepeated(note.key)) {
      this.counts.repeated += 1;
    } else if (this.#waiting.length >= WAITING_MAX || this.#signal.aborted) {
      this.counts.dropped += 1;
    } else {
      this.#waiting.push({ note, atMs: this.#clock.now() });
      this.#work ??= this.#writeAll();
    }
  }

  /** Resolves when nothing waits. */
  async idle(): Promise<void> {
    await this.#work;
  }

  #isRepeated(key: string | undefined): boolean {
    if (key === undefined) return false;
    const nowMs = this.#clock.monotonic();
    for (const [known, untilMs] of this.#repeatedUntil) {
      if (untilMs > nowMs && this.#repeatedUntil.size <= KEYS_MAX) break;
      this.#repeatedUntil.delete(known);
    }
    if (this.#repeatedUntil.has(key)) return true;
    this.#repeatedUntil.set(key, nowMs + REPEAT_AFTER_MS);
    return false;
  }

  async #writeAll(): Promise<void> {
    try {
      await this.#clock.sleep(DELAY_MS, this.#signal);
      for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
        await this.#write(next.note, next.atMs);
      }
    } catch {
      this.counts.dropped += this.#waiting.splice(0).length; // the process ends
    }
    this.#work = undefined;
  }

  async #write(note: EventNote, atMs: number): Promise<void> {
    try {
      const signal = this.#signal;
      await this.#client.create(EVENTS, this.#toEvent(note, atMs), {
        signal,
        timeoutMs: TIMEOUT_MS,
      });
      this.counts.written += 1;
    } catch (error) {
      this.counts.dropped += 1;
      // What is the matter is in the log already: an event only says it to more people.
      this.#log.debug('event not written', { reason: note.reason, error });
    }
  }

  #toEvent({ about, type, reason, message }: EventNote, atMs: number): unknown {
    const time = new Date(atMs).toISOString().replace(/\.\d+Z$/, 'Z'); // whole seconds
    const suffix = crypto.randomUUID().replaceAll('-', '').slice(0, 16);
    const namespace = about.namespace ?? CLUSTER_NAMESPACE;
    const { uid, ...subject } = about;
    return {
      metadata: { name: `${about.name.slice(0, SUBJECT_CHARS_MAX)}.${suffix}`, namespace },
      involvedObject: uid === '' ? subject : { ...subject, uid },
      type,
      reason,
      message:
        message.length <= MESSAGE_CHARS_MAX
          ? message
          : `${message.slice(0, MESSAGE_CHARS_MAX - 1)}…`,
      source: this.#source,
      firstTimestamp: time,
      lastTimestamp: time,
      count: 1,
    };
  }
}
