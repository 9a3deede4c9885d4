// CHECK: compares what the journal says of an attachment with what is in the pod, and with the
// result that the runtime kept. Reads only.
import type { CniResult } from '../../shared/model/cni/result.ts';
import { DomainError } from '../../shared/model/errors.ts';
import type { NetnsHandle, PodLink, PodRoute } from '../hostnet/host-net.ts';
import type { AttachedNic, Attachment } from '../journal/attachment.ts';
import type { AttachIdentity } from './attach-config.ts';
import { compareDevice, compareWithResult } from './check-result.ts';
import type { AttachPorts } from './ports.ts';

/**
 * Throws 'check-failed' with every difference; 'netns-gone' if there is nothing to look at.
 * `result`: of the ADD, if the caller has it.
 */
export function check(
  ports: AttachPorts,
  { key, netnsPath }: AttachIdentity,
  result?: CniResult,
): Attachment {
  const attachment = ports.journal.find(key);
  if (attachment === undefined || attachment.state !== 'attached') {
    throw new DomainError(
      'check-failed',
      `container ${key.containerId} is not attached to ${key.network} as ${key.ifName}`,
      { details: { ...key, state: attachment?.state ?? 'none' } },
    );
  }
  using netns = ports.hostNet.openNetns(netnsPath);
  const differences = [
    ...(netns.id === attachment.netnsId ? [] : ['the pod has another network namespace']),
    ...compareLinks(attachment, netns, result),
    ...compareRoutes(attachment, netns),
  ];
  if (differences.length === 0) return attachment;
  throw new DomainError('check-failed', `${key.network}: ${differences.join('; ')}`, {
    details: { ...key, differences },
  });
}

function compareLinks(
  attachment: Attachment,
  netns: NetnsHandle,
  result: CniResult | undefined,
): string[] {
  const links = new Map(netns.links().map((link) => [link.name, link]));
  return attachment.nics.flatMap((nic) => {
    const link = links.get(nic.name);
    return [
      ...(link === undefined
        ? [`interface ${nic.name} is missing`]
        : compareLink({ nic, link, group: attachment.group })),
      ...(result === undefined
        ? compareWithJournal(nic, link)
        : compareWithResult(nic, link, result)),
    ];
  });
}

function compareWithJournal(nic: AttachedNic, link: PodLink | undefined): string[] {
  return link === undefined ? [] : compareDevice(link, nic);
}

function compareLink(o: { nic: AttachedNic; link: PodLink; group: number }): string[] {
  const { nic, link, group } = o;
  const present = new Set(link.addresses.map(({ address, prefix }) => `${address}/${prefix}`));
  const missing = nic.addresses
    .map(({ address, prefix }) => `${address}/${prefix}`)
    .filter((text) => !present.has(text));
  return [
    ...(link.kind === nic.kind && link.mode === nic.mode
      ? []
      : [`${nic.name} is ${link.kind} ${link.mode}, not ${nic.kind} ${nic.mode}`]),
    ...(link.group === group ? [] : [`${nic.name} has another link group`]),
    ...(link.up ? [] : [`${nic.name} is down`]),
    ...missing.map((text) => `${nic.name} has lost address ${text}`),
  ];
}

function compareRoutes(attachment: Attachment, netns: NetnsHandle): string[] {
  const wanted = [
    ...attachment.nics.flatMap((nic) =>
      nic.routes.map(({ destination, via = '' }) => ({
        destination,
        nexthops: [{ via, interfaceName: nic.name }],
      })),
    ),
    ...attachment.sharedRoutes,
  ];
  if (wanted.length === 0) return [];
  const actual = netns.routes();
  return wanted
    .filter((route) => !actual.some((other) => isSameRoute(route, other)))
    .map(({ destination }) => `the route to ${destination} is missing or different`);
}

type Wanted = {
  readonly destination: string;
  readonly nexthops: readonly {
    readonly via: string;
    readonly interfaceName?: string | undefined;
  }[];
};

function isSameRoute(wanted: Wanted, actual: PodRoute): boolean {
  return (
    wanted.destination === actual.destination &&
    wanted.nexthops.length === actual.nexthops.length &&
    wanted.nexthops.every((hop) =>
      actual.nexthops.some(
        (other) =>
          other.via === hop.via &&
          (hop.interfaceName === undefined || other.interfaceName === hop.interfaceName),
      ),
    )
  );
}
