// The controller that leads: who it is, and its sudden end.

import { listAt, readApi, textAt } from './api.ts';
import { adminAccess } from './cluster.ts';
import { runOn } from './machine.ts';
import { PRODUCT_NAMESPACE } from './product.ts';

const LEASE = `/apis/coordination.k8s.io/v1/namespaces/${PRODUCT_NAMESPACE}/leases/multi-nic-controller`;

/** Identity of the controller that leads. A process that starts anew has another one. */
export async function leaderIdentity(): Promise<string> {
  return textAt(await readApi(adminAccess(), LEASE), 'spec', 'holderIdentity');
}

/** Kills the process of the controller that leads: it gives nothing back. Returns its identity. */
export async function killLeader(): Promise<string> {
  const identity = await leaderIdentity();
  const path = `/api/v1/namespaces/${PRODUCT_NAMESPACE}/pods`;
  const pods = listAt(await readApi(adminAccess(), path), 'items');
  const leader = pods.find((pod) => identity.startsWith(`${textAt(pod, 'metadata', 'name')}_`));
  const uid = textAt(leader, 'metadata', 'uid');
  // Its pod is known by the control group, its program by the name; the pause process stays.
  const script = `
for folder in /proc/[0-9]*; do
  grep -q "pod${uid}" "$folder/cgroup" 2>/dev/null || continue
  tr '\\0' ' ' <"$folder/cmdline" | grep -q multi-nic-controller && kill -9 "\${folder#/proc/}" && exit 0
done
exit 1`;
  await runOn(textAt(leader, 'spec', 'nodeName'), ['sh', '-c', script]);
  return identity;
}
