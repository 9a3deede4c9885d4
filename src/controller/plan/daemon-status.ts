// Whether daemons are ready where a network has NICs: without one no pod starts there with it. A
// restart of daemons changes a number, not the verdict; that there is none for long changes both.
import type { NetworkFinding } from './network-status.ts';
import { listNames } from './problem.ts';

export interface DaemonInput {
  /** Hosts with a NIC of the network. */
  readonly hosts: readonly string[];
  /** Nodes with a ready daemon; undefined while that is not known. */
  readonly ready: ReadonlySet<string> | undefined;
  /** What was said before. */
  readonly previous: NetworkFinding | undefined;
  /** For how long none of the hosts has had one. */
  readonly withoutMs: number;
  /** A rollout or a restart takes so long. */
  readonly graceMs: number;
}

export interface DaemonFinding {
  readonly finding: NetworkFinding;
  /** `ready/hosts` for `kubectl get`; undefined while it is not known. */
  readonly count: string | undefined;
  /** None of the hosts has one, or where there are no hosts yet, no node has. */
  readonly isWithout: boolean;
}

const type = 'DaemonsReady';
const NO_DAEMON = 'NoDaemon';

export function planDaemonFinding(o: DaemonInput): DaemonFinding {
  const { hosts, ready } = o;
  if (ready === undefined) return toUnknown(o.previous);
  const missing = hosts.filter((name) => !ready.has(name));
  const readyCount = hosts.length - missing.length;
  const isWithout = hosts.length === 0 ? ready.size === 0 : readyCount === 0;
  const count = `${readyCount}/${hosts.length}`;
  return { finding: isWithout ? judge(o) : toCovered(o, missing), count, isWithout };
}

/** None is ready: for a moment that is a restart, before the first one it is an installation. */
function judge({ hosts, previous, withoutMs, graceMs }: DaemonInput): NetworkFinding {
  const where = hosts.length === 0 ? 'in this cluster' : `on ${listNames(hosts)}`;
  const message = `no daemon is ready ${where}, so no pod can start with this network`;
  if (previous?.status === 'True' && withoutMs < graceMs) {
    return { type, status: 'True', reason: 'Restarting', message };
  }
  const isNew = previous?.status !== 'True' && previous?.reason !== NO_DAEMON;
  return { type, status: 'False', reason: isNew ? 'WaitingForDaemons' : NO_DAEMON, message };
}

function toCovered({ hosts }: DaemonInput, missing: readonly string[]): NetworkFinding {
  if (missing.length === 0) {
    const message = `a daemon is ready on each of ${hosts.length} hosts`;
    return { type, status: 'True', reason: 'AllReady', message };
  }
  const message = `no daemon is ready on ${listNames(missing)}: pods cannot start there with it`;
  return { type, status: 'True', reason: 'SomeMissing', message };
}

function toUnknown(previous: NetworkFinding | undefined): DaemonFinding {
  const message = 'the pods of the daemon are not listed yet';
  const finding = previous ?? { type, status: 'Unknown', reason: 'NotListed', message };
  return { finding, count: undefined, isWithout: false };
}
