// Results of ADD: one shape inside (that of 1.1.0) and the shapes of all versions outside (spec cni
// 1.9 and 1.10).
import * as v from 'valibot';
import { DomainError } from '../errors.ts';
import { parseAddress } from '../ip/address.ts';
import { parseAddressInCidr } from '../ip/cidr.ts';
import { issueTexts } from './network-config.ts';
import { familyOf, familyVersions, NEWEST_VERSION, OLDEST_VERSION } from './version.ts';

const CidrText = v.pipe(
  v.string(),
  v.check((text) => parseAddressInCidr(text) !== undefined, 'not an address with prefix length'),
);
const AddressText = v.pipe(
  v.string(),
  v.check((text) => parseAddress(text) !== undefined, 'not an IP address'),
);
/** Readers in other languages take no larger ones, and no exponents. */
const Integer = v.pipe(v.number(), v.safeInteger());
const Unsigned = v.pipe(Integer, v.minValue(0));

/** DNS settings of a result. */
export const ResultDns = v.object({
  nameservers: v.optional(v.array(v.string())),
  domain: v.optional(v.string()),
  search: v.optional(v.array(v.string())),
  options: v.optional(v.array(v.string())),
});
export type ResultDns = v.InferOutput<typeof ResultDns>;

/** An interface; without `sandbox` it is on the host. */
export const ResultInterface = v.object({
  name: v.string(),
  mac: v.optional(v.string()),
  mtu: v.optional(Unsigned),
  sandbox: v.optional(v.string()),
  socketPath: v.optional(v.string()),
  pciID: v.optional(v.string()),
});
export type ResultInterface = v.InferOutput<typeof ResultInterface>;

/** An address, `interface` being its position in `interfaces`. */
export const ResultIp = v.object({
  address: CidrText,
  gateway: v.optional(AddressText),
  interface: v.optional(Unsigned),
});
export type ResultIp = v.InferOutput<typeof ResultIp>;

/** A route; the members after `gw` are new in 1.1.0. */
export const ResultRoute = v.object({
  dst: CidrText,
  gw: v.optional(AddressText),
  mtu: v.optional(Unsigned),
  advmss: v.optional(Unsigned),
  priority: v.optional(Unsigned),
  table: v.optional(Integer),
  scope: v.optional(Integer),
});
export type ResultRoute = v.InferOutput<typeof ResultRoute>;

const listOf = <T extends v.GenericSchema>(item: T) => v.optional(v.nullable(v.array(item)));

/** A result in the newest shape. Lists that are empty are absent. */
export const CniResult = v.object({
  cniVersion: v.string(),
  interfaces: v.optional(v.array(ResultInterface)),
  ips: v.optional(v.array(ResultIp)),
  routes: v.optional(v.array(ResultRoute)),
  dns: v.optional(ResultDns),
});
export type CniResult = v.InferOutput<typeof CniResult>;

/** Families B and C as they are read; `version` of an address follows from the address. */
const ModernResult = v.object({
  interfaces: listOf(ResultInterface),
  ips: listOf(ResultIp),
  routes: listOf(ResultRoute),
  dns: v.optional(v.nullable(ResultDns)),
});

const LegacyIp = v.object({
  ip: CidrText,
  gateway: v.optional(AddressText),
  routes: listOf(ResultRoute),
});

/** Family A: one address per IP version. */
const LegacyResult = v.object({
  ip4: v.optional(v.nullable(LegacyIp)),
  ip6: v.optional(v.nullable(LegacyIp)),
  dns: v.optional(v.nullable(ResultDns)),
});

/** A result as it is printed in some version. */
export type PrintedResult = Record<string, unknown>;

/**
 * Reads the result of a delegate. One that names no version has that of the configuration it
 * answers (an allowance for old plugins); null reads like {}. Throws `decode-failed` or
 * `incompatible-version`.
 */
export function parseResult(value: unknown, configVersion: string): CniResult {
  const object = toObject(value ?? {}, 'result');
  const own = object.cniVersion ?? '';
  if (typeof own !== 'string') throw unreadable('result', 'cniVersion is not a string');
  const version = own === '' ? configVersion : own;
  return readFamily(object, { version: version === '' ? OLDEST_VERSION : version, what: 'result' });
}

/** Reads `prevResult`, whose version must belong to the family of the configuration's version. */
export function parsePrevResult(value: unknown, configVersion: string): CniResult {
  const family = familyOf(configVersion);
  if (family === undefined) {
    throw new DomainError(
      'incompatible-version',
      `unsupported CNI result version "${configVersion}"`,
    );
  }
  const object = toObject(value, 'prevResult');
  const own = object.cniVersion ?? '';
  const version = own === '' ? configVersion : own;
  const versions = familyVersions[family];
  if (typeof version !== 'string' || !versions.includes(version)) {
    const readable = versions.filter((one) => one !== '').join(' ');
    const is = `unmarshalled CNIVersion is "${String(version)}"`;
    throw unreadable('prevResult', `result type supports [${readable}] but ${is}`);
  }
  const what = 'prevResult';
  return readFamily(object, { version: version === '' ? OLDEST_VERSION : version, what });
}

/**
 * The result in the shape of `version`, ready to be printed; `''` means 0.1.0. Throws
 * `incompatible-version` for an unknown version, and where family A has no address to show.
 */
