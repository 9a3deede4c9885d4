// The daemon: the order in which its parts start, and its end.
//
//   journal ─► sockets (answer "not ready") ─► recovery ─► cluster known ─► pools ─► spool ─► ready
import { isDomainError } from '../shared/model/errors.ts';
import { parseIdentity } from './attach/attach-config.ts';
import { detach } from './attach/detach.ts';
import { recover } from './attach/recover.ts';
import { CniService, type Readiness, type Refusal } from './attach/service.ts';
import type { ClusterChange } from './cluster/cluster-view.ts';
import { addGauges, createServiceMetrics } from './daemon-metrics.ts';
import type { HostNetEvent } from './hostnet/host-net.ts';
import { type AppSources, createSocketApp, createTcpApp } from './http/apps.ts';
import { type Listener, serveSocket, serveTcp } from './http/serve.ts';
import { writeGuard } from './http/write-guard.ts';
import { createJobs } from './jobs.ts';
import { Journal } from './journal/journal.ts';
import { Metrics } from './metrics.ts';
import { createParts, type DaemonOptions, type Parts } from './parts.ts';
import { toRefusalEvent } from './publish/refusal-event.ts';
import type { RouteReport } from './routes/route-keeper.ts';
import { Spool } from './spool/spool.ts';
import { jobForKernelEvent, jobsForClusterChange, Upkeep } from './upkeep.ts';

/**
 * Ids of a new journal start here and grow with time, so that a lost file's ids do not come back.
 */
const FIRST_ID_EPOCH_MS = Date.UTC(2025, 0, 1);
const RETRY_MS = 1_000;
const WAITING = 'waiting for the API server';
/** From a new plan of a pool to its publishing; changes by pods wait longer, see upkeep.ts. */
const POOL_DELAY_MS = 1_000;

/** For the last pools that are published, if the API server answers. */
const LAST_WRITES_MS = 2_000;

/** One running daemon. */
export class Daemon {
  readonly #parts: Parts;
  readonly #service: CniService;
  readonly #spool: Spool;
  readonly #upkeep: Upkeep;
  readonly #metrics = new Metrics();
  readonly #stop: AbortController;
  readonly #listeners: Listener[] = [];
  readonly #ended: Promise<unknown>[] = [];
  readonly #ready = Promise.withResolvers<void>();
  #readiness: Readiness = { isRecovered: false, isReady: false, reason: 'starting' };

