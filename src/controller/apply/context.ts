// What the effects work with, and what the leader remembers of a network between two runs. All of
// it lives as long as one term of leadership.
import type { Core } from '../../../core-wasm/index.ts';
import type { Clock } from '../../shared/platform/clock.ts';
import type { KubeClient } from '../../shared/platform/kube/client.ts';
import type { EventRecorder } from '../../shared/platform/kube/event-recorder.ts';
import type { Logger } from '../../shared/platform/log.ts';
import type { Metrics } from '../metrics.ts';
import type { ConfigDefaults } from '../plan/daemon-config.ts';
import type { Since } from '../watch/since.ts';
import type { World } from '../watch/world.ts';
import type { NetworkMemory } from './network-memory.ts';
import type { Turns } from './turns.ts';

export interface ControllerContext {
  readonly client: KubeClient;
  readonly core: Core;
  readonly world: World;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly events: EventRecorder;
  /** Where ledgers and the DaemonSet are. */
  readonly namespace: string;
  readonly leaseDurationMs: number;
  readonly defaults: ConfigDefaults;
  /** Daemons publish what they give out within this time. */
  readonly settleMs: number;
  /** A daemon that is ready and publishes nothing of a network for so long holds nothing of it. */
  readonly silenceMs: number;
  /** That this is so of networks that end. */
  readonly silences: Since;
  /** A Node must be away for so long until its host counts as gone. */
  readonly graceMs: number;
  /** None of a network's daemons must be ready for so long until that is held against it. */
  readonly daemonGraceMs: number;
  /** That no host of a network has a ready daemon. */
  readonly daemonless: Since;
  /** That the indices of a network that ends are withdrawn. */
  readonly withdrawals: Since;
  /** Of writes to HostInterfaces, by host name. */
  readonly hostTurns: Turns;
  /** Of writes to ledgers, all under one key. */
  readonly ledgerTurns: Turns;
  /** By network name. */
  readonly memories: Map<string, NetworkMemory>;
}
