// Plans of ADDs, remembered for as long as everything that they follow from is the same: what is
// asked for, the network, the NICs and the pools of this node.
import type { AttachDemand, AttachIdentity } from './attach-config.ts';
import { type AttachmentPlan, type PlanPorts, planAttachment } from './plan-attachment.ts';
import type { KnownNetwork, NicInventory } from './ports.ts';

/** What a plan follows from. Each is replaced, not changed, when it becomes another one. */
interface Basis {
  readonly ifName: string;
  readonly network: KnownNetwork | undefined;
  readonly nics: NicInventory['nics'];
  readonly poolsVersion: number;
}

/** `planAttachment` with a memory. */
export class PlanCache {
  readonly #entries = new WeakMap<AttachDemand, Basis & { readonly plan: AttachmentPlan }>();

  /** See `planAttachment`. What is refused is not remembered. */
  plan(ports: PlanPorts, o: { identity: AttachIdentity; demand: AttachDemand }): AttachmentPlan {
    const { demand } = o;
    const { network, ifName } = o.identity.key;
    const basis = {
      ifName,
      network: ports.cluster.network(network),
      nics: ports.inventory().nics,
      poolsVersion: ports.pools.version,
    };
    const entry = this.#entries.get(demand);
    if (entry !== undefined && isSame(entry, basis)) return entry.plan;
    const plan = planAttachment(ports, o);
    // A device class can change without any of these.
    if (demand.deviceClass === undefined) this.#entries.set(demand, { ...basis, plan });
    return plan;
  }
}

function isSame(a: Basis, b: Basis): boolean {
  return (
    a.ifName === b.ifName &&
    a.network === b.network &&
    a.nics === b.nics &&
    a.poolsVersion === b.poolsVersion
  );
}
