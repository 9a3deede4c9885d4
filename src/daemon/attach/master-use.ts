// Which NICs carry which kind of pod links. The kernel has one ipvlan mode per NIC: a link with
// another mode silently switches all that are there. And a NIC carries ipvlan or macvlan links, not
// both. So an ADD that does not fit to what the journal has on a NIC is refused.
import { DomainError } from '../../shared/model/errors.ts';
import type { SlaveKind } from '../hostnet/host-net.ts';
import type { Attachment } from '../journal/attachment.ts';
import type { Journal } from '../journal/journal.ts';

/** Links of one attachment on one NIC. */
interface Use {
  readonly network: string;
  readonly master: string;
  readonly kind: string;
  readonly mode: string;
}

/** A request for links of one kind on some NICs. */
export interface MasterDemand {
  readonly network: string;
  readonly link: SlaveKind;
  readonly masters: readonly string[];
  /** Its own row, once it has one: then only older rows count, so that of two one gets through. */
  readonly id?: number;
}

/** What the journal says of the NICs. Reads each attachment once. */
export class MasterUse {
  readonly #journal: Pick<Journal, 'sandboxes' | 'list'>;
  readonly #known = new Map<number, readonly Use[]>();

  constructor(journal: Pick<Journal, 'sandboxes' | 'list'>) {
    this.#journal = journal;
  }

  /** DomainError 'invalid-config' that names the NIC, the other network and both modes. */
  refuseConflict(demand: MasterDemand): void {
    this.#refresh();
    const masters = new Set(demand.masters);
    for (const [id, uses] of this.#known) {
      if (demand.id !== undefined && id >= demand.id) continue;
      const other = uses.find((use) => masters.has(use.master) && !fits(use, demand.link));
      if (other !== undefined) throw toError(demand, other);
    }
  }

  #refresh(): void {
    const rows = this.#journal.sandboxes().filter(({ external }) => !external);
    const ids = new Set(rows.map(({ id }) => id));
    for (const id of this.#known.keys()) if (!ids.has(id)) this.#known.delete(id);
    for (const { id, containerId } of rows) {
      if (this.#known.has(id)) continue;
      for (const row of this.#journal.list({ containerId })) this.#known.set(row.id, toUses(row));
    }
  }
}

function toUses({ external, network, nics }: Attachment): Use[] {
  if (external) return [];
  return nics
    .filter(({ kind }) => kind !== '')
    .map(({ master, kind, mode }) => ({ network, master, kind, mode }));
}

/** macvlan links have a mode each. */
function fits(use: Use, link: SlaveKind): boolean {
  return use.kind === link.kind && (link.kind === 'macvlan' || use.mode === link.mode);
}

function toError({ network, link }: MasterDemand, other: Use): DomainError {
  const wanted = `${link.kind} ${link.mode}`;
  const present = `${other.kind} ${other.mode}`;
  return new DomainError(
    'invalid-config',
    `network ${network}: ${wanted} on ${other.master} is not possible beside the ${present} links` +
      ` of network ${other.network}, because a NIC has one kind and one ipvlan mode`,
    {
      details: {
        network,
        interfaceName: other.master,
        otherNetwork: other.network,
        wanted,
        present,
      },
    },
  );
}
