// The parts of a network configuration that decide about an attachment, and which configurations
// this version serves. The daemon reads requests with it and the controller judges networks with
// it, so a network cannot be called ready whose pods would be refused.
import * as v from 'valibot';
import { parseAddress } from '../ip/address.ts';
import { canonicalCidr } from '../ip/cidr.ts';
import { IPAM_TYPE } from '../names.ts';
import { NET_ADDRESSES_MAX } from '../objects/network-rules.ts';
import { issueTexts } from './network-config.ts';

/** Why something is not served: a word for conditions, and a text that starts with the field. */
export interface Refusal {
  readonly reason:
    | 'InvalidDefinition'
    | 'UnsupportedPlugin'
    | 'UnsupportedIpam'
    | 'UnsupportedStrategy'
    | 'UnsupportedRoute'
    | 'UnreachableGateway';
  readonly text: string;
}

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

/** Keys of `args.cni` that are ours, and what people write instead of them. */
const SLIPS: Readonly<Record<string, readonly string[]>> = {
  nics: ['nic', 'numnics', 'nicnum'],
  masters: ['master', 'mastername', 'masternames'],
  class: ['classes', 'deviceclass', 'devclass'],
};

/** The key of ours that was meant, if it is not the one written. Other keys are other people's. */
function findMeant(key: string): string | undefined {
  const plain = key.toLowerCase().replace(/[^a-z]/g, '');
  return Object.keys(SLIPS).find(
    (ours) => ours !== key && (ours === plain || SLIPS[ours]?.includes(plain)),
  );
}

/** What a pod asks for. A misspelt key would be a wish that is ignored (design D10). */
const CniArgs = v.pipe(
  v.looseObject({
    nics: v.optional(v.pipe(v.number(), v.integer(), v.maxValue(256))),
    masters: v.nullish(v.pipe(v.array(text), v.maxLength(256))),
    class: v.optional(text),
  }),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    for (const key of Object.keys(dataset.value)) {
      const meant = findMeant(key);
      if (meant !== undefined) addIssue({ message: `unknown key "${key}", the key is "${meant}"` });
    }
  }),
);

/** A network configuration as far as attaching needs it. */
export const AttachConfig = v.looseObject({
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
      v.maxLength(NET_ADDRESSES_MAX),
    ),
  ),
  args: v.nullish(v.looseObject({ cni: v.nullish(CniArgs) })),
});
export type AttachConfig = v.InferOutput<typeof AttachConfig>;

/** How pod links are made. */
export type AttachLink =
  | { readonly kind: 'ipvlan'; readonly mode: 'l2' | 'l3' | 'l3s' }
  | {
      readonly kind: 'macvlan';
      readonly mode: 'bridge' | 'private' | 'vepa' | 'passthru';
    };

const LINKS: Readonly<Record<string, readonly AttachLink[]>> = {
  ipvlan: (['l2', 'l3', 'l3s'] as const).map((mode) => ({ kind: 'ipvlan', mode })),
  macvlan: (['bridge', 'private', 'vepa', 'passthru'] as const).map((mode) => ({
    kind: 'macvlan',
    mode,
  })),
};

/** What `readAttachConfig` made of a configuration. */
export type AttachReading =
  | { readonly ok: true; readonly config: AttachConfig; readonly link: AttachLink }
  | { readonly ok: false; readonly refusals: readonly Refusal[] };

/** Reads a configuration, or says everything that this version does not serve in it. */
export function readAttachConfig(value: unknown): AttachReading {
  const parsed = v.safeParse(AttachConfig, value);
  if (!parsed.success) {
    const reason = 'InvalidDefinition';
    return { ok: false, refusals: issueTexts(parsed.issues).map((text) => ({ reason, text })) };
  }
  const config = parsed.output;
  const link = toLink(config.plugin);
  const refusals = [...pluginRefusals(config), ...ipamRefusals(config), ...routeRefusals(config)];
  if (link === undefined) return { ok: false, refusals: [noLink(config.plugin), ...refusals] };
  return refusals.length === 0 ? { ok: true, config, link } : { ok: false, refusals };
}

/** No mode means the first one. */
function toLink({ type, mode }: AttachConfig['plugin']): AttachLink | undefined {
  const links = Object.hasOwn(LINKS, type) ? LINKS[type] : undefined;
  return mode === '' ? links?.[0] : links?.find((link) => link.mode === mode);
}

function noLink({ type, mode }: AttachConfig['plugin']): Refusal {
  const reason = 'UnsupportedPlugin';
  return Object.hasOwn(LINKS, type)
    ? { reason, text: `plugin.mode: unknown ${type} mode "${mode}"` }
    : { reason, text: `plugin.type: unsupported device type: ${type}` };
}

function pluginRefusals({ plugin }: AttachConfig): Refusal[] {
  const refusals: Refusal[] = [];
  if (plugin.delegate) {
    const said = 'plugin.delegate: delegates are not supported by this version';
    refusals.push({ reason: 'UnsupportedPlugin', text: said });
  }
  const own = plugin.ipam?.type ?? '';
  if (own !== '') {
    const said = `plugin.ipam.type: "${own}" contradicts the network's own ipam`;
    refusals.push({ reason: 'InvalidDefinition', text: said });
  }
  return refusals;
}

/** Addresses come from our pools, one per NIC, or not at all. */
export function ipamRefusals(o: {
  readonly ipam?: Readonly<Record<string, unknown>> | null | undefined;
  readonly multiNICIPAM: boolean;
}): Refusal[] {
  const type = o.ipam?.type ?? '';
  const reason = 'UnsupportedIpam';
  if (type !== IPAM_TYPE) {
    return [{ reason, text: `ipam.type: "${type}" is not supported by this version` }];
  }
  if (o.multiNICIPAM) return [];
  return [{ reason, text: `multiNICIPAM: must be true with ipam.type "${IPAM_TYPE}"` }];
}

function routeRefusals({ ipam }: AttachConfig): Refusal[] {
  return (ipam?.routes ?? []).flatMap((route, index): Refusal[] => {
    const refusals: Refusal[] = [];
    const { dst, gw } = route;
    if (gw !== undefined && gw.includes(':') !== dst.includes(':')) {
      const said = `ipam.routes.${index}: gateway ${gw} is of another family than ${dst}`;
      refusals.push({ reason: 'UnsupportedRoute', text: said });
    }
    const extra = ['table', 'priority', 'scope', 'mtu', 'advmss'].filter((key) => key in route);
    if (extra.length > 0) {
      const said = `ipam.routes.${index}: ${extra.join(', ')} not supported by this version`;
      refusals.push({ reason: 'UnsupportedRoute', text: said });
    }
    return refusals;
  });
}
