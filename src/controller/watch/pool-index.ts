// IPPools by network and by host, so that neither question has to look at all pools of the cluster.
import type { PoolView } from './views.ts';

export class PoolIndex {
  readonly #pools = new Map<string, PoolView>();
  readonly #byNetwork = new Map<string, Set<string>>();
  readonly #byHost = new Map<string, Set<string>>();

  /** Records the pool's present state, undefined when it is gone. Returns the state before. */
  update(name: string, pool: PoolView | undefined): PoolView | undefined {
    const before = this.#pools.get(name);
    if (before !== undefined) {
      remove(this.#byNetwork, before.network, name);
      remove(this.#byHost, before.hostName, name);
      this.#pools.delete(name);
    }
    if (pool !== undefined) {
      this.#pools.set(name, pool);
      add(this.#byNetwork, pool.network, name);
      add(this.#byHost, pool.hostName, name);
    }
    return before;
  }

  ofNetwork(network: string): PoolView[] {
    return this.#list(this.#byNetwork.get(network));
  }

  ofHost(hostName: string): PoolView[] {
    return this.#list(this.#byHost.get(hostName));
  }

  networks(): Iterable<string> {
    return this.#byNetwork.keys();
  }

  hosts(): Iterable<string> {
    return this.#byHost.keys();
  }

  #list(names: ReadonlySet<string> | undefined): PoolView[] {
    return [...(names ?? [])].flatMap((name) => this.#pools.get(name) ?? []);
  }
}

function add(map: Map<string, Set<string>>, key: string, name: string): void {
  const names = map.get(key);
  if (names === undefined) map.set(key, new Set([name]));
  else names.add(name);
}

function remove(map: Map<string, Set<string>>, key: string, name: string): void {
  const names = map.get(key);
  names?.delete(name);
  if (names?.size === 0) map.delete(key);
}
