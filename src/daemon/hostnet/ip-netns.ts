// A pod's namespace through the `ip` program. Links are made under names of their own by one
// process in the host's namespace, then named, set up and configured by one inside the pod.
import { canonicalAddress } from './canonical-address.ts';
import type {
  HostLink,
  NetnsHandle,
  PodLink,
  PodLinkRequest,
  PodRoute,
  PodRouteRequest,
} from './host-net.ts';
import { IpCommand, type RefusedCommand } from './ip/command.ts';
import { readPodLinks, readRoutes } from './ip/listing.ts';
import type { OpenNetns } from './ip/netns-path.ts';
import { type LinkStep, linkFailure, routeFailure } from './link-failure.ts';
import type { LinkFaults } from './link-faults.ts';
import { assertPodLinkRequests, DOOMED_GROUP, isPodLinkKind } from './pod-link-request.ts';
import { isAutomaticProtocol } from './route-protocol.ts';

/** The host's side: its links, and its `ip`. */
export interface IpHost {
  readonly ip: IpCommand;
  links(): HostLink[];
}

/** A command with what it is about, for the error if it is refused. */
interface Step {
  readonly command: string;
  readonly plan: Plan;
  readonly step: LinkStep;
  readonly subject?: string;
}

interface Plan {
  readonly request: PodLinkRequest;
  readonly master: HostLink;
  readonly firstName: string;
}

/** A handle that owns `netns`. */
export function openIpNetns(netns: OpenNetns, host: IpHost): NetnsHandle {
  const ip = new IpCommand(netns.path);
  const inside = <A extends unknown[], R>(work: (...args: A) => R) => {
    return (...args: A): R => {
      netns.assertOpen();
      return work(...args);
    };
  };
  return {
    id: netns.id,
    enter: () => undefined,
    links: inside(() => listLinks(ip)),
    createLinks: inside((requests, faults) =>
      createLinks({ ip, host, path: netns.path, faults }, requests),
    ),
    deleteLinks: inside((o) => deleteLinks(ip, o)),
    addRoutes: inside((routes) => addRoutes(ip, routes)),
    routes: inside(() => listRoutes(ip)),
    [Symbol.dispose]: () => netns[Symbol.dispose](),
  };
}

const listLinks = (ip: IpCommand): PodLink[] =>
  readPodLinks(ip.list(['-details', '-N', 'address', 'show']));

function createLinks(
  o: { ip: IpCommand; host: IpHost; path: string; faults: LinkFaults | undefined },
  requests: readonly PodLinkRequest[],
): { created: PodLink[] } {
  assertPodLinkRequests(requests);
  if (requests.length === 0) return { created: [] };
  const plans = planLinks(o.host.links(), requests);
  const taken = new Set(listLinks(o.ip).map((link) => link.name));
  const clash = plans.find(({ request }) => taken.has(request.name));
  if (clash !== undefined) throw failure(clash, 'create', 'EEXIST');
  runSteps(
    o.host.ip,
    o.ip,
    plans,
    plans.map((plan) => toCreate(plan, o.path)),
  );
  o.faults?.reach('add-links-under-own-names');
  configure(o, plans);
  const made = new Map(listLinks(o.ip).map((link) => [link.name, link]));
  return { created: requests.flatMap((request) => withRequested(made.get(request.name), request)) };
}

function planLinks(links: readonly HostLink[], requests: readonly PodLinkRequest[]): Plan[] {
  return requests.map((request, n) => {
    const master = links.find((link) => link.index === request.parentIndex);
    const isOther = request.parentName !== undefined && request.parentName !== master?.name;
    if (master === undefined || isOther) {
      throw linkFailure({ request, step: 'master', errno: 'ENODEV' });
    }
    const random = crypto.randomUUID().replaceAll('-', '').slice(0, 9);
    const plan = { request, master, firstName: `mn${random}${n}`.slice(0, 15) };
    if (request.mtu > master.mtu) throw failure(plan, 'create', 'EINVAL');
    return plan;
  });
}

/** One process for all of it, unless ours is to end in between. */
function configure(
  { ip, faults }: { ip: IpCommand; faults: LinkFaults | undefined },
  plans: readonly Plan[],
): void {
  const run = (steps: Step[]): void => runSteps(ip, ip, plans, steps);
  const naming = plans.flatMap(toNameAndSetUp);
  const addressing = plans.flatMap(toAddresses);
  const routing = plans.flatMap(toRoutes);
  if (faults?.isActive('add-links-bare') === true) {
    run(naming);
    faults.reach('add-links-bare');
  }
  if (faults?.isActive('add-links-addressed') === true) {
    run([...naming, ...addressing]);
    faults.reach('add-links-addressed');
  }
  run([...naming, ...addressing, ...routing]);
}