  private constructor(options: DaemonOptions, journal: Journal) {
    this.#stop = new AbortController();
    this.#ready.promise.catch(() => undefined); // whoever waits for it sees the reason
    const { signal } = this.#stop;
    const { log, settings, clock } = options;
    this.#parts = createParts({
      options,
      journal,
      signal,
      events: {
        onPoolsChanged: (names) => this.#upkeep.poolsChanged(names),
        onClusterChange: (what, key) => this.#onClusterChange(what, key),
      },
    });
    const ports = this.#parts.attachPorts;
    this.#spool = new Spool({
      directory: settings.spoolDirectory,
      ownerUid: process.getuid?.() ?? 0,
      log,
      release: async (request, { spooledAtMs: askedAtMs }) => {
        await detach(ports, parseIdentity(request), { askedAtMs });
        options.faults.reach('spool-released');
      },
    });
    const jobs = createJobs(this.#parts, this.#spool, {
      publishPools: () => this.#publishPools(),
      onInventoryChanged: () => {
        this.#parts.peers.allChanged();
        this.#requestAll();
      },
      onRoutesCompared: () => this.#upkeep.request('report'),
    });
    const poolDelayMs = Math.min(POOL_DELAY_MS, settings.publishIntervalMs);
    this.#upkeep = new Upkeep({ jobs, clock, log, poolDelayMs });
    this.#service = new CniService({
      ports,
      readiness: () => this.#explainReadiness(),
      metrics: createServiceMetrics(this.#metrics),
      onRefused: (refusal) => this.#onRefused(refusal),
    });
    addGauges(this.#metrics, {
      ...this.#parts,
      spool: this.#spool,
      isReady: () => this.#readiness.isReady,
    });
  }

  /**
   * Opens the journal, listens, and begins to become ready. DomainError 'journal-corrupt',
   * 'conflict', 'io-failed'.
   */
  static async start(options: DaemonOptions): Promise<Daemon> {
    const { settings, clock, openLog } = options;
    const journal = Journal.open({
      ...(openLog === undefined ? {} : { openLog }),
      directory: settings.stateDirectory,
      node: settings.node,
      bootId: options.bootId,
      firstId: 1 + Math.max(0, Math.floor((clock.now() - FIRST_ID_EPOCH_MS) / 1_000)),
    });
    const daemon = Daemon.#create(options, journal);
    try {
      await daemon.#listen();
    } catch (error) {
      await daemon.stop();
      throw error;
    }
    daemon.#ended.push(daemon.#becomeReady());
    return daemon;
  }

  /** Rows that are found damaged here are refused as those found while opening. */
  static #create(options: DaemonOptions, journal: Journal): Daemon {
    try {
      return new Daemon(options, journal);
    } catch (error) {
      journal[Symbol.dispose]();
      throw error;
    }
  }

  /** Resolves when ADD can be served; rejects if the daemon is stopped before. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  /** Resolves with the reason when this process cannot go on; it should be stopped then. */
  get failed(): Promise<Error> {
    return this.#parts.journal.failed;
  }

  /** Where the daemon listens: the socket, then TCP. */
  get addresses(): string[] {
    return this.#listeners.map((listener) => listener.address);
  }

  /** For tests: the parts, to look at. */
  get parts(): Parts {
    return this.#parts;
  }

  /** Resolves when nothing is left to do at once. */
  idle(): Promise<void> {
    return this.#upkeep.idle();
  }

  /** Looks for attachments without a pod now rather than at the next round. */
  async collect(): Promise<void> {
    this.#upkeep.request('collect');
    await this.#upkeep.idle();
  }

  /** Stops taking requests, finishes those under way, and closes the journal. */
  async stop(): Promise<void> {
    const { isReady } = this.#readiness;
    this.#readiness = { isRecovered: false, isReady: false, reason: 'stopping' };
    const { lock } = this.#parts;
    await Promise.all(this.#listeners.map((listener) => listener.stop(lock.idle())));
    await lock.idle();
    if (isReady) await this.#publishLast();
    this.#stop.abort(new Error('the daemon stops'));
    await Promise.allSettled(this.#ended);
    this.#parts.journal[Symbol.dispose]();
  }

  /** What changed last: it may take long until a daemon runs here again. */
  async #publishLast(): Promise<void> {
    const { clock } = this.#parts.options;
    const given = new AbortController();
    this.#upkeep.publishWaiting();
    await Promise.race([this.#upkeep.idle(), clock.sleep(LAST_WRITES_MS, given.signal)]);
    given.abort();
  }

  async #listen(): Promise<void> {
    const { options } = this.#parts;
    const { settings, log, client, clock } = options;
    const readiness = (): Readiness => this.#explainReadiness();
    const sources: AppSources = {
      views: {
        ...this.#parts,
        node: settings.node,
        readiness,
        metrics: this.#metrics,
        service: this.#service,
      },
      compat: {
        node: settings.node,
        ports: this.#parts.attachPorts,
        readiness,
        inventory: this.#parts.inventory,
        syncRoutes: () => this.#syncRoutes(),
        actualRoutes: () => this.#parts.routes.actual(),
        podUid: (pod) => this.#parts.view.podUid(pod),
      },
      log,
      guard: writeGuard({
        client,
        clock,
        operatorNamespace: settings.operatorNamespace,
        isOpen: settings.areWritesOpen,
      }),
    };
    this.#listeners.push(await serveSocket(settings.socketPath, createSocketApp(sources)));
    this.#listeners.push(serveTcp(settings, createTcpApp(sources)));
    log.info('listening', { addresses: this.addresses });
  }

  /** Undefined while there was no round that knew the cluster. */
  async #syncRoutes(): Promise<RouteReport | undefined> {
    const { routes } = this.#parts;
    const report = await routes.reconcile(this.#stop.signal);
    return routes.isDone ? report : undefined;
  }

  async #becomeReady(): Promise<void> {
    const { hostNet, log, clock } = this.#parts.options;
    const { signal } = this.#stop;
    const startMs = clock.monotonic();
    try {
      await this.#recover();
      this.#ended.push(hostNet.watch((event) => this.#onKernelEvent(event), signal));
      await this.#waitForCluster();
      await this.#repeat('pools cannot be planned', () => this.#parts.keeper.replan(signal));
      await this.#repeat('spool cannot be read', () => {
        this.#spool.prepare();
        return this.#spool.workOff();
      });
      this.#readiness = { isRecovered: true, isReady: true, reason: '' };
      log.info('ready', {
        afterMs: Math.round(clock.monotonic() - startMs),
        isLive: this.#parts.view.isLive,
      });
      this.#ready.resolve();
      this.#startUpkeep();
    } catch (error) {
      this.#ready.reject(error);
      if (!signal.aborted) throw error;
    }
  }

  async #recover(): Promise<void> {
    const { attachPorts, options } = this.#parts;
    this.#setReason('finishing what an earlier process left');
    const { released, errors } = await recover(attachPorts);
    options.log.info('recovered', { released, failed: errors.length });
    for (const error of errors) options.log.error('attachment not released', { error });
    this.#readiness = { isRecovered: true, isReady: false, reason: '' };
  }

  /** The API server's word if it comes soon, else the saved plan, else for as long as it takes. */
  async #waitForCluster(): Promise<void> {
    const { view, options } = this.#parts;
    this.#setReason(WAITING);
    const synced = view.synced().then(() => this.#onSynced());
    if (!view.isKnown) {
      await synced;
      return;
    }
    this.#ended.push(synced.catch(() => undefined)); // rejects at the end of the process only
    const { signal } = this.#stop;
    await Promise.race([synced, options.clock.sleep(options.settings.syncWaitMs, signal)]);
    if (!view.isLive) options.log.info('API server not heard, using the saved plan');
  }

  /** The first complete picture: everything may be different from what was saved. */
  #onSynced(): void {
    this.#parts.inventory.invalidate();
    this.#parts.peers.allChanged();
    if (this.#readiness.isReady) this.#requestAll();
  }

  #startUpkeep(): void {
    this.#ended.push(this.#upkeep.run(this.#stop.signal));
    this.#requestAll();
    for (const job of ['inventory', 'quarantine', 'spool', 'recover', 'collect'] as const) {
      this.#upkeep.request(job);
    }
  }

  #requestAll(): void {
    for (const job of ['plan', 'routes', 'host'] as const) this.#upkeep.request(job);
  }

  /** Every pool of ours, and every object and every record that is left of one. */
  #publishPools(): void {
    const { pools, view, keeper } = this.#parts;
    const names = pools.records().map(({ plan }) => plan.name);
    const left = [...view.publishedPools().keys(), ...keeper.names()];
    this.#upkeep.requestPools(new Set([...names, ...left]));
  }

  /** Says on the pod why it does not start. */
  #onRefused(refusal: Refusal): void {
    const { podNamespace: namespace, podName: name, podUid } = refusal.identity;
    const uid = podUid || (this.#parts.view.podUid({ namespace, name }) ?? '');
    const event = toRefusalEvent(refusal, uid);
    if (event !== undefined) this.#parts.events.record(event);
  }

  #onKernelEvent(event: HostNetEvent): void {
    this.#upkeep.request(jobForKernelEvent(event));
  }

  #onClusterChange(what: ClusterChange, key: string): void {
    const { node } = this.#parts.options.settings;
    if (what === 'host' && key === node) this.#parts.inventory.invalidate();
    if (what === 'network' || (what === 'host' && key === node)) this.#parts.peers.allChanged();
    else if (what === 'host') this.#parts.peers.hostChanged(key);
    // It may be on its way out: whether pods hold addresses of it is read from the pools.
    if (what === 'network') this.#upkeep.publishWaiting();
    if (what === 'pool') this.#upkeep.poolsChanged([key]); // our own write, or an edit to undo
    if (what === 'pool' && !this.#parts.keeper.isComplete(key)) this.#upkeep.request('plan');
    for (const job of jobsForClusterChange(what)) this.#upkeep.request(job);
  }

  /** A step of the start that cannot be left out. */
  async #repeat(problem: string, step: () => Promise<unknown>): Promise<void> {
    const { clock, log } = this.#parts.options;
    for (;;) {
      try {
        await step();
        return;
      } catch (error) {
        const text = isDomainError(error) ? error.message : String(error);
        this.#setReason(`${problem}: ${text}`);
        log.error(problem, { error });
        await clock.sleep(RETRY_MS, this.#stop.signal);
      }
    }
  }

  /** While it waits, which lists it waits for: one that is refused keeps it waiting for ever. */
  #explainReadiness(): Readiness {
    const { view } = this.#parts;
    if (this.#readiness.reason !== WAITING || view.isLive) return this.#readiness;
    return { ...this.#readiness, reason: `${WAITING} to list ${view.unlisted.join(', ')}` };
  }

  #setReason(reason: string): void {
    this.#readiness = { ...this.#readiness, reason };
  }
}
