// Publishes this node's NICs as its HostInterface, so that the controller can give it indices and
// other nodes can route to it. Only the spec is written, only when it differs, and never that of an
// unmanaged node.
import { isDeepStrictEqual } from 'node:util';
import { API_VERSION, FIELD_MANAGER_DAEMON, UNMANAGED_LABEL } from '../../shared/model/names.ts';
import type {
  HostInterfaceSpec,
  InterfaceInfo,
} from '../../shared/model/objects/host-interface.ts';
import type { KubeClient } from '../../shared/platform/kube/client.ts';
import { HOST_INTERFACES } from '../../shared/platform/kube/resource.ts';
import type { Outcome } from '../../shared/platform/work-queue.ts';
import type { ClusterView } from '../cluster/cluster-view.ts';
import type { Inventory } from '../inventory/nic-inventory.ts';

const BY_US = { fieldManager: FIELD_MANAGER_DAEMON };

/** Writes the HostInterface of one node. */
export class HostPublisher {
  readonly #client: KubeClient;
  readonly #view: ClusterView;
  readonly #inventory: Inventory;
  written = 0;

  constructor(o: { client: KubeClient; view: ClusterView; inventory: Inventory }) {
    this.#client = o.client;
    this.#view = o.view;
    this.#inventory = o.inventory;
  }

  /** Makes the object what discovery says. Throws KubeError: again, with backoff. */
  async publish(signal: AbortSignal): Promise<Outcome> {
    if (!this.#view.isLive) return 'done';
    const { node } = this.#view;
    const spec = { hostName: node, interfaces: this.#inventory.discovered.map(withoutEmpty) };
    const cached = this.#view.self();
    if (cached?.isUnmanaged === true) return 'done';
    if (cached !== undefined && isSame(cached.interfaces, spec.interfaces)) return 'done';
    await this.#write(spec, signal);
    return 'done';
  }

  async #write(spec: HostInterfaceSpec, signal: AbortSignal): Promise<void> {
    const { node: name } = this.#view;
    const object = await this.#client.get(HOST_INTERFACES, { name }, { signal });
    if (object === undefined) {
      const created = { apiVersion: API_VERSION, kind: 'HostInterface', metadata: { name }, spec };
      await this.#client.create(HOST_INTERFACES, created, { signal, ...BY_US });
    } else if (object.metadata.labels?.[UNMANAGED_LABEL]?.toLowerCase() === 'true') {
      return;
    } else if (!isSame(object.spec.interfaces, spec.interfaces)) {
      const { resourceVersion } = object.metadata;
      const body = { metadata: { resourceVersion }, spec };
      await this.#client.patch(
        HOST_INTERFACES,
        { name },
        { type: 'merge', body, ...BY_US },
        { signal },
      );
    }
    this.written += 1;
  }
}

/** Order counts: it is that of the devices, and the same for the same hardware. */
function isSame(a: readonly InterfaceInfo[], b: readonly InterfaceInfo[]): boolean {
  return isDeepStrictEqual(a.map(withoutEmpty), b.map(withoutEmpty));
}

/** Absent and empty mean the same; the original leaves empty members out. */
function withoutEmpty(info: InterfaceInfo): InterfaceInfo {
  const { interfaceName, netAddress, hostIP, vendor, product, pciAddress, addresses } = info;
  return {
    interfaceName,
    ...(netAddress ? { netAddress } : {}),
    ...(hostIP ? { hostIP } : {}),
    ...(vendor ? { vendor } : {}),
    ...(product ? { product } : {}),
    ...(pciAddress ? { pciAddress } : {}),
    ...(addresses !== undefined && addresses.length > 0 ? { addresses } : {}),
  };
}
