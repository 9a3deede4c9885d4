// The text of `spec.config` of a NetworkAttachmentDefinition, byte for byte as the original writes
// it for the same network (spec api 4.2).
import { NAD_CNI_VERSION } from '../../shared/model/names.ts';
import { sortKeys, toGoJson } from './go-json.ts';

export interface NadConfigInput {
  readonly name: string;
  /** `spec.cniType` of the Config. */
  readonly cniType: string;
  /** The IPAM document of the network, all keys. */
  readonly ipam: unknown;
  readonly plugin: Readonly<Record<string, unknown>>;
  /** As the user wrote it. */
  readonly subnet: string;
  /** `null` where the network's list is not known. */
  readonly masterNets: readonly string[] | null;
  readonly multiNicIpam: boolean;
  readonly daemonPort: number;
}

export function formatNadConfig(input: NadConfigInput): string {
  return toGoJson({
    cniVersion: NAD_CNI_VERSION,
    name: input.name,
    type: input.cniType,
    ipam: sortKeys(input.ipam),
    dns: {},
    plugin: sortKeys(input.plugin),
    subnet: input.subnet,
    masterNets: input.masterNets,
    ...(input.multiNicIpam ? { multiNICIPAM: true } : {}),
    daemonIP: '',
    daemonPort: input.daemonPort,
  });
}
