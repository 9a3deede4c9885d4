// Giving host indices to hosts that have none: hosts by name, in each net address above the
// greatest index in use and then in the gaps, never in an excluded block (spec api 2.8).
import { type Cidr, parseCidr } from '../../shared/model/ip/cidr.ts';
import type { IndexHost } from './host-claims.ts';
import {
  createAfterHighest,
  createIndexCheck,
  type IndexCheck,
  type IndexCore,
  indexLast,
} from './index-core.ts';
import type { IndexInput, IndexNetwork, NetWork } from './index-input.ts';
import type { LedgerNet } from './ledger.ts';
import type { Problem } from './problem.ts';

/** Fills `given` and the bits of `works`. `masterNets` are the net addresses that take part. */
export function assignHosts(
  core: IndexCore,
  input: IndexInput,
  o: { works: readonly NetWork[]; masterNets: readonly string[] },
): { problems: readonly Problem[]; hasMore: boolean } {
  const wanted = new Set(o.masterNets);
  const taking = o.works.filter(({ net }) => wanted.has(net.netAddress));
  const byNet = new Map(
    taking.map((work) => [work.net.netAddress, createAssigner(core, input, work)]),
  );
  let hostCount = 0;
  let hasMore = false;
  for (const host of input.mode === 'full' ? input.hosts : []) {
    const needs = neededBy(host, byNet);
    if (needs.length === 0) continue;
    hasMore = hostCount >= input.assignHostsMax;
    if (hasMore) break;
    const results = needs.map((assigner) => assigner.assign(host.name));
    if (results.includes(true)) hostCount++;
  }
  return { problems: [...byNet.values()].flatMap((assigner) => assigner.problems()), hasMore };
}

/** Called for every host of the cluster, so it makes nothing for the many that need nothing. */
function neededBy(host: IndexHost, byNet: ReadonlyMap<string, Assigner>): readonly Assigner[] {
  let needs: Assigner[] | undefined;
  for (const netAddress of host.netAddresses) {
    const assigner = byNet.get(netAddress);
    if (assigner?.isNeededBy(host) !== true) continue;
    needs ??= [];
    needs.push(assigner);
  }
  return needs ?? NOTHING;
}

const NOTHING: readonly Assigner[] = [];

interface Assigner {
  isNeededBy(host: IndexHost): boolean;
  /** False when there is no index for the host. */
  assign(hostName: string): boolean;
  problems(): Problem[];
}

function createAssigner(core: IndexCore, input: IndexInput, work: NetWork): Assigner {
  const { hostBits, excludes } = input.network;
  const { netAddress } = work.net;
  const parents = vlanCidrs(core, input.network, work.net);
  const check = createIndexCheck(core, { parents, bits: hostBits, excludes });
  const take = createAfterHighest(work.net.hosts, indexLast(hostBits), check.isUsable);
  const isNeededBy = (host: IndexHost): boolean =>
    !host.published.has(netAddress) && !work.given.has(host.name) && !work.blocked.has(host.name);
  // With hostBlock 0 there is one block for all: several hosts that want it get none of it (W-12).
  const isContested =
    hostBits === 0 &&
    input.hosts.filter((host) => host.netAddresses.includes(netAddress) && isNeededBy(host))
      .length > 1;
  const without: string[] = [];
  return {
    isNeededBy,
    assign(hostName) {
      if (work.given.has(hostName)) return true; // two NICs in one net address are one claim (W-11)
      const index = isContested ? undefined : take();
      if (index === undefined) without.push(hostName);
      else work.given.set(hostName, index);
      return index !== undefined;
    },
    problems: () => [
      ...(without.length > 0 ? [refusal(input.network, { netAddress, without, check })] : []),
      ...(check.hasExcludes ? excludedOwners(input, work, check.isUsable) : []),
    ],
  };
}

/** Why hosts got no index. */
function refusal(
  network: IndexNetwork,
  o: { netAddress: string; without: readonly string[]; check: { readonly fits: boolean } },
): Problem {
  const { netAddress, without: hosts } = o;
  if (!o.check.fits) return { kind: 'net-too-small', netAddress, hostBits: network.hostBits };
  if (network.hostBits === 0) return { kind: 'host-block-zero', netAddress, hosts };
  return { kind: 'host-indices-exhausted', netAddress, hosts };
}

/** Hosts that keep a block which the excludes cover by now (scenario G, decided by design D5). */
function excludedOwners(input: IndexInput, work: NetWork, isUsable: IndexCheck): Problem[] {
  const { netAddress } = work.net;
  const last = indexLast(input.network.hostBits);
  const hosts = input.hosts
    .filter((host) => {
      const index = host.published.get(netAddress) ?? work.given.get(host.name);
      return index !== undefined && index <= last && !isUsable(index);
    })
    .map((host) => host.name);
  return hosts.length === 0 ? [] : [{ kind: 'block-excluded', netAddress, hosts }];
}

/** The blocks that the hosts of a net address share, one per address family. */
function vlanCidrs(core: IndexCore, network: IndexNetwork, net: LedgerNet): readonly Cidr[] {
  if (network.subnets.length === 0) {
    const own = parseCidr(net.netAddress);
    return own === undefined ? [] : [own];
  }
  return network.subnets.flatMap((subnet) => {
    const division = core.subnetAt(subnet, net.interfaceIndex, network.interfaceBits);
    return division.ok ? [division.cidr] : [];
  });
}
