// Making the links of an attachment in a pod's namespace, all or nothing, in three sends: make
// them, look at them, give them addresses and routes.
//
// A link is asked for on the host's socket and made directly in the pod's namespace, under its
// final name and up. (Asking on the pod's socket with the master's namespace id would make kernels
// before 6.15 create it in the host's namespace and move it, which is slow and takes it down.)
// Those kernels also say EEXIST for a name that a link of the host has. So where the pod turns out
// not to have the name, the link is made under a name of its own and renamed in the pod.
//
// IPv6 is left as the kernel sets it up for any new link (link-local address, router
// advertisements by the namespace's own settings); the reference plugins do the same.
import { canonicalAddress } from './canonical-address.ts';
import type { PodLink, PodLinkRequest } from './host-net.ts';
import { linkFailure } from './link-failure.ts';
import type { LinkFaults } from './link-faults.ts';
import type { LinkIoctl } from './link-ioctl.ts';
import { addNewAddress } from './netlink/address.ts';
import { NetlinkBatch } from './netlink/batch.ts';
import * as k from './netlink/constants.ts';
import {
  addGetLink,
  addNewLink,
  addRenameAndSetUp,
  type LinkRecord,
  readLink,
} from './netlink/link.ts';
import { addNewRoute } from './netlink/route.ts';
import type { RequestOutcome, RequestSocket } from './netlink/socket.ts';
import { removeLinks } from './netlink-remove.ts';
import { assertPodLinkRequests } from './pod-link-request.ts';
import { toPodLink } from './to-pod-link.ts';

/** Sockets in the pod's and the host's namespace, and the pod's namespace as an open file. */
export interface CreateContext {
  readonly pod: RequestSocket;
  readonly host: RequestSocket;
  readonly hostLinks: LinkIoctl;
  readonly podNetnsDescriptor: number;
  readonly faults: LinkFaults | undefined;
}

/** A request with the link it is to be made on and the name it is first made under. */
interface Planned {
  readonly request: PodLinkRequest;
  readonly master: Master;
  readonly firstName: string;
}

/** `mtu` asks the kernel, which most links can do without; undefined if the master is gone. */
interface Master {
  readonly name: string;
  readonly mtu: () => number | undefined;
}

interface Made extends Planned {
  readonly link: LinkRecord;
}

interface Refused {
  readonly plan: Planned;
  readonly outcome: RequestOutcome;
  readonly isNameInPod: boolean;
}

/** See NetnsHandle.createLinks. */
export function createPodLinks(
  context: CreateContext,
  requests: readonly PodLinkRequest[],
): { created: PodLink[] } {
  assertPodLinkRequests(requests);
  if (requests.length === 0) return { created: [] };
  const planned = requests.map((request) => planLink(context, request));
  const made = makeLinks(context, planned);
  context.faults?.reach('add-links-under-own-names');
  context.faults?.reach('add-links-bare');
  try {
    configureLinks(context, made);
  } catch (error) {
    removeMade(context.pod, made);
    throw error;
  }
  return { created: made.map(toCreated) };
}

/** What the caller gets back: the link as it was made, with what it was given since. */
function toCreated({ request, link }: Made): PodLink {
  const addresses = request.addresses.map((a) => ({
    ...a,
    // There is one way only to write an IPv4 address.
    address: a.family === 4 ? a.address : canonicalAddress(a.address),
    scope: 'global' as const,
  }));
  return { ...toPodLink(link, addresses), name: request.name, up: true };
}

/** Looks the master up anew: it may have gone or changed since it was selected. */
function planLink({ hostLinks: links, faults }: CreateContext, request: PodLinkRequest): Planned {
  const { parentIndex, parentName, mtu } = request;
  const name = links.nameOf(parentIndex);
  if (name === undefined || (parentName !== undefined && parentName !== name)) {
    throw linkFailure({ request, step: 'master', errno: 'ENODEV' });
  }
  const master = { name, mtu: () => links.mtuOf(parentIndex) };
  const isOwn = faults?.isActive('add-links-under-own-names') === true;
  const plan = { request, master, firstName: isOwn ? ownName() : request.name };
  // ipvlan would accept any MTU and then lose what the master cannot send.
  if (mtu > 0 && mtu > (master.mtu() ?? mtu)) throw failure(plan, 'create', refusal('EINVAL'));
  return plan;
}

/** Makes all links, in the order asked for; if one is refused the others are removed again. */
function makeLinks(context: CreateContext, planned: readonly Planned[]): Made[] {
  const first = tryLinks(context, planned);
  const isHostsName = ({ outcome, isNameInPod }: Refused): boolean =>
    outcome.errno === 'EEXIST' && !isNameInPod;
  const again = first.refused
    .filter(isHostsName)
    .map(({ plan }) => ({ ...plan, firstName: ownName() }));
  const second = tryLinks(context, again);
  const made = [...first.made, ...second.made];
  const [refused] = [...first.refused.filter((entry) => !isHostsName(entry)), ...second.refused];
  if (refused !== undefined) {
    removeMade(context.pod, made);
    throw failure(refused.plan, 'create', refused.outcome);
  }
  const order = new Map(planned.map(({ request }, n) => [request, n]));
  return made.sort((a, b) => (order.get(a.request) ?? 0) - (order.get(b.request) ?? 0));
}

