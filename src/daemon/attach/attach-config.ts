// Reads from a CNI request what an attachment needs. Everything that can be refused without
// looking at the node is refused here, all issues at once.
import * as v from 'valibot';
import { parseCniArgs } from '../../shared/model/cni/args.ts';
import { issueText } from '../../shared/model/cni/network-config.ts';
import { CniRequest } from '../../shared/model/daemon-api.ts';
import { DomainError } from '../../shared/model/errors.ts';
import { parseAddress } from '../../shared/model/ip/address.ts';
import { canonicalCidr } from '../../shared/model/ip/cidr.ts';
import { IPAM_TYPE } from '../../shared/model/names.ts';
import type { SlaveKind } from '../hostnet/host-net.ts';
import type { AttachmentKey } from '../journal/attachment.ts';

/** A route that pods of the network get. Without `gw` the destination is on the link. */
export interface WantedRoute {
  readonly dst: string;
  readonly gw: string | undefined;
}

/** Who asks. */
export interface AttachIdentity {
  readonly requestId: string;
  readonly key: AttachmentKey;
  readonly netnsPath: string;
  readonly podUid: string;
  readonly podNamespace: string;
  readonly podName: string;
  /** Tells one request from another in the journal. */
  readonly digest: string;
}

/** What is asked for. */
export interface AttachDemand {
  readonly link: SlaveKind;
  /** 0 takes the NIC's. */
  readonly mtu: number;
  /** In canonical form; empty: every net address of the network. */
  readonly masterNets: readonly string[];
  readonly nics: number | undefined;
  readonly masters: readonly string[];
  readonly deviceClass: string | undefined;
  readonly routes: readonly WantedRoute[];
}

/**
 * A request whose configuration is known to have a name and nothing more: DEL has to work with a
 * configuration that was edited since the ADD, or is broken.
 */
export const NodeRequest = v.strictObject({
  ...CniRequest.entries,
  config: v.looseObject({ name: v.pipe(v.string(), v.nonEmpty(), v.maxLength(253)) }),
});
export type NodeRequest = v.InferOutput<typeof NodeRequest>;

const text = v.pipe(v.string(), v.maxLength(253));
const Route = v.looseObject({
  dst: v.pipe(
    v.string(),
    v.check((dst) => canonicalCidr(dst) !== undefined, 'must be a CIDR'),
  ),
  gw: v.optional(
    v.pipe(
      v.string(),
      v.check((gw) => parseAddress(gw) !== undefined, 'must be an IP address'),
    ),
  ),
});

/** The parts of the network configuration that decide about an attachment. */
const AttachConfig = v.looseObject({
  plugin: v.looseObject({
    type: text,
    mode: v.optional(text, ''),
    mtu: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(65_535)), 0),
    delegate: v.optional(v.boolean(), false),
    ipam: v.nullish(v.looseObject({ type: v.optional(text, '') })),
  }),
  ipam: v.nullish(
    v.looseObject({
      type: v.optional(text, ''),
      routes: v.nullish(v.pipe(v.array(Route), v.maxLength(1024))),
    }),
  ),
  multiNICIPAM: v.optional(v.boolean(), false),
  masterNets: v.nullish(
    v.pipe(
      v.array(
        v.pipe(
          v.string(),
          v.check((net) => canonicalCidr(net) !== undefined, 'must be a CIDR'),
        ),
      ),
      v.maxLength(256),
    ),
  ),
  args: v.nullish(
    v.looseObject({
      cni: v.nullish(
        v.looseObject({
          nics: v.optional(v.pipe(v.number(), v.integer(), v.maxValue(256))),
          masters: v.nullish(v.pipe(v.array(text), v.maxLength(256))),
          class: v.optional(text),
        }),
      ),
    }),
  ),
});
type AttachConfig = v.InferOutput<typeof AttachConfig>;

