// What a MultiNicNetwork means: its parts parsed, defaults filled in, and everything that is wrong
// with it said at once. Every program reads networks through this file, so none can understand one
// differently.
import { isCniIdentifier } from '../cni/environment.ts';
import { addressBits } from '../ip/address.ts';
import { type Cidr, formatCidr, parseCidr } from '../ip/cidr.ts';
import type { AttachPolicy, MultiNicNetwork } from '../objects/multi-nic-network.ts';
import { ATTACH_STRATEGIES, MANAGED_NAME_MAX, POD_BITS_MIN } from '../objects/network-rules.ts';
import { createFindings, type Findings, quote } from './findings.ts';
import { type IpamSection, parseIpamSection, type VlanMode } from './ipam-section.ts';
import { parsePluginBlock } from './plugin-block.ts';

/** How NICs are selected; `none` takes all that suit. */
export type AttachStrategy = Exclude<(typeof ATTACH_STRATEGIES)[number], ''>;

/** A network that can be used. Net addresses and blocks are canonical. */
export interface NetworkDefinition {
  readonly name: string;
  readonly uid: string;
  /**
   * None in host-subnet mode and for foreign IPAM without subnet; else one, or two of different
   * families.
   */
  readonly subnets: readonly Cidr[];
  /** Pods share the subnets of the host NICs. */
  readonly hostSubnetMode: boolean;
  /** Address bits that tell NICs apart, and hosts; 0 for foreign IPAM. */
  readonly interfaceBits: number;
  readonly hostBits: number;
  readonly excludes: readonly Cidr[];
  readonly vlanMode: VlanMode;
  /** Hosts have routes to each other's pods. */
  readonly routed: boolean;
  /** Net addresses that take part; all when empty. */
  readonly masterNets: readonly string[];
  /**
   * The type as users write it: `mellanox` stays `mellanox` here and is `host-device` in `plugin`.
   */
  readonly pluginType: string;
  /** The plugin block of CNI configurations. */
  readonly plugin: Record<string, unknown>;
  readonly multiNicIpam: boolean;
  /** Addresses come from our own pools. */
  readonly managedIpam: boolean;
  /** The whole IPAM section. */
  readonly ipam: Record<string, unknown>;
  readonly attachPolicy: { readonly strategy: AttachStrategy; readonly target?: string };
  /** Namespaces that may use it; all when empty. */
  readonly namespaces: readonly string[];
}

/**
 * `issues` forbid the use of the network; `refusals` forbid to start with it, and leave what runs;
 * `warnings` say what is ignored. Each starts with the path to blame.
 */
export type NetworkDefinitionResult =
  | {
      readonly ok: true;
      readonly network: NetworkDefinition;
      readonly refusals: readonly string[];
      readonly warnings: readonly string[];
    }
  | { readonly ok: false; readonly issues: readonly string[] };

const namespaceName = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

/** Reads a network. Never throws; the same input gives the same texts in the same order. */
export function parseNetworkDefinition(object: MultiNicNetwork): NetworkDefinitionResult {
  const findings = createFindings();
  const { spec, metadata } = object;
  const hostSubnetMode = (spec.subnet ?? '') === '';
  const section = parseIpamSection(spec.ipam, { hostSubnetMode }, findings);
  const subnets = parseSubnets(spec.subnet ?? '', section, findings);
  checkName(metadata.name, section, findings);
  const multiNicIpam = spec.multiNICIPAM === true;
  const isL3 = section.vlanMode === 'l3' || section.vlanMode === 'l3s';
  if (isL3 && !multiNicIpam) {
    findings.warning('spec.multiNICIPAM', `without it vlanMode ${section.vlanMode} sets no routes`);
  }
  const network: NetworkDefinition = {
    name: metadata.name,
    uid: metadata.uid ?? '',
    subnets,
    hostSubnetMode: hostSubnetMode && section.managed,
    interfaceBits: section.interfaceBits,
    hostBits: section.hostBits,
    excludes: section.excludes,
    vlanMode: section.vlanMode,
    routed: isL3 && multiNicIpam,
    masterNets: parseMasterNets(spec.masterNets ?? [], findings),
    pluginType: spec.plugin.type,
    plugin: parsePluginBlock(spec.plugin, findings),
    multiNicIpam,
    managedIpam: section.managed,
    ipam: section.ipam,
    attachPolicy: parseAttachPolicy(spec.attachPolicy, findings),
    namespaces: parseNamespaces(spec.namespaces ?? [], findings),
  };
  const { issues, refusals, warnings } = findings;
  if (issues.length > 0) return { ok: false, issues: [...issues, ...refusals] };
  return { ok: true, network, refusals, warnings };
}

