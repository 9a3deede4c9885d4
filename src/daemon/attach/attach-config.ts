// Reads from a CNI request what an attachment needs. Everything that can be refused without
// looking at the node is refused here, all issues at once.
import * as v from 'valibot';
import { parseCniArgs } from '../../shared/model/cni/args.ts';
import { readAttachConfig } from '../../shared/model/cni/attach-config.ts';
import { issueTexts, validAttachments } from '../../shared/model/cni/network-config.ts';
import { type CniResult, parsePrevResult } from '../../shared/model/cni/result.ts';
import { effectiveVersion } from '../../shared/model/cni/version.ts';
import { CniRequest } from '../../shared/model/daemon-api.ts';
import { DomainError } from '../../shared/model/errors.ts';
import { canonicalCidr } from '../../shared/model/ip/cidr.ts';
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
  };
}

const AttachmentList = v.nullish(
  v.array(v.looseObject({ containerID: v.string(), ifname: v.string() })),
);
const CollectConfig = v.looseObject({
  'cni.dev/valid-attachments': AttachmentList,
  'cni.dev/attachments': AttachmentList,
});

/** The attachments that a GC keeps. A list that is not understood could release what is in use. */
export function parseValid({ config }: NodeRequest): { containerId: string; ifName: string }[] {
  const { name } = config;
  const parsed = v.safeParse(CollectConfig, config);
  const issues = parsed.success ? [] : issueTexts(parsed.issues);
  const valid = parsed.success
    ? validAttachments({ plugin: { type: '' }, ...parsed.output, name })
    : undefined;
  if (valid !== undefined) return valid;
  if (issues.length === 0) issues.push('cni.dev/valid-attachments missing');
  throw new DomainError('invalid-config', `network ${name}: ${issues.join('; ')}`, {
    details: { network: name, issues },
  });
}

/** The result that the runtime kept of the ADD, if it sent one. DomainError 'decode-failed'. */
export function parsePrevious({ config }: NodeRequest): CniResult | undefined {
  const { prevResult, cniVersion } = config;
  if (prevResult === undefined || prevResult === null) return undefined;
  const version = typeof cniVersion === 'string' ? cniVersion : undefined;
  return parsePrevResult(prevResult, effectiveVersion(version));
}

/** What the configuration asks for. DomainError 'invalid-config' with every issue. */
export function parseDemand(request: NodeRequest): AttachDemand {
  const reading = readAttachConfig(request.config);
  if (!reading.ok) {
    const { name } = request.config;
    const issues = reading.refusals.map(({ text }) => text);
    throw new DomainError('invalid-config', `network ${name}: ${issues.join('; ')}`, {
      details: { network: name, issues },
    });
  }
  const { config, link } = reading;
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