function tryLinks(
  context: CreateContext,
  planned: readonly Planned[],
): { made: Made[]; refused: Refused[] } {
  if (planned.length === 0) return { made: [], refused: [] };
  const create = new NetlinkBatch();
  const look = new NetlinkBatch();
  for (const { request, firstName } of planned) {
    addNewLink(create, {
      ...request,
      name: firstName,
      masterIndex: request.parentIndex,
      netnsDescriptor: context.podNetnsDescriptor,
      up: firstName === request.name,
    });
    addGetLink(look, { name: firstName });
  }
  const outcomes = context.host.request(create);
  const links = new Map<number, LinkRecord>();
  context.pod.request(look, (message, position) => {
    const link = readLink(message);
    if (link !== undefined) links.set(position, link);
  });
  const made: Made[] = [];
  const refused: Refused[] = [];
  for (const [n, plan] of planned.entries()) {
    const outcome = outcomes[n] ?? refusal('EIO');
    const link = links.get(n);
    const isMade = outcome.errno === undefined && link !== undefined;
    if (isMade) made.push({ ...plan, link });
    else refused.push({ plan, outcome, isNameInPod: link !== undefined });
  }
  return { made, refused };
}

/** A name that no link has, of the 15 bytes a name can have. */
function ownName(): string {
  return `mn${crypto.randomUUID().replaceAll('-', '').slice(0, 13)}`;
}

/** What one message of the configuration is about. */
interface Part {
  readonly plan: Planned;
  readonly step: 'create' | 'address' | 'route';
  readonly subject?: string;
}

/** Names, then addresses, then routes: a gateway must be reachable when its route is added. */
function configureLinks({ pod, faults }: CreateContext, made: readonly Made[]): void {
  const batch = new NetlinkBatch();
  const parts = [
    ...made.flatMap((plan) => writeName(batch, plan)),
    ...made.flatMap((plan) => writeAddresses(batch, plan)),
  ];
  if (faults?.isActive('add-links-addressed') === true) {
    send(pod, batch, parts);
    faults.reach('add-links-addressed');
  }
  parts.push(...made.flatMap((plan) => writeRoutes(batch, plan)));
  send(pod, batch, parts);
}

function send(socket: RequestSocket, batch: NetlinkBatch, parts: readonly Part[]): void {
  for (const [position, outcome] of socket.request(batch).entries()) {
    const part = parts[position];
    if (outcome.errno === undefined || part === undefined) continue;
    throw failure(part.plan, part.step, outcome, part.subject);
  }
}

function writeName(batch: NetlinkBatch, plan: Made): Part[] {
  const { request, link } = plan;
  if (link.name === request.name) return [];
  addRenameAndSetUp(batch, { index: link.index, name: request.name });
  return [{ plan, step: 'create' }];
}

function writeAddresses(batch: NetlinkBatch, plan: Made): Part[] {
  return plan.request.addresses.map(({ address, prefix }) => {
    addNewAddress(batch, { interfaceIndex: plan.link.index, address, prefix });
    return { plan, step: 'address', subject: `${address}/${prefix}` };
  });
}

function writeRoutes(batch: NetlinkBatch, plan: Made): Part[] {
  return plan.request.routes.map(({ destination, via = '' }) => {
    const nexthops = [{ via, interfaceIndex: plan.link.index }];
    const route = { destination, table: k.RT_TABLE_MAIN, protocol: k.RTPROT_BOOT, nexthops };
    addNewRoute(batch, { route, beside: 'prepend' });
    return { plan, step: 'route', subject: `${destination}${via === '' ? '' : ` via ${via}`}` };
  });
}

function removeMade(socket: RequestSocket, made: readonly Made[]): void {
  removeLinks(
    socket,
    made.map(({ link }) => link.index),
  );
}

const refusal = (errno: string): RequestOutcome => ({ errno, text: undefined });

function failure(
  { request, master }: Planned,
  step: 'create' | 'address' | 'route',
  outcome: RequestOutcome,
  subject?: string,
): Error {
  const masterMtu = master.mtu();
  return linkFailure({
    request,
    step,
    errno: outcome.errno ?? 'EIO',
    master: master.name,
    ...(masterMtu === undefined ? {} : { masterMtu }),
    ...(subject === undefined ? {} : { subject }),
    ...(outcome.text === undefined ? {} : { kernelText: outcome.text }),
  });
}
