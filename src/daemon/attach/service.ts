// The five verbs of CNI as the socket offers them: who may run when, what is counted, what is
// logged. The work itself is in the files beside this one.
import { checkNetns } from '../../shared/model/cni/environment.ts';
import type { CniReply } from '../../shared/model/daemon-api.ts';
import { DomainError, type ErrorKind, isDomainError } from '../../shared/model/errors.ts';
import type { Counter, Histogram } from '../metrics.ts';
import { type Attached, attach } from './attach.ts';
import {
  type AttachIdentity,
  type NodeRequest,
  parseIdentity,
  parsePrevious,
  parseValid,
} from './attach-config.ts';
import { check } from './check.ts';
import { collectUnlisted } from './collect.ts';
import { DemandCache } from './demand-cache.ts';
import { detach } from './detach.ts';
import { PlanCache } from './plan-cache.ts';
import type { AttachPorts } from './ports.ts';
import { toReply } from './reply.ts';

/** How far the start of the daemon has come, and why not further. */
export interface Readiness {
  /** Rows of an earlier process are dealt with: DEL, CHECK and GC can be served. */
  readonly isRecovered: boolean;
  /** Everything is: ADD can be served. */
  readonly isReady: boolean;
  /** '' when ready. */
  readonly reason: string;
}

/** Counters and durations of the verbs. */
export interface ServiceMetrics {
  readonly requests: Counter;
  readonly seconds: Histogram;
}

/** A refused ADD, kept for `/v1/why`. */
export interface Refusal {
  readonly atMs: number;
  readonly identity: AttachIdentity;
  readonly kind: ErrorKind | 'internal';
  readonly message: string;
  readonly details: unknown;
}

/** Refusals that are remembered; the oldest is forgotten first. */
const REFUSALS_MAX = 256;

/** Serves CNI requests. */
export class CniService {
  readonly #ports: AttachPorts;
  readonly #readiness: () => Readiness;
  readonly #metrics: ServiceMetrics;
  readonly #onRefused: (refusal: Refusal) => void;
  readonly #demands = new DemandCache();
  readonly #plans = new PlanCache();
  #refusals: Refusal[] = [];

  constructor(o: {
    ports: AttachPorts;
    readiness: () => Readiness;
    metrics: ServiceMetrics;
    /** Told of each refused ADD; must return at once. */
    onRefused: (refusal: Refusal) => void;
  }) {
    this.#ports = o.ports;
    this.#readiness = o.readiness;
    this.#metrics = o.metrics;
    this.#onRefused = o.onRefused;
  }

  /** Refused ADDs, oldest first. */
  get refusals(): readonly Refusal[] {
    return this.#refusals;
  }

  /** Runs one verb. `signal`: the caller has gone. Throws DomainError; anything else is a bug. */
  async handle(request: NodeRequest, signal: AbortSignal): Promise<CniReply> {
    const { clock, log } = this.#ports;
    const startMs = clock.monotonic();
    const identity = parseIdentity(request);
    const { command, requestId } = request;
    const fields = { command, requestId, ...identity.key, ...podField(identity) };
    try {
      const { reply, steps } = await this.#run(request, identity, signal);
      const tookMs = clock.monotonic() - startMs;
      // The caller waits for the reply, not for what is noted about it.
      setImmediate(() => {
        this.#count(command, 'ok', tookMs);
        const level = command === 'STATUS' ? 'debug' : 'info';
        const durationMs = Math.round(tookMs * 1000) / 1000;
        log[level]('served', { ...fields, durationMs, ...steps });
      });
      return reply;
    } catch (error) {
      const tookMs = clock.monotonic() - startMs;
      this.#count(command, isDomainError(error) ? error.kind : 'internal', tookMs);
      if (command === 'ADD') this.#remember(identity, error);
      log.error('refused', { ...fields, durationMs: Math.round(tookMs), error });
      throw error;
    }
  }

  async #run(
    request: NodeRequest,
    identity: AttachIdentity,
    signal: AbortSignal,
  ): Promise<{ reply: CniReply; steps?: Attached['steps'] }> {
    const ports = this.#ports;
    switch (request.command) {
      case 'ADD': {
        this.#refuseUnless('isReady');
        refuseRelative(identity);
        const demand = this.#demands.demandOf(request);
        const { containerId } = identity.key;
        const plans = this.#plans;
        const work = () => attach(ports, { identity, demand, plans, signal });
        const attached = await ports.exclusive(containerId, work);
        return { reply: toReply(attached), steps: attached.steps };
      }
      case 'DEL':
        this.#refuseUnless('isRecovered');
        await detach(ports, identity);
        return { reply: {} };
      case 'CHECK': {
        this.#refuseUnless('isRecovered');
        refuseRelative(identity);
        const result = parsePrevious(request);
        await ports.exclusive(identity.key.containerId, async () => check(ports, identity, result));
        return { reply: {} };
      }
      case 'GC':
        this.#refuseUnless('isRecovered');
        await this.#collect(request);
        return { reply: {} };
      case 'STATUS':
        this.#refuseUnless('isReady');
        return { reply: {} };
      default:
        return request.command satisfies never;
    }
  }

  async #collect(request: NodeRequest): Promise<void> {
    const network = request.config.name;
    const valid = parseValid(request);
    const { released, kept, errors } = await collectUnlisted(this.#ports, { network, valid });
    this.#ports.log.info('collected', { network, released, kept });
    const [first] = errors;
    if (first !== undefined) throw first;
    if (kept.length === 0) return;
    throw new DomainError(
      'conflict',
      `network ${network}: ${kept.length} attachments are not listed as valid, but their pods live`,
      { details: { network, kept } },
    );
  }

  #refuseUnless(stage: 'isReady' | 'isRecovered'): void {
    const readiness = this.#readiness();
    if (readiness[stage]) return;
    throw new DomainError('not-ready', `the daemon is not ready: ${readiness.reason}`);
  }

  #count(command: string, outcome: string, tookMs: number): void {
    this.#metrics.requests.add({ command, outcome });
    this.#metrics.seconds.observe({ command }, tookMs / 1000);
  }

  #remember(identity: AttachIdentity, error: unknown): void {
    const refusal: Refusal = {
      atMs: this.#ports.clock.now(),
      identity,
      kind: isDomainError(error) ? error.kind : 'internal',
      message: error instanceof Error ? error.message : String(error),
      details: isDomainError(error) ? error.details : {},
    };
    this.#refusals.push(refusal);
    this.#refusals = this.#refusals.slice(-REFUSALS_MAX);
    this.#onRefused(refusal);
  }
}

/** As the executable does: only root asks here, but with any program. */
function refuseRelative({ netnsPath }: AttachIdentity): void {
  const refusal = checkNetns(netnsPath);
  if (refusal === undefined) return;
  const details = { netns: netnsPath };
  throw new DomainError('invalid-environment', `${refusal.msg}: "${netnsPath}"`, { details });
}

function podField({ podNamespace, podName }: AttachIdentity): { pod?: string } {
  return podName === '' ? {} : { pod: `${podNamespace}/${podName}` };
}
