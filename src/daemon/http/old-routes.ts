// The original's paths for the routes of a network, `/addl3` and `/deletel3`. Routes follow the
// networks by themselves here: the paths compare, correct, and say honestly how things are.
import * as v from 'valibot';
import { DomainError } from '../../shared/model/errors.ts';
import { type Cidr, canonicalCidr, overlapsCidr, parseCidr } from '../../shared/model/ip/cidr.ts';
import { findNetwork } from '../attach/plan-attachment.ts';
import type { AttachPorts, KnownNetwork } from '../attach/ports.ts';
import type { HostRoute } from '../hostnet/host-net.ts';
import type { RouteReport } from '../routes/route-keeper.ts';
import { Name } from './body.ts';

/** What these paths reach. */
export interface L3Sources {
  readonly ports: Pick<AttachPorts, 'cluster'>;
  /** Compares and corrects the routes now; undefined while the cluster is not known. */
  readonly syncRoutes: () => Promise<RouteReport | undefined>;
  /** Our routes as the kernel has them. */
  readonly actualRoutes: () => readonly HostRoute[];
}

const AskedRoute = v.looseObject({
  net: v.pipe(v.string(), v.maxLength(64)),
  via: v.pipe(v.string(), v.maxLength(64)),
});
const ROUTES_MAX = 65_536;

export const L3Request = v.looseObject({
  name: Name,
  routes: v.nullish(v.pipe(v.array(AskedRoute), v.maxLength(ROUTES_MAX))),
});
export type L3Request = v.InferOutput<typeof L3Request>;

/** How both paths answer, whatever the outcome. */
interface OldReport {
  readonly success: boolean;
  readonly msg: string;
}

/** Success: every route that the network needs, and every one that was asked for, is there. */
export async function addL3(s: L3Sources, { name, routes }: L3Request): Promise<OldReport> {
  const known = findKnown(s, name);
  if (known === undefined) return refuse(`AddRoutesError ${noNetwork(name)};`);
  const { definition, issues } = known;
  if (definition === undefined) {
    return refuse(`AddRoutesError network ${name}: ${issues.join('; ')};`);
  }
  const report = await sync(s);
  const failures = [
    ...report.missing
      .filter((route) => route.network === name)
      .map(({ destination, via, reason }) => `${destination} via ${via}: ${reason}`),
    ...report.unreachable
      .filter((peer) => peer.network === name)
      .map(({ hostName, netAddress, reason }) => `host ${hostName} in ${netAddress}: ${reason}`),
    ...report.contested
      .filter((destination) => isIn(definition.subnets, destination))
      .map((destination) => `${destination}: two hosts claim it`),
    ...findAbsent(s, routes ?? []),
  ];
  return {
    success: failures.length === 0,
    msg: failures.map((failure) => `AddRouteError ${failure};`).join(''),
  };
}

/** Success: the network has no routes. Those of a network that has some are not ours to remove. */
export async function deleteL3(s: L3Sources, { name }: L3Request): Promise<OldReport> {
  const known = findKnown(s, name);
  if (known === undefined) return refuse(`Failed to get tableID: ${noNetwork(name)}`);
  await sync(s);
  if (known.definition?.routed !== true) return { success: true, msg: '' };
  return refuse(`routes follow network ${name} for as long as it is there; none was removed`);
}

/** In host-subnet mode a network has no subnets of its own: then it may be any. */
function isIn(subnets: readonly Cidr[], destination: string): boolean {
  const block = parseCidr(destination);
  if (subnets.length === 0 || block === undefined) return true;
  return subnets.some((subnet) => overlapsCidr(subnet, block));
}

const refuse = (msg: string): OldReport => ({ success: false, msg });
const noNetwork = (name: string): string => `there is no MultiNicNetwork ${name}`;

/** Undefined only if there is no such network for certain. DomainError 'not-ready'. */
function findKnown({ ports }: L3Sources, name: string): KnownNetwork | undefined {
  if (ports.cluster.isKnown && ports.cluster.network(name) === undefined) return undefined;
  return findNetwork(ports, name);
}

async function sync({ syncRoutes }: L3Sources): Promise<RouteReport> {
  const report = await syncRoutes();
  if (report !== undefined) return report;
  throw new DomainError('not-ready', 'routes wait for the API server; none was compared');
}

/** What was asked for and is not in the kernel, by any name for it. */
function findAbsent(s: L3Sources, asked: readonly v.InferOutput<typeof AskedRoute>[]): string[] {
  if (asked.length === 0) return [];
  const actual = new Set(s.actualRoutes().map(({ destination, via }) => `${destination} ${via}`));
  return asked
    .filter(({ net, via }) => !actual.has(`${canonicalCidr(net) ?? net} ${via}`))
    .map(({ net, via }) => `${net} via ${via}: no route of this network`);
}
