// A KubeClient that takes note of when the API server last answered, for readiness and metrics.
import type { Clock } from '../shared/platform/clock.ts';
import type { KubeClient } from '../shared/platform/kube/client.ts';
import { isKubeError } from '../shared/platform/kube/errors.ts';
import type { Metrics } from './metrics.ts';

export interface Contact {
  /** Time since the API server last gave an answer of any kind; undefined before the first. */
  sinceMs(): number | undefined;
}

type Verb = 'get' | 'list' | 'create' | 'replace' | 'patch' | 'delete';
const VERBS: readonly Verb[] = ['get', 'list', 'create', 'replace', 'patch', 'delete'];
const RESULTS = ['ok', 'refused', 'failed'] as const;

export function observeClient(
  client: KubeClient,
  o: { readonly clock: Clock; readonly metrics: Metrics },
): { readonly client: KubeClient; readonly contact: Contact } {
  let lastMs: number | undefined;
  const name = 'multi_nic_api_requests_total';
  const sets = VERBS.flatMap((verb) => RESULTS.map((result) => ({ verb, result })));
  o.metrics.declare(name, 'counter', 'Requests to the API server by result.', sets);
  const note = (verb: Verb, result: (typeof RESULTS)[number]): void => {
    o.metrics.add(name, { verb, result });
    if (result !== 'failed') lastMs = o.clock.monotonic();
  };
  const observe = async <T>(verb: Verb, answer: Promise<T>): Promise<T> => {
    try {
      const value = await answer;
      note(verb, 'ok');
      return value;
    } catch (error) {
      // A refusal is an answer too; only silence says that the API server is away.
      const isAnswer =
        isKubeError(error) && error.kind !== 'unavailable' && error.kind !== 'timeout';
      note(verb, isAnswer ? 'refused' : 'failed');
      throw error;
    }
  };
  return {
    contact: { sinceMs: () => (lastMs === undefined ? undefined : o.clock.monotonic() - lastMs) },
    client: {
      get: (resource, key, options) => observe('get', client.get(resource, key, options)),
      list: (resource, options) => observe('list', client.list(resource, options)),
      pages: (resource, options) => client.pages(resource, options),
      create: (resource, object, options) =>
        observe('create', client.create(resource, object, options)),
      replace: (resource, object, options) =>
        observe('replace', client.replace(resource, object, options)),
      patch: (resource, key, patch, options) =>
        observe('patch', client.patch(resource, key, patch, options)),
      delete: (resource, key, options) => observe('delete', client.delete(resource, key, options)),
      watch: (resource, options) => client.watch(resource, options),
    },
  };
}