/** The attachment that a request is about. */
export function parseIdentity(request: NodeRequest): AttachIdentity {
  const args = parseCniArgs(request.args);
  const { containerId, ifName, netns } = request;
  return {
    requestId: request.requestId,
    key: { network: request.config.name, containerId, ifName },
    netnsPath: netns,
    podUid: args.podUid,
    podNamespace: args.podNamespace,
    podName: args.podName,
    digest: digestOf(request),
  };
}

function digestOf(request: NodeRequest): string {
  const { containerId, ifName, netns, config } = request;
  return new Bun.CryptoHasher('sha256')
    .update(JSON.stringify([containerId, ifName, netns, config]))
    .digest('hex');
}

/** What the configuration asks for. DomainError 'invalid-config' with every issue. */
export function parseDemand(request: NodeRequest): AttachDemand {
  const parsed = v.safeParse(AttachConfig, request.config);
  if (!parsed.success) {
    throw refuse(request, parsed.issues.map(issueText));
  }
  const config = parsed.output;
  const link = toLink(config.plugin);
  const issues = [...(typeof link === 'string' ? [link] : []), ...whyNotOurs(config)];
  if (typeof link === 'string' || issues.length > 0) throw refuse(request, issues);
  const cni = config.args?.cni ?? {};
  return {
    link,
    mtu: config.plugin.mtu,
    masterNets: (config.masterNets ?? []).map((net) => canonicalCidr(net) ?? net),
    // Zero and less always meant "all" (spec daemon 4.2).
    nics: cni.nics !== undefined && cni.nics > 0 ? cni.nics : undefined,
    masters: cni.masters ?? [],
    deviceClass: cni.class === '' ? undefined : cni.class,
    routes: (config.ipam?.routes ?? []).map(({ dst, gw }) => ({
      dst: canonicalCidr(dst) ?? dst,
      gw,
    })),
  };
}

/** Contradictions, and kinds of networks that this version does not serve. */
function whyNotOurs(config: AttachConfig): string[] {
  const { plugin, ipam, multiNICIPAM } = config;
  const issues: string[] = [];
  if (plugin.delegate) issues.push('plugin.delegate: delegates are not supported by this version');
  const own = plugin.ipam?.type ?? '';
  if (own !== '') issues.push(`plugin.ipam.type: "${own}" contradicts the network's own ipam`);
  if (ipam?.type !== IPAM_TYPE) {
    issues.push(`ipam.type: "${ipam?.type ?? ''}" is not supported by this version`);
  } else if (!multiNICIPAM) {
    issues.push(`multiNICIPAM: must be true with ipam.type "${IPAM_TYPE}"`);
  }
  for (const [index, route] of (ipam?.routes ?? []).entries()) {
    const extra = ['table', 'priority', 'scope', 'mtu', 'advmss'].filter((key) => key in route);
    if (extra.length === 0) continue;
    issues.push(`ipam.routes.${index}: ${extra.join(', ')} not supported by this version`);
  }
  return issues;
}

const MODES = {
  ipvlan: { '': 'l2', l2: 'l2', l3: 'l3', l3s: 'l3s' },
  macvlan: {
    '': 'bridge',
    bridge: 'bridge',
    private: 'private',
    vepa: 'vepa',
    passthru: 'passthru',
  },
} as const;

/** The kind of link, or why there is none. */
function toLink({ type, mode }: AttachConfig['plugin']): SlaveKind | string {
  if (type === 'ipvlan') {
    const known = Object.entries(MODES.ipvlan).find(([name]) => name === mode)?.[1];
    return known === undefined
      ? `plugin.mode: unknown ipvlan mode "${mode}"`
      : { kind: type, mode: known };
  }
  if (type === 'macvlan') {
    const known = Object.entries(MODES.macvlan).find(([name]) => name === mode)?.[1];
    return known === undefined
      ? `plugin.mode: unknown macvlan mode "${mode}"`
      : { kind: type, mode: known };
  }
  return `plugin.type: unsupported device type: ${type}`;
}

function refuse(request: NodeRequest, issues: string[]): DomainError {
  const { name } = request.config;
  return new DomainError('invalid-config', `network ${name}: ${issues.join('; ')}`, {
    details: { network: name, issues },
  });
}
