// The original daemon's HTTP paths, for old clients and for people who debug with curl. Shapes are
// the original's; failures are problem documents with a real status, which its clients treat as
// failures too. Nothing of ours calls these.
import type { Hono, MiddlewareHandler } from 'hono';
import * as v from 'valibot';
import { DomainError } from '../../shared/model/errors.ts';
import { canonicalCidr } from '../../shared/model/ip/cidr.ts';
import {
  allocateExternal,
  type ExternalAddress,
  externalContainerId,
  releaseExternal,
} from '../attach/external.ts';
import { findBasis } from '../attach/plan-attachment.ts';
import type { AttachPorts, PodIdentity } from '../attach/ports.ts';
import type { Readiness } from '../attach/service.ts';
import type { Inventory } from '../inventory/nic-inventory.ts';
import { selectNics } from '../select/select-nics.ts';
import type { AppEnv } from './app-env.ts';
import { Name, readBody } from './body.ts';
import { addL3, deleteL3, L3Request, type L3Sources } from './old-routes.ts';
import { answerMethod } from './problem-response.ts';

/** What the old paths reach. */
export interface CompatSources extends L3Sources {
  readonly node: string;
  readonly ports: AttachPorts;
  readonly readiness: () => Readiness;
  readonly inventory: Inventory;
  readonly podUid: (pod: { namespace: string; name: string }) => string | undefined;
}

const OptionalName = v.optional(v.nullable(v.union([Name, v.literal('')])), '');
const Masters = v.nullish(v.pipe(v.array(v.pipe(v.string(), v.maxLength(64))), v.maxLength(256)));

const PodRequest = v.looseObject({
  pod: Name,
  namespace: Name,
  host: OptionalName,
  def: Name,
  masters: Masters,
});

const SelectRequest = v.looseObject({
  host: OptionalName,
  def: Name,
  masterNets: v.nullish(v.pipe(v.array(v.string()), v.maxLength(256))),
  args: v.nullish(
    v.looseObject({
      nics: v.nullish(v.pipe(v.number(), v.integer())),
      masters: Masters,
      class: v.nullish(v.string()),
    }),
  ),
});

const RouteRequest = v.looseObject({ net: v.string(), via: v.string(), iface: v.string() });

/** Adds the paths. `guard` stands before those that change something. */
export function addCompatPaths(
  app: Hono<AppEnv>,
  s: CompatSources,
  guard: MiddlewareHandler<AppEnv>,
): void {
  app.all('/interface', (c) => c.json(s.inventory.interfaces.map(toOldInterface)));
  // Daemons watch HostInterfaces and need no greetings: neighbours are resolved by the kernel.
  app.post('/join', (c) => c.json(''));
  app.post('/greet', (c) => c.json(''));
  app.post('/select', async (c) => c.json(select(s, await readBody(c, SelectRequest))));
  app.post('/allocate', guard, async (c) =>
    c.json(await allocate(s, await readBody(c, PodRequest))),
  );
  app.post('/deallocate', guard, async (c) =>
    c.json(await deallocate(s, await readBody(c, PodRequest))),
  );
  app.post('/addl3', guard, async (c) => c.json(await addL3(s, await readBody(c, L3Request))));
  app.post('/deletel3', guard, async (c) =>
    c.json(await deleteL3(s, await readBody(c, L3Request))),
  );
  for (const path of ['/addroute', '/deleteroute']) {
    app.post(path, guard, async (c) => {
      await readBody(c, RouteRequest);
      await s.syncRoutes();
      // Single routes of others' choice were a way to take over a host's routing table (D-56).
      return c.json({ success: false, msg: 'routes follow the networks; none was changed' });
    });
  }
  for (const path of OLD_POST_PATHS) app.all(path, answerMethod);
}

const OLD_POST_PATHS = [
  '/join',
  '/greet',
  '/select',
  '/allocate',
  '/deallocate',
  '/addl3',
  '/deletel3',
  '/addroute',
  '/deleteroute',
];

function toOldInterface(info: Inventory['interfaces'][number]): Record<string, string> {
  return {
    interfaceName: info.interfaceName,
    netAddress: info.netAddress ?? '',
    hostIP: info.hostIP ?? '',
    vendor: info.vendor ?? '',
    product: info.product ?? '',
    pciAddress: info.pciAddress ?? '',
  };
}

/** As an ADD chooses, but that NICs need no pool. */
function select(s: CompatSources, request: v.InferOutput<typeof SelectRequest>): object {
  refuseOtherHost(s, request.host);
  const { nics, masters, class: deviceClass } = request.args ?? {};
  const { known, definition, deviceIds } = findBasis(s.ports, {
    network: request.def,
    deviceClass: deviceClass || undefined,
  });
  const asked = (request.masterNets ?? []).map((net) => canonicalCidr(net) ?? net);
  const selection = selectNics(
    {
      masterNets: asked.length > 0 ? asked : definition.masterNets,
      nics: (nics ?? 0) > 0 ? (nics ?? undefined) : undefined,
      masters: masters ?? [],
      deviceIds,
    },
    {
      ...s.inventory.current,
      plannedNets: known.plannedNets,
      unsuitable: () => undefined,
    },
  );
  if (selection.ok) {
    return { deviceIDs: [], masters: selection.nics.map(({ interfaceName }) => interfaceName) };
  }
  throw new DomainError('no-master', `network ${request.def}: ${selection.reason}`);
}

async function allocate(
  s: CompatSources,
  request: v.InferOutput<typeof PodRequest>,
): Promise<object | null> {
  refuseOtherHost(s, request.host);
  const { isReady, reason } = s.readiness();
  if (!isReady) throw new DomainError('not-ready', reason);
  const pod = toPod(s, request);
  const masters = (request.masters ?? []).filter((master) => master !== '');
  const addresses = await s.ports.exclusive(externalContainerId(pod), () =>
    allocateExternal(s.ports, { network: request.def, pod, masters }),
  );
  return toOldAddresses(addresses);
}

async function deallocate(
  s: CompatSources,
  request: v.InferOutput<typeof PodRequest>,
): Promise<object | null> {
  refuseOtherHost(s, request.host);
  const { isRecovered, reason } = s.readiness();
  if (!isRecovered) throw new DomainError('not-ready', reason);
  const pod = toPod(s, request);
  const addresses = await s.ports.exclusive(externalContainerId(pod), () =>
    releaseExternal(s.ports, { network: request.def, pod }),
  );
  return toOldAddresses(addresses);
}

function toPod(s: CompatSources, request: v.InferOutput<typeof PodRequest>): PodIdentity {
  const pod = { namespace: request.namespace, name: request.pod };
  return { ...pod, uid: s.podUid(pod) ?? '' };
}

/** Nothing at all is `null`, as it always was. */
function toOldAddresses(addresses: readonly ExternalAddress[]): object | null {
  if (addresses.length === 0) return null;
  return addresses.map(({ interfaceName, address, prefix }) => ({
    interface: interfaceName,
    ip: address,
    block: String(prefix),
  }));
}

/** Another node's pools belong to another daemon (D-62). The node's first label stands for it. */
function refuseOtherHost({ node }: CompatSources, host: string | null): void {
  if (host === null || host === '' || host === node || host === node.split('.')[0]) return;
  throw new DomainError('forbidden', `this daemon serves node ${node}, not ${host}`, {
    details: { node, host },
  });
}
