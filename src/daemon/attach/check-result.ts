// CHECK, second part: the result of the ADD that the runtime kept, against the journal and the
// links. Other plugins of a chain have parts of it too: only what is about our interfaces counts.
import type { CniResult, ResultInterface } from '../../shared/model/cni/result.ts';
import type { PodLink } from '../hostnet/host-net.ts';
import type { AttachedNic } from '../journal/attachment.ts';

/** Every difference between the result and one interface of the attachment. */
export function compareWithResult(
  nic: AttachedNic,
  link: PodLink | undefined,
  result: CniResult,
): string[] {
  const { interfaces = [], ips = [] } = result;
  // A host's interface of the same name has no sandbox.
  const index = interfaces.findIndex(({ name, sandbox = '' }) => name === nic.name && sandbox);
  const stated = interfaces[index];
  if (stated === undefined) return [`the result has no interface ${nic.name}`];
  const held = toList(nic.addresses.map(({ address, prefix }) => `${address}/${prefix}`));
  const given = toList(ips.filter((ip) => ip.interface === index).map(({ address }) => address));
  return [
    ...(held === given ? [] : [`${nic.name} holds ${held}, not ${given}`]),
    ...(link === undefined ? [] : compareDevice(link, { mac: nic.mac, mtu: nic.mtu, ...stated })),
  ];
}

/** Differences of what a link is made with. An unknown MAC or MTU ('' or 0) is any. */
export function compareDevice(
  { name, kind, mac, mtu }: PodLink,
  expected: Pick<ResultInterface, 'mac' | 'mtu'>,
): string[] {
  const differences: string[] = [];
  const wantedMac = expected.mac?.toLowerCase() ?? '';
  // An ipvlan link has its master's, which may change under it.
  if (kind !== 'ipvlan' && wantedMac !== '' && wantedMac !== mac) {
    differences.push(`${name} has MAC ${mac}, not ${wantedMac}`);
  }
  const wantedMtu = expected.mtu ?? 0;
  if (wantedMtu !== 0 && wantedMtu !== mtu) {
    differences.push(`${name} has MTU ${mtu}, not ${wantedMtu}`);
  }
  return differences;
}

/** In one order whatever that of the texts. */
function toList(texts: readonly string[]): string {
  return texts.length === 0 ? 'nothing' : [...texts].sort().join(' and ');
}