/**
 * The subnets. Where addresses come from another IPAM they are only passed on, so errors in them do
 * no harm.
 */
function parseSubnets(text: string, section: IpamSection, findings: Findings): Cidr[] {
  if (text === '') return [];
  const report = section.managed ? findings.issue : findings.warning;
  const parts = text.split(',');
  if (parts.length > 2) {
    report('spec.subnet', `${quote(text)} has more than two parts`);
    return [];
  }
  const subnets = parts.flatMap((part) => {
    const subnet = parseCidr(part);
    if (subnet === undefined) report('spec.subnet', subnetProblem(part));
    return subnet ?? [];
  });
  const [first, second] = subnets;
  if (first !== undefined && first.family === second?.family) {
    report('spec.subnet', `${quote(text)} has two subnets of IPv${first.family}`);
  }
  if (section.managed) for (const subnet of subnets) checkBits(subnet, section, findings);
  return subnets;
}

function subnetProblem(text: string): string {
  const masked = parseCidr(text, { allowHostBits: true });
  return masked === undefined
    ? `${quote(text)} is not a CIDR`
    : `${quote(text)} has host bits set; did you mean ${formatCidr(masked)}?`;
}

/** Subnet prefix, NIC bits and host bits must leave addresses for pods (W-15). */
function checkBits(subnet: Cidr, section: IpamSection, findings: Findings): void {
  const { interfaceBits, hostBits } = section;
  const left = addressBits[subnet.family] - subnet.prefix - interfaceBits - hostBits;
  if (left >= POD_BITS_MIN) return;
  findings.issue(
    'spec.ipam',
    `subnet ${formatCidr(subnet)} with interfaceBlock ${interfaceBits} and hostBlock ${hostBits} ` +
      `leaves ${left} bits for pods, at least ${POD_BITS_MIN} are needed`,
  );
}

function checkName(name: string, section: IpamSection, findings: Findings): void {
  if (!isCniIdentifier(name)) {
    findings.issue('metadata.name', `${quote(name)} cannot be a CNI network name`);
  } else if (section.managed && name.length > MANAGED_NAME_MAX) {
    const reason = `has ${name.length} characters, pools can be labelled with ${MANAGED_NAME_MAX}`;
    findings.issue('metadata.name', reason);
  }
}

function parseMasterNets(texts: readonly string[], findings: Findings): string[] {
  const nets = texts.flatMap((text, index) => {
    const net = parseCidr(text);
    if (net === undefined) findings.issue(`spec.masterNets[${index}]`, subnetProblem(text));
    return net === undefined ? [] : formatCidr(net);
  });
  return [...new Set(nets)];
}

function parseAttachPolicy(
  policy: AttachPolicy | undefined,
  findings: Findings,
): NetworkDefinition['attachPolicy'] {
  const text = policy?.strategy ?? '';
  const target = policy?.target === undefined ? {} : { target: policy.target };
  if (text === '') return { strategy: 'none', ...target };
  const strategy = ATTACH_STRATEGIES.find((one) => one === text);
  if (strategy !== undefined && strategy !== '') return { strategy, ...target };
  const known = ATTACH_STRATEGIES.filter((one) => one !== '').join(', ');
  findings.issue('spec.attachPolicy.strategy', `${quote(text)} is none of ${known}`);
  return { strategy: 'none', ...target };
}

function parseNamespaces(names: readonly string[], findings: Findings): string[] {
  for (const [index, name] of names.entries()) {
    if (!namespaceName.test(name)) {
      findings.issue(`spec.namespaces[${index}]`, `${quote(name)} cannot be a namespace`);
    }
  }
  return [...new Set(names)];
}