export function toResultVersion(result: CniResult, version: string): PrintedResult {
  const target = version === '' ? OLDEST_VERSION : version;
  switch (familyOf(target)) {
    case 'C':
      return printNewest(result, target);
    case 'B':
      return printMiddle(result, target);
    case 'A':
      return printOldest(result, target);
    default:
      throw noConverter(result.cniVersion, target);
  }
}

/** 4 or 6, of an address with or without prefix length. */
function familyOfText(text: string): 4 | 6 {
  return text.includes(':') ? 6 : 4;
}

/** What is read, as errors call it. */
type Subject = 'result' | 'prevResult';

function readFamily(
  object: PrintedResult,
  { version, what }: { readonly version: string; readonly what: Subject },
): CniResult {
  const family = familyOf(version);
  if (family === undefined) throw noConverter(version, NEWEST_VERSION);
  return family === 'A' ? readOldest(object, what) : readModern(object, what);
}

function readModern(object: PrintedResult, what: Subject): CniResult {
  const { interfaces, ips, routes, dns } = check(ModernResult, object, what);
  return compact({ interfaces, ips, routes, dns });
}

function readOldest(object: PrintedResult, what: Subject): CniResult {
  const { ip4, ip6, dns } = check(LegacyResult, object, what);
  const entries = [ip4, ip6].filter((entry) => entry !== undefined && entry !== null);
  const ips = entries.map(({ ip, gateway }) => ({
    address: ip,
    ...(gateway === undefined ? {} : { gateway }),
  }));
  return compact({ ips, routes: entries.flatMap((entry) => entry.routes ?? []), dns });
}

/** Leaves out what is empty. */
function compact(o: {
  interfaces?: ResultInterface[] | null | undefined;
  ips?: ResultIp[] | null | undefined;
  routes?: ResultRoute[] | null | undefined;
  dns?: ResultDns | null | undefined;
}): CniResult {
  const { interfaces, ips, routes, dns } = o;
  return {
    cniVersion: NEWEST_VERSION,
    ...(hasItems(interfaces) ? { interfaces } : {}),
    ...(hasItems(ips) ? { ips } : {}),
    ...(hasItems(routes) ? { routes } : {}),
    ...(hasDns(dns) ? { dns } : {}),
  };
}

function hasItems<T>(list: T[] | null | undefined): list is T[] {
  return list !== undefined && list !== null && list.length > 0;
}

function hasDns(dns: ResultDns | null | undefined): dns is ResultDns {
  return Object.values(dns ?? {}).some((value) => value !== undefined && value.length > 0);
}

function printNewest(result: CniResult, cniVersion: string): PrintedResult {
  return { ...compact(result), cniVersion };
}

/**
 * Family B: addresses say their IP version, interfaces have three members, `dns` is always there.
 */
function printMiddle(result: CniResult, cniVersion: string): PrintedResult {
  const { interfaces, ips, routes, dns } = compact(result);
  return {
    cniVersion,
    ...(interfaces === undefined ? {} : { interfaces: interfaces.map(reduceInterface) }),
    ...(ips === undefined
      ? {}
      : { ips: ips.map((ip) => ({ version: String(familyOfText(ip.address)), ...ip })) }),
    ...(routes === undefined ? {} : { routes }),
    dns: dns ?? {},
  };
}

function reduceInterface({ name, mac, sandbox }: ResultInterface): ResultInterface {
  return {
    name,
    ...(mac === undefined ? {} : { mac }),
    ...(sandbox === undefined ? {} : { sandbox }),
  };
}

/**
 * Family A: the first address of each IP version, with the routes whose destination is of that
 * version.
 */
function printOldest(result: CniResult, cniVersion: string): PrintedResult {
  const { ips = [], routes = [], dns } = compact(result);
  const entry = (family: 4 | 6): PrintedResult | undefined => {
    const ip = ips.find(({ address }) => familyOfText(address) === family);
    if (ip === undefined) return undefined;
    const own = routes
      .filter(({ dst }) => familyOfText(dst) === family)
      .map(({ dst, gw }) => ({ dst, ...(gw === undefined ? {} : { gw }) }));
    return {
      ip: ip.address,
      ...(ip.gateway === undefined ? {} : { gateway: ip.gateway }),
      ...(own.length === 0 ? {} : { routes: own }),
    };
  };
  const ip4 = entry(4);
  const ip6 = entry(6);
  if (ip4 === undefined && ip6 === undefined) {
    throw new DomainError('incompatible-version', 'cannot convert: no valid IP addresses');
  }
  return {
    cniVersion,
    ...(ip4 === undefined ? {} : { ip4 }),
    ...(ip6 === undefined ? {} : { ip6 }),
    dns: dns ?? {},
  };
}

function toObject(value: unknown, what: Subject): PrintedResult {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  throw unreadable(what, 'not a JSON object');
}

function check<T extends v.GenericSchema>(
  schema: T,
  value: unknown,
  what: Subject,
): v.InferOutput<T> {
  const parsed = v.safeParse(schema, value);
  if (parsed.success) return parsed.output;
  throw unreadable(what, issueTexts(parsed.issues).join('; '));
}

function unreadable(what: Subject, reason: string): DomainError {
  return new DomainError('decode-failed', `could not parse ${what}: ${reason}`);
}

function noConverter(from: string, to: string): DomainError {
  const message = `no converter for CNI result version ${from} to ${to}`;
  return new DomainError('incompatible-version', message);
}
