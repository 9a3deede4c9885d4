// What is said on a pod whose ADD was refused: the network, the interface and the reason (design
// D10).

import type { EventNote } from '../../shared/platform/kube/event-recorder.ts';
import type { Refusal } from '../attach/service.ts';

/**
 * The event, or undefined where the runtime did not name the pod. A runtime repeats a refused ADD
 * every few seconds: one pod has one event for each kind of refusal. `uid`: of the pod, if known.
 */
export function toRefusalEvent(refusal: Refusal, uid: string): EventNote | undefined {
  const { identity, kind, message } = refusal;
  const { podNamespace: namespace, podName: name, key } = identity;
  if (namespace === '' || name === '') return undefined;
  const what = kind === 'internal' ? 'an error inside the daemon' : message;
  return {
    about: { apiVersion: 'v1', kind: 'Pod', namespace, name, uid },
    type: 'Warning',
    reason: 'NetworkNotAttached',
    message: `${key.ifName} of network ${key.network} was refused (${kind}): ${what}`,
    key: `${namespace}/${name} ${uid} ${kind}`,
  };
}
