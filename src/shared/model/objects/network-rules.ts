// What the API server refuses in a MultiNicNetwork beyond types and patterns, as CEL. The IPAM
// section is JSON inside a string, which CEL cannot parse, so its numbers are found by regular
// expression; plan/ipam-section.ts parses it exactly.
import { CNI_TYPE } from '../names.ts';
import type { CelRule } from './admission.ts';
import { CIDR_OR_ADDRESS_PATTERN, JSON_OBJECT_PATTERN } from './patterns.ts';
import { type ArgRule, FALSE_TEXTS, PLUGIN_TYPES, pluginArgs, TRUE_TEXTS } from './plugin-args.ts';

/** Attach strategies; the empty one is written by the original where the user named none. */
export const ATTACH_STRATEGIES = [
  '',
  'none',
  'costOpt',
  'perfOpt',
  'devClass',
  'topology',
] as const;

/** Values of vlanMode. */
export const VLAN_MODES = ['', 'l2', 'l3', 'l3s'] as const;

/** Greatest interfaceBlock and hostBlock: a million positions. */
export const BLOCK_BITS_MAX = 20;
/** Bits that must be left for pods below subnet prefix, interfaceBlock and hostBlock. */
export const POD_BITS_MIN = 2;
/** Most net addresses of one network: its status lists them. */
export const NET_ADDRESSES_MAX = 1024;
/** Longest name of a network with pools: pools are found by a label with that name. */
export const MANAGED_NAME_MAX = 63;

/** CEL: at least one of the terms holds. */
function or(...terms: readonly string[]): string {
  return terms.join(' || ');
}

/** CEL list of texts. */
function list(texts: readonly string[]): string {
  return `[${texts.map((text) => `'${text}'`).join(', ')}]`;
}

/** `a, b, c` without the empty one, for messages. */
function names(texts: readonly string[]): string {
  return texts.filter((text) => text !== '').join(', ');
}

/** CEL: the IPAM text does not use our own pools. */
function isForeign(ipam: string): string {
  return String.raw`!${ipam}.matches(r'"type"\s*:\s*"multi-nic-ipam"')`;
}

/** CEL: the IPAM text has no such member. */
function lacks(ipam: string, key: string): string {
  return `!${ipam}.contains('"${key}"')`;
}

/** CEL: the number of a member of the IPAM text, 0 where it is missing. */
function bits(ipam: string, key: string): string {
  const digits = String.raw`${ipam}.find(r'"${key}"\s*:\s*[0-9]{1,9}').find(r'[0-9]+$')`;
  return `(${digits} == '' ? 0 : int(${digits}))`;
}

/** CEL: the value of the optional subnet. */
function subnetOf(spec: string): string {
  return `(has(${spec}.subnet) ? ${spec}.subnet : '')`;
}

/** CEL: the IPAM text has a number in range under the key. */
function hasBits(key: string): string {
  return String.raw`self.matches(r'"${key}"\s*:\s*(1?[0-9]|20)\s*[,}]')`;
}

const exclude = `"${CIDR_OR_ADDRESS_PATTERN.slice(1, -1)}"`;
const excludes = String.raw`\[\s*(${exclude}\s*(,\s*${exclude}\s*)*)?\]`;
/** CEL: the IPAM text has a list of blocks and addresses to exclude, or null as stored ones may. */
const hasExcludes = String.raw`self.matches(r'"excludeCIDRs"\s*:\s*(null|${excludes})')`;

const bitsRange = `a whole number from 0 to ${BLOCK_BITS_MAX}`;

/** On `ipam`, a string. */
export const ipamRules: readonly CelRule[] = [
  {
    rule: `self.matches(r'${JSON_OBJECT_PATTERN}')`,
    message: 'ipam must be a JSON object as text, like {"type": "multi-nic-ipam", ...}',
  },
  {
    rule: or(isForeign('self'), hasBits('hostBlock')),
    message: `ipam.hostBlock is required with multi-nic-ipam: ${bitsRange}`,
  },
  {
    rule: or(isForeign('self'), lacks('self', 'interfaceBlock'), hasBits('interfaceBlock')),
    message: `ipam.interfaceBlock must be ${bitsRange}`,
  },
  {
    rule: or(
      isForeign('self'),
      lacks('self', 'vlanMode'),
      String.raw`self.matches(r'"vlanMode"\s*:\s*"(${VLAN_MODES.join('|')})"')`,
    ),
    message: `ipam.vlanMode must be one of ${names(VLAN_MODES)}`,
  },
  {
    rule: or(isForeign('self'), lacks('self', 'excludeCIDRs'), hasExcludes),
    message:
      'ipam.excludeCIDRs must be a list of CIDRs or addresses, ' +
      'like ["192.168.0.0/24", "192.168.1.1"]',
  },
];

