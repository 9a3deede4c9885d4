// What configurations ask for, remembered by their text: the pods of a network send the same one.
import { type AttachDemand, type NodeRequest, parseDemand } from './attach-config.ts';

/** Configurations that are remembered; with one more, all are forgotten. */
const CONFIGS_MAX = 256;

/** `parseDemand` with a memory. Equal configurations give the same object. */
export class DemandCache {
  readonly #demands = new Map<string, AttachDemand>();

  /** See `parseDemand`. What is refused is not remembered. */
  demandOf(request: NodeRequest): AttachDemand {
    const text = JSON.stringify(request.config);
    const known = this.#demands.get(text);
    if (known !== undefined) return known;
    const demand = parseDemand(request);
    if (this.#demands.size >= CONFIGS_MAX) this.#demands.clear();
    this.#demands.set(text, demand);
    return demand;
  }
}
