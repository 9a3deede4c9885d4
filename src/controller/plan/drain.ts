// Whether it is proven that no pod holds an address of a network that is being deleted. Pools name
// the holders; a pool that is not there proves nothing, for it may have gone with its definition
// (design D5).
import { listNames } from './problem.ts';

export interface DrainInput {
  /** Hosts that hold an index of the network. None are left when the records of hosts are lost. */
  readonly holders: readonly string[];
  /** Hosts that held one by the network's own status. */
  readonly recordedCount: number;
  readonly nodeCount: number;
  /** Hosts of which a pool of the network is published. */
  readonly published: ReadonlySet<string>;
  /** Nodes with a ready daemon, which publishes what its pods hold; undefined: not known. */
  readonly ready: ReadonlySet<string> | undefined;
}

/**
 * `proven`: every host has said what it holds. `settling`: those that have not could have by now,
 * if they held anything. `silent`: nobody speaks for some of them.
 */
export type Drain =
  | { readonly kind: 'proven' }
  | { readonly kind: 'settling' | 'silent'; readonly message: string };

export function planDrain(o: DrainInput): Drain {
  const { holders, published, ready = new Set<string>() } = o;
  if (holders.length > 0) {
    const quiet = holders.filter((name) => !published.has(name));
    if (quiet.length === 0) return { kind: 'proven' };
    const isHeard = quiet.every((name) => ready.has(name));
    return { kind: isHeard ? 'settling' : 'silent', message: describe(listNames(quiet)) };
  }
  const wantedCount = Math.min(o.recordedCount, o.nodeCount);
  if (published.size >= wantedCount) return { kind: 'proven' };
  const heardCount = published.union(ready).size;
  const message = describe(`${wantedCount - published.size} of ${wantedCount} hosts`);
  return { kind: heardCount >= wantedCount ? 'settling' : 'silent', message };
}

function describe(hosts: string): string {
  const why = `no pools are published of ${hosts}, so pods there may hold addresses`;
  return `${why}; it goes on when their daemons are ready`;
}
