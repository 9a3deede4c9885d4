// The part of the journal that lets pods start while the API server is away: the last known
// networks, device classes and indices of this node, written when they change.
import * as v from 'valibot';
import type { Journal } from '../journal/journal.ts';
import type { PlanKind } from '../journal/plan-rows.ts';
import type { DeviceIds } from '../select/select-nics.ts';
import type { ClusterView, SavedCluster } from './cluster-view.ts';
import { fromSavedNetwork, SavedHost, SavedNetwork } from './records.ts';

const SavedClass = v.array(v.object({ vendor: v.string(), products: v.array(v.string()) }));

/** Reads what `ClusterSaver` wrote. DomainError 'journal-corrupt' for rows of another shape. */
export function loadSavedCluster(journal: Journal, node: string): SavedCluster {
  const saved = journal.parsePlans('host', (body) => v.parse(SavedHost, body)).get(node);
  const networks = journal.parsePlans('network', (body) =>
    fromSavedNetwork(v.parse(SavedNetwork, body)),
  );
  return {
    networks: [...networks.values()],
    self: saved === undefined ? undefined : { hostName: node, ...saved },
    classes: journal.parsePlans('class', (body): DeviceIds => v.parse(SavedClass, body)),
  };
}

/** Remembers what was written last, so that an unchanged cluster costs no write. */
export class ClusterSaver {
  readonly #journal: Journal;
  readonly #last = new Map<PlanKind, string>();

  constructor(journal: Journal) {
    this.#journal = journal;
  }

  /** Saves what the API server says; nothing unless it was heard. */
  async save(view: ClusterView): Promise<void> {
    const self = view.self();
    if (!view.isLive || self === undefined) return;
    const { isUnmanaged, interfaces, networks } = self;
    const host = {
      isUnmanaged,
      // A managed node discovers its NICs anew at each start.
      interfaces: isUnmanaged ? interfaces : [],
      networks,
    };
    await this.#saveKind(
      'network',
      view.networks().map(({ name, saved }) => [name, saved]),
    );
    await this.#saveKind('class', [...view.classes()]);
    await this.#saveKind('host', [[view.node, host]]);
  }

  async #saveKind(kind: PlanKind, entries: readonly (readonly [string, unknown])[]): Promise<void> {
    const sorted = new Map([...entries].sort(([a], [b]) => (a < b ? -1 : 1)));
    const text = JSON.stringify([...sorted]);
    if (this.#last.get(kind) === text) return;
    await this.#journal.replacePlans(kind, sorted);
    this.#last.set(kind, text);
  }
}
