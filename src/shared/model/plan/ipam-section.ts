// Reads the IPAM section of a network: JSON inside a string. Bits and excludes are judged here as
// far as they can be without the subnet; every other member is passed on as it is.

import { addressBits, parseAddress } from '../ip/address.ts';
import { type Cidr, cidrOf, formatCidr, parseAddressInCidr, parseCidr } from '../ip/cidr.ts';
import { IPAM_TYPE } from '../names.ts';
import { BLOCK_BITS_MAX, VLAN_MODES } from '../objects/network-rules.ts';
import { type Findings, quote } from './findings.ts';

/**
 * How addresses are related between hosts: l3 and l3s have routes between hosts, the others have
 * none.
 */
export type VlanMode = (typeof VLAN_MODES)[number];

/** The section as far as it concerns us. Bits and excludes are only there for our own IPAM. */
export interface IpamSection {
  /** The whole object. */
  readonly ipam: Record<string, unknown>;
  /** `ipam.type` is multi-nic-ipam: addresses come from our pools. */
  readonly managed: boolean;
  readonly interfaceBits: number;
  readonly hostBits: number;
  readonly excludes: readonly Cidr[];
  readonly vlanMode: VlanMode;
}

const PATH = 'spec.ipam';

/** Reads the text. What cannot be read is reported and replaced by nothing. */
export function parseIpamSection(
  text: string,
  o: { readonly hostSubnetMode: boolean },
  findings: Findings,
): IpamSection {
  const ipam = parseObject(text, findings);
  const { type = '' } = ipam;
  if (typeof type !== 'string') findings.issue(`${PATH}.type`, `${quote(type)} is not a string`);
  const managed = type === IPAM_TYPE;
  if (!managed) {
    return { ipam, managed, interfaceBits: 0, hostBits: 0, excludes: [], vlanMode: '' };
  }
  checkRoutes(ipam.routes, findings);
  return {
    ipam,
    managed,
    interfaceBits: parseBits(ipam, 'interfaceBlock', { isOptional: o.hostSubnetMode }, findings),
    hostBits: parseBits(ipam, 'hostBlock', { isOptional: false }, findings),
    excludes: parseExcludes(ipam.excludeCIDRs, findings),
    vlanMode: parseVlanMode(ipam.vlanMode, findings),
  };
}

function parseObject(text: string, findings: Findings): Record<string, unknown> {
  if (text.trim() === '') return {};
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    findings.issue(PATH, `not JSON (${reason})`);
    return {};
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  findings.issue(PATH, `${quote(value)} is not a JSON object`);
  return {};
}

/**
 * A number of bits. A missing `hostBlock` is refused: taken for 0 it would mean one pool for all
 * hosts (W-12).
 */
function parseBits(
  ipam: Record<string, unknown>,
  key: string,
  o: { readonly isOptional: boolean },
  findings: Findings,
): number {
  const path = `${PATH}.${key}`;
  const value = ipam[key];
  if (value === undefined) {
    if (!o.isOptional) findings.issue(path, 'is missing; it is the number of address bits');
    return 0;
  }
  if (typeof value !== 'number' || !Number.isInteger(value)) {
    findings.issue(path, `${quote(value)} is not a whole number`);
    return 0;
  }
  if (value < 0 || value > BLOCK_BITS_MAX) {
    findings.issue(path, `${value} is not between 0 and ${BLOCK_BITS_MAX}`);
    return 0;
  }
  return value;
}

function parseExcludes(value: unknown, findings: Findings): Cidr[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) {
    findings.issue(`${PATH}.excludeCIDRs`, `${quote(value)} is not a list`);
    return [];
  }
  return value.flatMap((item: unknown, index) => {
    const path = `${PATH}.excludeCIDRs[${index}]`;
    const exclude = typeof item === 'string' ? parseExclude(item, path, findings) : undefined;
    if (exclude === undefined) findings.issue(path, `${quote(item)} is neither CIDR nor address`);
    return exclude ?? [];
  });
}

/**
 * A block, or an address that stands for itself (W-18). Host bits are cleared as the original does.
 */
function parseExclude(text: string, path: string, findings: Findings): Cidr | undefined {
  const address = parseAddress(text);
  if (address !== undefined) return cidrOf(address, addressBits[address.family]);
  const exclude = parseCidr(text, { allowHostBits: true });
  if (exclude !== undefined && parseCidr(text) === undefined) {
    findings.warning(path, `${quote(text)} has host bits and is read as ${formatCidr(exclude)}`);
  }
  return exclude;
}

function parseVlanMode(value: unknown, findings: Findings): VlanMode {
  const mode = VLAN_MODES.find((one) => one === (value ?? ''));
  if (mode !== undefined) return mode;
  const known = VLAN_MODES.filter((one) => one !== '').join(', ');
  findings.issue(`${PATH}.vlanMode`, `${quote(value)} is none of ${known}`);
  return '';
}

/** Routes that pods get: a malformed one would fail every pod, so it fails the network. */
function checkRoutes(value: unknown, findings: Findings): void {
  if (value === undefined || value === null) return;
  if (!Array.isArray(value)) {
    findings.issue(`${PATH}.routes`, `${quote(value)} is not a list`);
    return;
  }
  for (const [index, item] of value.entries()) {
    const path = `${PATH}.routes[${index}]`;
    const { dst, gw }: { dst?: unknown; gw?: unknown } = Object(item);
    if (typeof dst !== 'string' || parseAddressInCidr(dst) === undefined) {
      findings.issue(`${path}.dst`, `${quote(dst)} is not a CIDR`);
    }
    if (gw !== undefined && (typeof gw !== 'string' || parseAddress(gw) === undefined)) {
      findings.issue(`${path}.gw`, `${quote(gw)} is not an IP address`);
    }
  }
}