/** CEL: a text that is a CIDR without host bits. */
function isNet(text: string): string {
  return `isCIDR(${text}) && cidr(${text}).ip() == cidr(${text}).masked().ip()`;
}

/** On `subnet`, a string. */
export const subnetRules: readonly CelRule[] = [
  {
    rule: or("self == ''", "self.split(',').all(s, isCIDR(s))"),
    message:
      'subnet must be a CIDR like 192.168.0.0/16, ' +
      'an IPv4 and an IPv6 CIDR with a comma between, or empty',
  },
  {
    rule: or("self == ''", `self.split(',').all(s, !isCIDR(s) || ${isNet('s')})`),
    message: 'subnet must have no host bits set: 192.168.0.0/16, not 192.168.64.0/16',
  },
  {
    rule: or("!self.contains(',')", "self.matches('^[^:,]*,[^,]*:[^,]*$|^[^,]*:[^,]*,[^:,]*$')"),
    message: 'two subnets must be one of IPv4 and one of IPv6',
  },
];

/** On an item of `masterNets`. */
export const masterNetRules: readonly CelRule[] = [
  {
    rule: isNet('self'),
    message: 'a net address is a CIDR without host bits, like 10.0.1.0/24',
  },
];

/** Names of the arguments of that kind, over all plugin types. */
function argsOf(kind: 'integer' | 'boolean'): string[] {
  const found = PLUGIN_TYPES.flatMap((type) =>
    Object.entries(pluginArgs[type])
      .filter(([, rule]) => rule.kind === kind)
      .map(([name]) => name),
  );
  return [...new Set(found)].sort();
}

/** CEL: of the named arguments those that are given fulfil the condition. */
function givenArgs(args: readonly string[], condition: string): string {
  return `${list(args)}.all(k, !(k in self) || ${condition})`;
}

/** Every argument of a name has the same rule in all types. */
function allArgs(): Map<string, ArgRule> {
  return new Map(PLUGIN_TYPES.flatMap((type) => Object.entries(pluginArgs[type])));
}

function rangeRules(): CelRule[] {
  return [...allArgs()].flatMap(([name, { range }]): CelRule[] => {
    if (range === undefined) return [];
    const { first, last } = range;
    const value = `int(self['${name}'])`;
    const isNumber = `self['${name}'].matches('^[0-9]{1,9}$')`;
    const isFit = `${value} == 0 || (${value} >= ${first} && ${value} <= ${last})`;
    return [
      {
        rule: or(`!('${name}' in self)`, `!${isNumber}`, isFit),
        message: `args.${name} must be 0 or a number from ${first} to ${last}`,
      },
    ];
  });
}

function patternRules(): CelRule[] {
  return [...allArgs()].flatMap(([name, { pattern }]): CelRule[] => {
    if (pattern === undefined) return [];
    const isFit = `self['${name}'].matches(r'${pattern.source}')`;
    return [
      {
        rule: or(`!('${name}' in self)`, isFit),
        message: `args.${name} must be ${pattern.says}`,
      },
    ];
  });
}

/** On `plugin.args`, a map. */
export const argsRules: readonly CelRule[] = [
  {
    rule: givenArgs(argsOf('integer'), "self[k].matches('^[0-9]{1,9}$')"),
    message: `these args must be whole numbers: ${names(argsOf('integer'))}`,
  },
  ...rangeRules(),
  ...patternRules(),
  {
    rule: givenArgs(argsOf('boolean'), `self[k] in ${list([...TRUE_TEXTS, ...FALSE_TEXTS])}`),
    message: `these args must be "true" or "false": ${names(argsOf('boolean'))}`,
  },
];

/** Only arguments and modes that the plugin has: what is ignored looks as if it worked. */
function typeRules(): CelRule[] {
  return PLUGIN_TYPES.flatMap((type): CelRule[] => {
    const known = Object.keys(pluginArgs[type]);
    const isOther = or(`self.type != '${type}'`, '!has(self.args)');
    const modes = pluginArgs[type].mode?.values;
    const args: CelRule = {
      rule: or(isOther, `self.args.all(k, k in ${list(known)})`),
      message: `args of ${type} can be ${known.length === 0 ? 'none' : names(known)}`,
      fieldPath: '.args',
    };
    if (modes === undefined) return [args];
    const mode: CelRule = {
      rule: or(isOther, "!('mode' in self.args)", `self.args['mode'] in ${list(modes)}`),
      message: `args.mode of ${type} must be one of ${names(modes)}`,
      fieldPath: '.args',
    };
    return [args, mode];
  });
}

const isDelegate = "has(self.args) && 'delegate' in self.args && self.args['delegate'] == 'true'";

