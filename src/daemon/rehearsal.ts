// Runs the code of ADD and DEL many times before the first pod waits for it. JavaScript that ran a
// few times is interpreted, which makes up a third of an ADD; only code that ran some hundred times
// is compiled, and a node seldom starts so many pods. Journal, pools and network are made up and in
// memory, and no link is made (see hostnet/rehearsal-netns.ts).
import type { Core } from '../../core-wasm/index.ts';
import { CNI_REQUEST_PATH } from '../shared/model/daemon-api.ts';
import { cidrOf } from '../shared/model/ip/cidr.ts';
import { parseNetworkDefinition } from '../shared/model/plan/network-definition.ts';
import type { Clock } from '../shared/platform/clock.ts';
import { createLogger } from '../shared/platform/log.ts';
import { noFaults } from './attach/fault-points.ts';
import { KeyLock } from './attach/key-lock.ts';
import { MasterUse } from './attach/master-use.ts';
import type { AttachPorts, KnownNetwork } from './attach/ports.ts';
import { CniService } from './attach/service.ts';
import { createServiceMetrics } from './daemon-metrics.ts';
import type { HostNet } from './hostnet/host-net.ts';
import { createCniApp } from './http/apps.ts';
import type { PoolPlan } from './ipam/pool-plan.ts';
import { PoolSet } from './ipam/pool-set.ts';
import { Journal } from './journal/journal.ts';
import { Metrics } from './metrics.ts';

/** Most of what is to be had; twice as many take another 0.03 ms off and 20 MB more for a while. */
const ROUNDS = 200;
const NETWORK = 'rehearsal';
/** The link that stands for every NIC. */
const NIC = 'lo';
const NET_ADDRESS = '192.0.2.0/24';

/** What a rehearsal uses of the daemon: nothing that it could change. */
export interface RehearsalPorts {
  readonly core: Core;
  readonly hostNet: Pick<HostNet, 'openRehearsal'>;
  readonly clock: Clock;
}

/**
 * Rehearses, a few tenths of a millisecond between two turns of the event loop; resolves with the
 * number of ADDs. Throws if one of them fails, which is a bug.
 */
export async function rehearse(o: RehearsalPorts, signal: AbortSignal): Promise<number> {
  const openNetns = o.hostNet.openRehearsal?.bind(o.hostNet);
  if (openNetns === undefined) return 0;
  using journal = Journal.inMemory();
  journal.commitAtOnceWhen(() => true);
  const pools = new PoolSet({ core: o.core, holdings: journal });
  pools.apply([{ plan: poolPlan(), reason: undefined }]);
  const app = createCniApp(createService(o, { journal, pools, openNetns }));
  let rounds = 0;
  try {
    for (; rounds < ROUNDS && !signal.aborted; rounds += 1) {
      for (const command of ['ADD', 'DEL']) {
        const response = await app.request(CNI_REQUEST_PATH, requestOf(command, rounds));
        if (!response.ok) throw new Error(`the rehearsal failed: ${await response.text()}`);
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
  } finally {
    for (const { pool } of pools.records()) pool[Symbol.dispose]();
  }
  return rounds;
}

function createService(
  { clock }: RehearsalPorts,
  o: { journal: Journal; pools: PoolSet; openNetns: AttachPorts['hostNet']['openNetns'] },
): CniService {
  const { journal, pools, openNetns } = o;
  const limits = { running: 1, waiting: 0, waitMsMax: 0 };
  const lock = new KeyLock({ limits, now: () => clock.monotonic() });
  const network = knownNetwork();
  const nic = { interfaceName: NIC, netAddress: NET_ADDRESS, hostIp: '', index: 1, isUp: true };
  const inventory = {
    nics: [{ ...nic, vendor: '', product: '', pciAddress: '', mtu: 65_536 }],
    skipped: [],
  };
  const masters = new MasterUse(journal);
  journal.tellOfInserts((row) => masters.add(row));
  return new CniService({
    ports: {
      journal,
      pools,
      masters,
      hostNet: { openNetns },
      cluster: {
        isKnown: true,
        network: () => network,
        deviceClass: () => undefined,
        podState: async () => 'unknown',
      },
      inventory: () => inventory,
      clock,
      log: createLogger({ component: NETWORK, write: () => undefined }),
      faults: noFaults,
      exclusive: (containerId, work) => lock.run(containerId, work),
      bootId: '',
      quarantineMs: 0,
      onPoolsChanged: () => undefined,
    },
    readiness: () => ({ isRecovered: true, isReady: true, reason: '' }),
    metrics: createServiceMetrics(new Metrics()),
    onRefused: () => undefined,
  });
}

function knownNetwork(): KnownNetwork {
  const ipam = { type: 'multi-nic-ipam', hostBlock: 0, interfaceBlock: 0 };
  const parsed = parseNetworkDefinition({
    metadata: { name: NETWORK, uid: NETWORK },
    spec: {
      subnet: NET_ADDRESS,
      ipam: JSON.stringify(ipam),
      multiNICIPAM: true,
      plugin: { cniVersion: '0.3.0', type: 'macvlan', args: { mode: 'bridge' } },
    },
  });
  return {
    name: NETWORK,
    definition: parsed.ok ? parsed.network : undefined,
    issues: parsed.ok ? [] : parsed.issues,
    plannedNets: new Set([NET_ADDRESS]),
    skipped: new Map(),
  };
}

/** 192.0.2.0/24 (RFC 5737, TEST-NET-1). */
function poolPlan(): PoolPlan {
  const block = cidrOf({ family: 4, value: 0xc000_0200n }, 24);
  return {
    name: NETWORK,
    network: NETWORK,
    hostName: '',
    interfaceName: NIC,
    netAddress: NET_ADDRESS,
    family: 4,
    vlanCidr: block,
    podCidr: block,
    excludes: [],
  };
}

function requestOf(command: string, round: number): RequestInit {
  const containerId = `rehearsal-${round}`;
  const body = {
    requestId: 'rehearsal',
    command,
    containerId,
    netns: `/nowhere/${containerId}`,
    ifName: 'net1',
    args: `IgnoreUnknown=1;K8S_POD_NAMESPACE=none;K8S_POD_NAME=${containerId};K8S_POD_UID=none`,
    path: '/nowhere',
    config: {
      cniVersion: '0.3.0',
      name: NETWORK,
      type: 'multi-nic',
      plugin: { type: 'macvlan', mode: 'bridge' },
      ipam: { type: 'multi-nic-ipam' },
      multiNICIPAM: true,
      args: { cni: { nics: 1 } },
    },
  };
  return {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  };
}
