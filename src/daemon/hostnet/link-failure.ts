// Turns a refusal of the kernel into the DomainError that callers see: which pod link, on which
// master, at which step, the errno, and what usually is the reason. No kernel calls.
import { DomainError } from '../../shared/model/errors.ts';
import type { PodLinkRequest, PodRouteRequest } from './host-net.ts';

/** All that the `ip` program says where the kernel gave no words of its own. */
const EINVAL_TEXT = 'Invalid argument';
/** Bytes (RFC 8200, section 5); the kernel has no IPv6 on a link with fewer. */
const IPV6_MTU_MIN = 1_280;

/** Where in making a pod link the kernel refused. */
export type LinkStep = 'master' | 'create' | 'address' | 'route';

/** What is known about a refusal. `subject` is the address or route, for those steps. */
export interface LinkRefusal {
  readonly request: PodLinkRequest;
  readonly step: LinkStep;
  readonly errno: string;
  /** Name of the master if it could be found out. */
  readonly master?: string;
  readonly masterMtu?: number;
  readonly subject?: string;
  /** The kernel's own words, if it had any. */
  readonly kernelText?: string;
}

const attempts: Record<LinkStep, string> = {
  master: 'find the master of',
  create: 'create',
  address: 'give an address to',
  route: 'add a route over',
};

/** The error for a pod link that could not be made. */
export function linkFailure(refusal: LinkRefusal): DomainError {
  const { request, step, errno } = refusal;
  const master = masterName(refusal);
  const details = {
    interfaceName: request.name,
    master,
    errno,
    step,
    ...(refusal.subject === undefined ? {} : { subject: refusal.subject }),
  };
  if (step === 'create' && errno === 'EEXIST') {
    return new DomainError('name-in-use', `the pod has an interface ${request.name} already`, {
      details,
    });
  }
  const what = `${attempts[step]} ${request.link.kind} link ${request.name} on ${master}`;
  const subject = refusal.subject === undefined ? '' : ` (${refusal.subject})`;
  const reasons = [errno, reasonOf(refusal), refusal.kernelText].filter((text) => text);
  return new DomainError('link-failed', `cannot ${what}${subject}: ${reasons.join('; ')}`, {
    details,
  });
}

/** The error for a route of `addRoutes`, which belongs to no single link. */
export function routeFailure({
  destination,
  nexthops,
  errno,
}: PodRouteRequest & { readonly errno: string }): DomainError {
  const reasons = [errno, routeReasons[errno]].filter((text) => text).join('; ');
  const interfaceName = nexthops.map((hop) => hop.interfaceName ?? '').join(',');
  return new DomainError('link-failed', `cannot add the route to ${destination}: ${reasons}`, {
    details: { interfaceName, master: '', errno, step: 'route', subject: destination },
  });
}

/** The best name there is for a request's master. */
function masterName({ master, request }: LinkRefusal): string {
  return master ?? request.parentName ?? `link ${request.parentIndex}`;
}

const routeReasons: Record<string, string> = {
  ENETUNREACH: 'the gateway is not reachable over the link',
  EHOSTUNREACH: 'the gateway is not reachable over the link',
  EINVAL: 'the gateway is not reachable over the link or is an address of the pod',
  EEXIST: 'the pod has a route to this destination already',
  ENODEV: 'there is no such interface in the pod',
};

const addressReasons: Record<string, string> = {
  EEXIST: 'the pod link has this address already',
  EACCES: 'IPv6 is disabled in the pod',
  EADDRINUSE: 'another ipvlan link of this master has this address already',
  EPERM: 'IPv6 is disabled in the pod',
};

function reasonOf(refusal: LinkRefusal): string | undefined {
  if (refusal.step === 'master') return 'the master does not exist any more';
  if (refusal.step === 'address') return addressReason(refusal);
  if (refusal.step === 'route') return routeReasons[refusal.errno];
  return createReason(refusal);
}

function addressReason({ errno, request, masterMtu, subject }: LinkRefusal): string | undefined {
  const mtu = request.mtu || (masterMtu ?? IPV6_MTU_MIN);
  if (errno === 'EINVAL' && subject?.includes(':') === true && mtu < IPV6_MTU_MIN) {
    return `IPv6 needs an MTU of ${IPV6_MTU_MIN}, not ${mtu}`;
  }
  return addressReasons[errno];
}

function createReason(refusal: LinkRefusal): string | undefined {
  const { errno, request, masterMtu, kernelText } = refusal;
  const { link, mtu } = request;
  if (errno === 'EINVAL' && masterMtu !== undefined && mtu > masterMtu) {
    return `MTU ${mtu} is above the master's ${masterMtu}`;
  }
  const isExplained = kernelText !== undefined && kernelText !== EINVAL_TEXT;
  if (errno === 'EINVAL' && link.kind === 'macvlan' && !isExplained) {
    return 'a master in passthru mode carries one macvlan link only';
  }
  const reasons: Record<string, string> = {
    EBUSY: 'the master is used in another way: ipvlan, macvlan, bridge and bond exclude each other',
    EOPNOTSUPP: `the kernel does not support ${link.kind} here (module missing?)`,
    ENETDOWN: 'the master is down',
    ENODEV: 'the master does not exist any more',
    EPERM: 'the capability NET_ADMIN is missing',
    ERANGE: 'the MTU is outside what the link supports',
  };
  return reasons[errno];
}
