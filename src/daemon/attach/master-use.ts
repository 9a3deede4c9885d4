// Which NICs carry which kind of pod links. The kernel has one ipvlan mode per NIC: a link with
// another mode silently switches all that are there. And a NIC carries ipvlan or macvlan links, not
// both. So an ADD that does not fit to what the journal has on a NIC is refused.
import { DomainError } from '../../shared/model/errors.ts';
import type { SlaveKind } from '../hostnet/host-net.ts';
import type { Attachment, AttachmentKey } from '../journal/attachment.ts';
import type { Journal } from '../journal/journal.ts';

/** One attachment that has links of a kind on a NIC. */
interface Use {
  readonly id: number;
  readonly key: AttachmentKey;
}

/** Attachments with one kind and mode of links on one NIC. Some may be gone from the journal. */
interface Group {
  readonly kind: string;
  readonly mode: string;
  readonly uses: Map<number, Use>;
}

/** A request for links of one kind on some NICs. */
export interface MasterDemand {
  readonly network: string;
  readonly link: SlaveKind;
  readonly masters: readonly string[];
  /** Its own row, once it has one: then only older rows count, so that of two one gets through. */
  readonly id?: number;
}

/** New rows that are remembered, gone or not, before everything is read afresh. */
const NEW_ROWS_MAX = 4_096;

/**
 * What the journal says of the NICs: read once, and told of new rows since; that one is gone is
 * noticed when it would be in the way.
 */
export class MasterUse {
  readonly #journal: Pick<Journal, 'find' | 'list'>;
  /** NIC -> kind and mode -> attachments. */
  #groups: Map<string, Map<string, Group>> | undefined;
  #newRows = 0;

  constructor(journal: Pick<Journal, 'find' | 'list'>) {
    this.#journal = journal;
  }

  /** Takes note of a row that was written since. */
  add(row: Attachment): void {
    if (this.#groups === undefined || row.external) return; // the first question reads it
    remember(this.#groups, row);
    this.#newRows += 1;
    if (this.#newRows > NEW_ROWS_MAX) this.#groups = undefined;
  }

  /** DomainError 'invalid-config' that names the NIC, the other network and both modes. */
  refuseConflict(demand: MasterDemand): void {
    this.#groups ??= this.#readAll();
    for (const master of demand.masters) {
      for (const group of this.#groups.get(master)?.values() ?? []) {
        if (fits(group, demand.link)) continue;
        const other = this.#firstLive(group, demand.id ?? Number.POSITIVE_INFINITY);
        if (other !== undefined) throw toError(demand, { ...group, master, ...other.key });
      }
    }
  }

  /** The first attachment of the group with a number below `endId` that the journal still has. */
  #firstLive({ uses }: Group, endId: number): Use | undefined {
    for (const use of uses.values()) {
      if (this.#journal.find(use.key)?.id !== use.id) uses.delete(use.id);
      else if (use.id < endId) return use;
    }
    return undefined;
  }

  #readAll(): Map<string, Map<string, Group>> {
    const groups = new Map<string, Map<string, Group>>();
    for (const row of this.#journal.list()) if (!row.external) remember(groups, row);
    this.#newRows = 0;
    return groups;
  }
}

function remember(masters: Map<string, Map<string, Group>>, row: Attachment): void {
  const { id, network, containerId, ifName, nics } = row;
  for (const { master, kind, mode } of nics) {
    if (kind === '') continue;
    const groups = masters.get(master) ?? new Map<string, Group>();
    masters.set(master, groups);
    const name = `${kind} ${mode}`;
    const group = groups.get(name) ?? { kind, mode, uses: new Map<number, Use>() };
    groups.set(name, group);
    group.uses.set(id, { id, key: { network, containerId, ifName } });
  }
}

/** macvlan links have a mode each. */
function fits(group: Group, link: SlaveKind): boolean {
  return group.kind === link.kind && (link.kind === 'macvlan' || group.mode === link.mode);
}

function toError(
  { network, link }: MasterDemand,
  other: { kind: string; mode: string; master: string; network: string },
): DomainError {
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
