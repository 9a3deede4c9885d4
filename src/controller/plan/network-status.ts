// The status of a network: the original's six members with their meaning (spec api 1.2, 3.3) and
// conditions that say why. Written only when something but the time differs.
import type { Condition } from '../../shared/model/objects/meta.ts';
import type {
  InterfaceIndex,
  MultiNicNetworkStatus,
} from '../../shared/model/objects/multi-nic-network.ts';
import type { Division } from '../../shared/model/plan/division.ts';
import { type Finding, mergeConditions, shorten } from './conditions.ts';
import { sortKeys } from './go-json.ts';
import type { RouteFinding } from './routes.ts';

/** Types of the conditions that the controller writes on networks. */
export const NETWORK_CONDITIONS = [
  'Ready',
  'Accepted',
  'Served',
  'IndicesAllocated',
  'NadsReady',
  'CidrWritten',
  'RoutesReady',
  'DaemonsReady',
  'Drained',
] as const;
export type NetworkConditionType = (typeof NETWORK_CONDITIONS)[number];

export interface NetworkFinding extends Finding {
  readonly type: NetworkConditionType;
}

export interface StatusInput {
  readonly previous: MultiNicNetworkStatus | undefined;
  readonly generation: number;
  /** RFC 3339. */
  readonly nowText: string;
  /** Without `Ready`, which follows from them. */
  readonly findings: readonly NetworkFinding[];
  readonly routes: RouteFinding;
  readonly computeResults: readonly { readonly netAddress: string; readonly numOfHosts: number }[];
  /** Ready daemons of the network's hosts, as `ready/hosts`; undefined leaves it as it is. */
  readonly daemons: string | undefined;
  readonly discovery: {
    readonly existDaemon: number;
    readonly infoAvailable: number;
    readonly cidrProcessed: number;
  };
  /** Undefined leaves what is published as it is. */
  readonly given: GivenIndices | undefined;
}

/** What daemons compute their blocks from. */
export interface GivenIndices {
  readonly interfaceIndices: readonly InterfaceIndex[];
  /** What they were given for; undefined in a ledger that was written before anything was given. */
  readonly division: Division | undefined;
}

/** Reasons that stand for waiting, not for failing. */
const WAITING: ReadonlySet<string> = new Set([
  'WaitingForHosts',
  'WaitingForNadKind',
  'WaitingForDaemons',
  'Assigning',
  'Deleting',
]);
/** Whether a condition that is False with this reason refuses nothing. */
export function isWaiting(reason: string): boolean {
  return WAITING.has(reason);
}

/** Without these a network is not set up. */
const DECISIVE: readonly NetworkConditionType[] = ['Accepted', 'IndicesAllocated', 'NadsReady'];
/** Without these it is set up, and no pod starts with it all the same. The others inform. */
const IN_USE: readonly NetworkConditionType[] = ['Served', 'DaemonsReady'];

/** The status to write, or undefined when the stored one says the same. */
export function planNetworkStatus(input: StatusInput): MultiNicNetworkStatus | undefined {
  const { previous } = input;
  const lacking = (types: readonly NetworkConditionType[]): NetworkFinding[] =>
    input.findings.filter(({ type, status }) => types.includes(type) && status !== 'True');
  const failures = lacking(DECISIVE);
  const hindrances = [...failures, ...lacking(IN_USE)];
  const conditions = mergeConditions(
    previous?.conditions ?? [],
    [toReady(hindrances), ...input.findings],
    { nowText: input.nowText, generation: input.generation, own: NETWORK_CONDITIONS },
  );
  const areWaiting = failures.every(({ reason }) => isWaiting(reason));
  const next = {
    ...previous,
    computeResults: [...input.computeResults],
    discovery: input.discovery,
    ...(input.daemons === undefined ? {} : { daemons: input.daemons }),
    configStatus: toConfigStatus(failures.length, areWaiting),
    routeStatus: input.routes.status,
    message: toMessage(hindrances, input.routes),
    observedGeneration: input.generation,
    ...(input.given === undefined ? {} : toIndices(input.given)),
    conditions,
  };
  if (previous?.lastSyncTime !== undefined && isSame(previous, next)) return undefined;
  return { ...next, lastSyncTime: input.nowText };
}

/** The members of the status that daemons compute their blocks from. */
export function toIndices({
  interfaceIndices,
  division,
}: GivenIndices): Pick<MultiNicNetworkStatus, 'interfaceIndices' | 'division'> {
  const indices = { interfaceIndices: [...interfaceIndices] };
  if (division === undefined) return indices;
  const { subnet, interfaceBits, hostBits } = division;
  return { ...indices, division: { subnet, interfaceBlock: interfaceBits, hostBlock: hostBits } };
}

function toConfigStatus(failureCount: number, areWaiting: boolean): string {
  if (failureCount === 0) return 'Success'; // also for N/A routes (W-50) and ones not reported yet
  return areWaiting ? 'WaitForConfig' : 'Failed';
}

/** Empty when all is well: old messages do not stay (W-51). */
function toMessage(failures: readonly NetworkFinding[], routes: RouteFinding): string {
  const messages = failures.map(({ message }) => message);
  return shorten([...messages, routes.message].filter((message) => message !== '').join('; '));
}

function toReady(failures: readonly NetworkFinding[]): NetworkFinding {
  const [first] = failures;
  if (first === undefined) {
    const message = 'pods can be attached to this network';
    return { type: 'Ready', status: 'True', reason: 'Ready', message };
  }
  const message = failures.map((finding) => finding.message).join('; ');
  return { type: 'Ready', status: 'False', reason: first.reason, message };
}

function isSame(a: MultiNicNetworkStatus, b: MultiNicNetworkStatus): boolean {
  return canonical(a) === canonical(b);
}

/** The order of results and conditions has no meaning, and the time of writing is no content. */
function canonical(status: MultiNicNetworkStatus): string {
  const { lastSyncTime: _lastSyncTime, ...content } = status;
  const byType = new Map((status.conditions ?? []).map((item: Condition) => [item.type, item]));
  const byNet = new Map((status.computeResults ?? []).map((item) => [item.netAddress, item]));
  return JSON.stringify(
    sortKeys({
      ...content,
      conditions: Object.fromEntries(byType),
      computeResults: Object.fromEntries(byNet),
    }),
  );
}