/** The original took these two and used neither. */
const unusedRules: readonly CelRule[] = [
  {
    rule: '!has(self.capabilities) || size(self.capabilities) == 0',
    message: 'capabilities are not supported: remove them',
    fieldPath: '.capabilities',
  },
  {
    rule: `!has(self.dns) || ![${['nameservers', 'domain', 'search', 'options']
      .map((field) => `has(self.dns.${field})`)
      .join(', ')}].exists(h, h)`,
    message: 'dns is not supported: remove it',
    fieldPath: '.dns',
  },
];

/** On `plugin`. */
export const pluginRules: readonly CelRule[] = [
  {
    rule: or(`self.type in ${list(PLUGIN_TYPES)}`, `(self.type != '${CNI_TYPE}' && ${isDelegate})`),
    message:
      `plugin.type must be one of ${names(PLUGIN_TYPES)}; ` +
      'to run another CNI plugin of the nodes set args.delegate to "true"',
    fieldPath: '.type',
  },
  ...typeRules(),
  ...unusedRules,
];

const bothBits = `${bits('self.ipam', 'hostBlock')} + ${bits('self.ipam', 'interfaceBlock')}`;
const hasNoDivision = or(isForeign('self.ipam'), `${subnetOf('self')} == ''`);

/**
 * The prefix length is found by what comes before its slash: CEL may not loop over the parts here
 * (cost).
 */
function leavesPodBits(o: { readonly before: string; readonly prefixMax: number }): string {
  const length = `self.subnet.find(r'${o.before}/[0-9]{1,9}').find('[0-9]+$')`;
  return or(hasNoDivision, `${length} == ''`, `int(${length}) + ${bothBits} <= ${o.prefixMax}`);
}

const tooFewPodBits =
  'subnet prefix length, interfaceBlock and hostBlock ' +
  `must leave at least ${POD_BITS_MIN} bits for pods`;

/** On `spec`. */
export const specRules: readonly CelRule[] = [
  {
    rule: or(hasNoDivision, `!${lacks('self.ipam', 'interfaceBlock')}`),
    message: 'ipam.interfaceBlock is required with multi-nic-ipam and a subnet',
    fieldPath: '.ipam',
  },
  {
    rule: leavesPodBits({ before: String.raw`\.[0-9]+`, prefixMax: 32 - POD_BITS_MIN }),
    message: tooFewPodBits,
    fieldPath: '.ipam',
  },
  {
    rule: leavesPodBits({ before: ':[0-9a-fA-F]*', prefixMax: 128 - POD_BITS_MIN }),
    message: tooFewPodBits,
    fieldPath: '.ipam',
  },
];

/** CEL: a list of the old status has no items. */
function isEmptyList(name: string): string {
  return `(!has(oldSelf.status.${name}) || size(oldSelf.status.${name}) == 0)`;
}

/** CEL: no address can have been given. */
const isNothingGiven = or(
  '!has(oldSelf.status)',
  `(${isEmptyList('interfaceIndices')} && ${isEmptyList('computeResults')})`,
);
/** CEL: our pools were or are not used, or nothing was given: nothing is renumbered. */
const mayDivideAnew = or(
  isForeign('oldSelf.spec.ipam'),
  isForeign('self.spec.ipam'),
  isNothingGiven,
);
const [oldSubnet, newSubnet] = [subnetOf('oldSelf.spec'), subnetOf('self.spec')];
const why = 'once addresses are given: it would renumber running pods; make a new network instead';

function sameBits(key: string): string {
  return `${bits('oldSelf.spec.ipam', key)} == ${bits('self.spec.ipam', key)}`;
}

/** On the whole object. A second family may be added: it renumbers nobody. */
export const networkRules: readonly CelRule[] = [
  {
    // Else two changes, to another IPAM and back, would be what one change must not be.
    rule: or(isNothingGiven, isForeign('oldSelf.spec.ipam'), `!(${isForeign('self.spec.ipam')})`),
    message:
      'ipam.type cannot be changed from multi-nic-ipam once addresses are given: ' +
      'running pods have them; make a new network instead',
    fieldPath: '.spec.ipam',
  },
  {
    rule: or(
      mayDivideAnew,
      `${newSubnet} == ${oldSubnet}`,
      `(${oldSubnet} != '' && ${newSubnet}.startsWith(${oldSubnet} + ','))`,
    ),
    message: `subnet cannot be changed ${why}`,
    fieldPath: '.spec.subnet',
  },
  {
    rule: or(mayDivideAnew, `(${sameBits('hostBlock')} && ${sameBits('interfaceBlock')})`),
    message: `hostBlock and interfaceBlock cannot be changed ${why}`,
    fieldPath: '.spec.ipam',
  },
  {
    rule: or(isForeign('self.spec.ipam'), `size(self.metadata.name) <= ${MANAGED_NAME_MAX}`),
    message:
      'the name of a network with multi-nic-ipam ' +
      `must have at most ${MANAGED_NAME_MAX} characters`,
  },
];
