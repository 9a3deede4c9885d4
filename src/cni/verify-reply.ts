// Checks with the WASM core what the daemon says it attached, before the runtime hears of it: a
// wrong address must not reach a pod, whatever the reason. The daemon allocates with the same core;
// this is the second pair of eyes.

import type { Cidr, Core, Pool } from '../../core-wasm/index.ts';
import { composedIfName } from '../shared/model/cni/environment.ts';
import type { CniResult, ResultIp } from '../shared/model/cni/result.ts';
import type { CniReply, ReplyPool } from '../shared/model/daemon-api.ts';
import { DomainError } from '../shared/model/errors.ts';
import { formatAddress, type IpAddress } from '../shared/model/ip/address.ts';
import { parseAddressInCidr, parseCidr } from '../shared/model/ip/cidr.ts';

/** What was asked for, as far as an answer can be wrong about it. */
export interface Expectations {
  readonly ifName: string;
  readonly netns: string;
  /** The network's addresses come from pools, so each interface must have one of each family. */
  readonly poolsRequired: boolean;
  /** Families of the network, if the daemon names them. */
  readonly families: readonly (4 | 6)[] | undefined;
}

/** Issues named in one error; a reply can be wrong in thousands of places. */
const ISSUES_MAX = 20;

/**
 * The result in `reply` if nothing is wrong with it, else a DomainError 'reply-invalid' that lists
 * what is.
 */
export function verifyReply(core: Core, reply: CniReply, expected: Expectations): CniResult {
  const { result, pools = [] } = reply;
  if (result === undefined) throw refused(['the answer has no result']);
  const issues = [
    ...interfaceIssues(result, expected),
    ...addressIssues(result, expected),
    ...poolIssues(core, result, pools),
  ];
  if (expected.poolsRequired || pools.length > 0) {
    issues.push(...coverageIssues(result, { pools, families: expected.families }));
  }
  if (issues.length > 0) throw refused(issues);
  return result;
}

function refused(issues: readonly string[]): DomainError {
  return new DomainError('reply-invalid', 'the answer of the multi-nic daemon is wrong', {
    details: { issues: issues.slice(0, ISSUES_MAX) },
  });
}

/** Names count up from 0 without gaps, and every interface is in the pod. */
function interfaceIssues({ interfaces = [] }: CniResult, expected: Expectations): string[] {
  if (interfaces.length === 0) return ['the result has no interfaces'];
  return interfaces.flatMap(({ name, sandbox }, index) => {
    const wanted = composedIfName(expected.ifName, index);
    return [
      ...(name === wanted ? [] : [`interface ${index} is called ${name}, not ${wanted}`]),
      ...(sandbox === expected.netns ? [] : [`interface ${name} is not in ${expected.netns}`]),
    ];
  });
}

/**
 * Addresses belong to interfaces of the result, are of a wanted family, and none is there twice.
 */
function addressIssues({ interfaces = [], ips = [] }: CniResult, expected: Expectations): string[] {
  const seen = new Set<string>();
  return ips.flatMap((ip) => {
    const { address, interface: at } = ip;
    const family = familyOf(ip);
    const key = keyOf(ip);
    const twice = seen.has(key);
    seen.add(key);
    return [
      ...(twice ? [`address ${address} is given twice`] : []),
      ...(at !== undefined && at < interfaces.length
        ? []
        : [`address ${address} is for interface ${at}, which the result does not have`]),
      ...(expected.families?.includes(family) === false
        ? [`address ${address} is IPv${family}, which the network does not have`]
        : []),
    ];
  });
}

/**
 * Every pool is what it says, and every address that it names is usable in it and belongs to the
 * result.
 */
function poolIssues(core: Core, result: CniResult, pools: readonly ReplyPool[]): string[] {
  const inResult = new Set((result.ips ?? []).map(({ address }) => address));
  const seen = new Set<string>();
  return pools.flatMap((pool) => {
    const issues = blockIssues(core, pool);
    for (const address of pool.addresses) {
      if (seen.has(address)) issues.push(`address ${address} is in two pools`);
      if (!inResult.has(address)) {
        issues.push(`address ${address} of pool ${pool.name} is not in the result`);
      }
      seen.add(address);
    }
    return issues;
  });
}

function blockIssues(core: Core, { name, addresses, ...texts }: ReplyPool): string[] {
  const podCidr = parseCidr(texts.podCidr);
  const vlanCidr = parseCidr(texts.vlanCidr);
  const excludes = texts.excludes.map((text) => parseCidr(text));
  if (podCidr === undefined || vlanCidr === undefined || !excludes.every(isCidr)) {
    return [`pool ${name} has a block that is none`];
  }
  if (podCidr.prefix < vlanCidr.prefix || !core.overlaps(vlanCidr, podCidr)) {
    return [`pool ${name} lies outside of ${texts.vlanCidr}`];
  }
  using pool = core.createPool({ podCidr, excludes });
  return addresses.flatMap((text) => {
    const issue = addressIssue(pool, text, vlanCidr);
    return issue === undefined ? [] : [`address ${text} of pool ${name} ${issue}`];
  });
}

function addressIssue(pool: Pool, text: string, vlanCidr: Cidr): string | undefined {
  const parsed = parseAddressInCidr(text);
  if (parsed === undefined) return 'is no address with prefix length';
  const { address, cidr } = parsed;
  if (address.family !== pool.podCidr.family) return 'is of another family';
  const index = pool.indexOf(address.value);
  if (index === undefined) return 'lies outside';
  if (!pool.isUsable(index)) return 'is not usable: network, broadcast or excluded';
  if (cidr.prefix !== vlanCidr.prefix) return `must have prefix length ${vlanCidr.prefix}`;
  return undefined;
}

/**
 * With pools, each address comes from one, and each interface has exactly one address of each
 * family.
 */
function coverageIssues(
  { interfaces = [], ips = [] }: CniResult,
  o: { readonly pools: readonly ReplyPool[]; readonly families: readonly (4 | 6)[] | undefined },
): string[] {
  const pooled = new Set(o.pools.flatMap(({ addresses }) => addresses));
  const strangers = ips.filter(({ address }) => !pooled.has(address));
  const families = o.families ?? [...new Set(ips.map(familyOf))];
  const issues = strangers.map(({ address }) => `address ${address} is of no pool`);
  if (families.length === 0) issues.push('the network has pools, but there is no address');
  for (const [index, { name }] of interfaces.entries()) {
    for (const family of families) {
      const own = ips.filter((ip) => ip.interface === index && familyOf(ip) === family);
      if (own.length !== 1) {
        issues.push(`interface ${name} has ${own.length} IPv${family} addresses, not 1`);
      }
    }
  }
  return issues;
}

function isCidr(cidr: Cidr | undefined): cidr is Cidr {
  return cidr !== undefined;
}

function familyOf(ip: ResultIp): 4 | 6 {
  return ip.address.includes(':') ? 6 : 4;
}

/** The address without its prefix length, in canonical form. */
function keyOf(ip: ResultIp): string {
  const address: IpAddress | undefined = parseAddressInCidr(ip.address)?.address;
  return address === undefined ? ip.address : formatAddress(address);
}
