// Test equipment: objects of a cluster that a daemon finds, and what it publishes.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NODE } from './cluster.ts';
import type { Harness } from './harness.ts';

/** The kind of a problem document, or ok. */
export const kindOf = (problem: { type?: string }): string =>
  problem.type?.split(':').at(-1) ?? 'ok';

/** An IPPool as the original wrote it. */
export const poolObject = (o: {
  name: string;
  podCIDR: string;
  interfaceName: string;
  allocations: [pod: string, index: number][];
  hostName?: string;
  labels?: object;
}) => ({
  apiVersion: 'multinic.fms.io/v1',
  kind: 'IPPool',
  metadata: {
    name: o.name,
    labels: o.labels ?? { hostname: o.hostName ?? NODE, netname: 'net' },
    finalizers: ['finalizers.ippool.multinic.fms.io'],
  },
  spec: {
    podCIDR: o.podCIDR,
    vlanCIDR: '192.168.0.0/18',
    netAttachDef: 'net',
    hostName: o.hostName ?? NODE,
    interfaceName: o.interfaceName,
    excludes: [],
    allocations: o.allocations.map(([pod, index]) => ({
      pod,
      namespace: 'default',
      index,
      address: o.podCIDR.replace('.0/24', `.${index}`),
    })),
  },
});

/** A pod that runs on the node. */
export const podObject = (name: string, nodeName = NODE) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'default' },
  spec: { nodeName, containers: [{ name: 'c', image: 'i' }] },
});

/** The first NIC's pool in memory. */
export const pool1 = (h: Harness) => h.daemon.parts.pools.get('net-192.168.0.0-24');
/** A pool as it is published. */
export const published = (h: Harness, name: string) =>
  h.api.object('ippools', name) as unknown as ReturnType<typeof poolObject> | undefined;

/** A directory that outlives several daemons. */
export function keepDirectory(): { path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), 'mnd-'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}
