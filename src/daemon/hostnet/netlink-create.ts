// Making an attachment's links in a pod's namespace, all or nothing, in three sends: look the
// masters up, make the links (up at once), give them addresses and routes.
//
// Links are asked for on the pod's own socket and name their master by index and namespace id.
// The other way round (asking on the host's socket for a link in the pod) makes kernels before
// 6.15 look for the new name in the host's namespace, where an unrelated link may have it.
//
// IPv6 is left as the kernel sets it up for any new link (link-local address, router
// advertisements by the namespace's own settings); the reference plugins do the same.
import { canonicalAddress } from './canonical-address.ts';
import type { PodLink, PodLinkRequest } from './host-net.ts';
import { linkFailure } from './link-failure.ts';
import { addNewAddress } from './netlink/address.ts';
import { NetlinkBatch } from './netlink/batch.ts';
import * as k from './netlink/constants.ts';
import { addGetLink, addNewLink, type LinkRecord, readLink } from './netlink/link.ts';
import { addGetNetnsId, addNewNetnsId, readNetnsId } from './netlink/netns-id.ts';
import { addNewRoute } from './netlink/route.ts';
import type { NetlinkSocket, RequestOutcome } from './netlink/socket.ts';
import { removeLinks } from './netlink-remove.ts';
import { assertPodLinkRequests } from './pod-link-request.ts';
import { toPodLink } from './to-pod-link.ts';

/** Sockets in the pod's and the host's namespace, and the host's namespace as an open file. */
export interface CreateContext {
  readonly pod: NetlinkSocket;
  readonly host: NetlinkSocket;
  readonly hostNetnsDescriptor: number;
}

/** A request with the link it is to be made on. */
interface Planned {
  readonly request: PodLinkRequest;
  readonly master: LinkRecord;
}

interface Made extends Planned {
  readonly link: LinkRecord;
}

/** See NetnsHandle.createLinks. */
export function createPodLinks(
  context: CreateContext,
  requests: readonly PodLinkRequest[],
): { created: PodLink[] } {
  assertPodLinkRequests(requests);
  if (requests.length === 0) return { created: [] };
  const planned = findMasters(context.host, requests);
  const made = makeLinks(context, planned);
  try {
    configureLinks(context.pod, made);
  } catch (error) {
    removeMade(context.pod, made);
    throw error;
  }
  const created = made.map(({ request, link }) =>
    toPodLink(
      link,
      request.addresses.map((a) => ({
        ...a,
        address: canonicalAddress(a.address),
        scope: 'global',
      })),
    ),
  );
  return { created };
}

/** Looks the masters up anew: they may have gone or changed since they were selected. */
function findMasters(socket: NetlinkSocket, requests: readonly PodLinkRequest[]): Planned[] {
  const batch = new NetlinkBatch();
  for (const { parentIndex } of requests) addGetLink(batch, { index: parentIndex });
  const masters = new Map<number, LinkRecord>();
  const outcomes = socket.request(batch, (message) => {
    const link = readLink(message);
    if (link !== undefined) masters.set(link.index, link);
  });
  return requests.map((request, position) => {
    const master = masters.get(request.parentIndex);
    const isOther = request.parentName !== undefined && request.parentName !== master?.name;
    if (master === undefined || isOther) {
      const errno = outcomes[position]?.errno ?? 'ENODEV';
      throw linkFailure({ request, step: 'master', errno });
    }
    // ipvlan would accept any MTU and then lose what the master cannot send.
    if (request.mtu > master.mtu) throw failure({ request, master }, 'create', refusal('EINVAL'));
    return { request, master };
  });
}

/** Makes all links, set up; if one is refused the others are removed again. */
function makeLinks(context: CreateContext, planned: readonly Planned[]): Made[] {
  const masterNetnsId = hostNetnsId(context);
  const batch = new NetlinkBatch();
  for (const { request } of planned) {
    addNewLink(batch, { ...request, masterIndex: request.parentIndex, masterNetnsId });
    addGetLink(batch, { name: request.name });
  }
  const records = new Map<number, LinkRecord>();
  const outcomes = context.pod.request(batch, (message, position) => {
    const link = readLink(message);
    if (link !== undefined) records.set(position, link);
  });
  const made: Made[] = [];
  const refused: { plan: Planned; outcome: RequestOutcome }[] = [];
  for (const [index, plan] of planned.entries()) {
    const outcome = outcomes[2 * index] ?? refusal('EIO');
    const link = records.get(2 * index + 1);
    if (outcome.errno === undefined && link !== undefined) made.push({ ...plan, link });
    else refused.push({ plan, outcome });
  }
  const [first] = refused;
  if (first === undefined) return made;
  removeMade(context.pod, made);
  throw failure(first.plan, 'create', first.outcome);
}

/** The id of the host's namespace in the pod's; assigned here if it has none yet. */
function hostNetnsId({ pod, hostNetnsDescriptor }: CreateContext): number {
  const batch = new NetlinkBatch();
  addNewNetnsId(batch, hostNetnsDescriptor);
  addGetNetnsId(batch, hostNetnsDescriptor);
  let id: number | undefined;
  const [assigned] = pod.request(batch, (message) => {
    id = readNetnsId(message);
  });
  if (id !== undefined) return id;
  throw new Error(
    `the host's namespace has no id in the pod's: ${assigned?.errno ?? 'none given'}`,
  );
}

/** Addresses first, then routes: a gateway must be reachable when its route is added. */
function configureLinks(socket: NetlinkSocket, made: readonly Made[]): void {
  const batch = new NetlinkBatch();
  const parts: { plan: Planned; step: 'address' | 'route'; subject: string }[] = [];
  for (const plan of made) {
    for (const { address, prefix } of plan.request.addresses) {
      addNewAddress(batch, { interfaceIndex: plan.link.index, address, prefix });
      parts.push({ plan, step: 'address', subject: `${address}/${prefix}` });
    }
  }
  for (const plan of made) {
    for (const { destination, via = '' } of plan.request.routes) {
      const nexthops = [{ via, interfaceIndex: plan.link.index }];
      const route = { destination, table: k.RT_TABLE_MAIN, protocol: k.RTPROT_BOOT, nexthops };
      addNewRoute(batch, { route, beside: 'prepend' });
      const subject = via === '' ? destination : `${destination} via ${via}`;
      parts.push({ plan, step: 'route', subject });
    }
  }
  for (const [position, outcome] of socket.request(batch).entries()) {
    const part = parts[position];
    if (outcome.errno === undefined || part === undefined) continue;
    throw failure(part.plan, part.step, outcome, part.subject);
  }
}

function removeMade(socket: NetlinkSocket, made: readonly Made[]): void {
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
  return linkFailure({
    request,
    step,
    errno: outcome.errno ?? 'EIO',
    master: master.name,
    masterMtu: master.mtu,
    ...(subject === undefined ? {} : { subject }),
    ...(outcome.text === undefined ? {} : { kernelText: outcome.text }),
  });
}