/** Runs the commands of some steps; if one is refused, all links of the plans are removed. */
function runSteps(runner: IpCommand, pod: IpCommand, plans: readonly Plan[], steps: Step[]): void {
  const refused = runner.batchUntilRefused(steps.map((step) => step.command));
  if (refused === undefined) return;
  const names = plans.flatMap(({ request, firstName }) => [request.name, firstName]);
  const made = listLinks(pod).filter((link) => names.includes(link.name));
  removeLinks(pod, made);
  const step = steps[refused.position] ?? steps[0];
  if (step === undefined) throw new Error('a batch without commands was refused');
  throw failure(step.plan, step.step, refused.errno, { ...refused, subject: step.subject });
}

function toCreate(plan: Plan, path: string): Step {
  const { request, master, firstName } = plan;
  const { link, group } = request;
  const mtu = request.mtu > 0 ? `mtu ${request.mtu} ` : '';
  const where = `link ${master.name} name ${firstName} ${mtu}group ${group} netns ${path}`;
  return { command: `link add ${where} type ${link.kind} mode ${link.mode}`, plan, step: 'create' };
}

function toNameAndSetUp(plan: Plan): Step[] {
  const { request, firstName } = plan;
  return [
    { command: `link set dev ${firstName} name ${request.name}`, plan, step: 'create' },
    { command: `link set dev ${request.name} up`, plan, step: 'create' },
  ];
}

function toAddresses(plan: Plan): Step[] {
  const { addresses, name } = plan.request;
  return addresses.map(({ family, address, prefix }) => {
    const subject = `${address}/${prefix}`;
    const options = family === 6 ? ' nodad' : prefix <= 30 ? ' broadcast +' : '';
    return {
      command: `address add ${subject} dev ${name}${options}`,
      plan,
      step: 'address',
      subject,
    };
  });
}

function toRoutes(plan: Plan): Step[] {
  const { routes, name } = plan.request;
  return routes.map(({ destination, via = '' }) => {
    const subject = `${destination}${via === '' ? '' : ` via ${via}`}`;
    return { command: `route prepend ${subject} dev ${name}`, plan, step: 'route', subject };
  });
}

/** The link with just the addresses that were asked for, as the other back end gives it. */
function withRequested(link: PodLink | undefined, { addresses }: PodLinkRequest): PodLink[] {
  if (link === undefined) return [];
  const given = addresses.map((a) => ({
    ...a,
    address: canonicalAddress(a.address),
    scope: 'global' as const,
  }));
  return [{ ...link, addresses: given }];
}

function deleteLinks(
  ip: IpCommand,
  { group, names }: { group: number; names: readonly string[] },
): { deleted: number } {
  const members = listLinks(ip).filter((link) => link.group === group);
  if (members.length === 0) return { deleted: 0 };
  if (group > 0 && ip.batchUntilRefused([`link delete group ${group}`]) === undefined) {
    return { deleted: members.length };
  }
  const left = members.filter((link) => names.includes(link.name) && isPodLinkKind(link.kind));
  removeLinks(ip, left);
  return { deleted: left.length };
}

/** As a group, because the kernel waits for a grace period once per removal. */
function removeLinks(ip: IpCommand, links: readonly PodLink[]): void {
  if (links.length === 0) return;
  const regroup = links.map((link) => `link set dev ${link.name} group ${DOOMED_GROUP}`);
  ip.batchAll([...regroup, `link delete group ${DOOMED_GROUP}`]);
}

function listRoutes(ip: IpCommand): PodRoute[] {
  const listing = (family: 4 | 6) =>
    readRoutes(ip.list([`-${family}`, '-N', '-details', 'route', 'show', 'table', 'main']), family);
  return [...listing(4), ...listing(6)]
    .filter((route) => !isAutomaticProtocol(route.protocol))
    .map(({ destination, protocol, nexthops }) => ({ destination, protocol, nexthops }));
}

function addRoutes(ip: IpCommand, routes: readonly PodRouteRequest[]): void {
  const texts = routes.map(routeText);
  const refused = ip.batchUntilRefused(texts.map((text) => `route prepend ${text}`));
  const route = refused === undefined ? undefined : routes[refused.position];
  if (refused === undefined || route === undefined) return;
  ip.batchAll(texts.slice(0, refused.position).map((text) => `route delete ${text}`));
  throw routeFailure({ ...route, errno: refused.errno });
}

function routeText({ destination, nexthops }: PodRouteRequest): string {
  const hops = nexthops.map(({ via, interfaceName }) =>
    interfaceName === undefined ? `via ${via}` : `via ${via} dev ${interfaceName}`,
  );
  const isMultipath = hops.length > 1;
  return `${destination} ${hops.map((hop) => (isMultipath ? `nexthop ${hop}` : hop)).join(' ')}`;
}

function failure(
  { request, master }: Plan,
  step: LinkStep,
  errno: string,
  refused: Partial<RefusedCommand> & { subject?: string | undefined } = {},
): Error {
  return linkFailure({
    request,
    step,
    errno,
    master: master.name,
    masterMtu: master.mtu,
    ...(refused.subject === undefined ? {} : { subject: refused.subject }),
    ...(refused.text === undefined ? {} : { kernelText: refused.text }),
  });
}
