// Test equipment. Reads the annotation `k8s.v1.cni.cncf.io/networks` in both of its forms, and
// CNI_ARGS.

/** One network that a pod asks for. */
export interface Selection {
  readonly namespace: string;
  readonly name: string;
  /** Undefined: the meta-plugin chooses net1, net2, … by position. */
  readonly interfaceName?: string;
  readonly ips?: readonly string[];
  readonly mac?: string;
  /** Goes into `args.cni` of the network's configuration. */
  readonly cniArgs?: Readonly<Record<string, unknown>>;
}

/**
 * Parses the annotation; networks without a namespace are those of `namespace`, the pod's. Throws
 * with the offending piece if the text is in neither form.
 */
export function parseSelections(annotation: string, namespace: string): Selection[] {
  const text = annotation.trim();
  if (text === '') return [];
  if (/^[[{"]/.test(text)) return parseList(text, namespace);
  return text.split(',').map((piece) => parseShort(piece.trim(), namespace));
}

/** Splits `K1=V1;K2=V2` into its pairs, in order, repeated keys included. */
export function parseArguments(text: string): [string, string][] {
  return text
    .split(';')
    .filter((piece) => piece !== '')
    .map((piece) => {
      const at = piece.indexOf('=');
      if (at < 1) throw new Error(`CNI_ARGS holds an invalid pair: ${piece}`);
      return [piece.slice(0, at), piece.slice(at + 1)];
    });
}

/** The pod that CNI_ARGS speaks of. */
export interface PodIdentity {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly sandboxId: string;
}

/**
 * Reads the pod's identity from what the runtime sent; throws if namespace or name are not there.
 */
export function identityFrom(pairs: readonly (readonly [string, string])[]): PodIdentity {
  const last = (key: string): string => pairs.findLast(([name]) => name === key)?.[1] ?? '';
  const identity = {
    namespace: last('K8S_POD_NAMESPACE'),
    name: last('K8S_POD_NAME'),
    uid: last('K8S_POD_UID'),
    sandboxId: last('K8S_POD_INFRA_CONTAINER_ID'),
  };
  if (identity.namespace === '' || identity.name === '') throw new Error('CNI_ARGS names no pod');
  return identity;
}

/**
 * The arguments a network's plugin gets: five fixed pairs, then what the runtime sent, so that most
 * keys come twice, as Multus in its thin form sends them. MAC and IP are only for ADD.
 */
export function argumentsFor(
  pod: PodIdentity,
  received: readonly (readonly [string, string])[],
  wish: { mac?: string; ips?: readonly string[] } = {},
): [string, string][] {
  const pairs: [string, string][] = [
    ['IgnoreUnknown', 'true'],
    ['K8S_POD_NAMESPACE', pod.namespace],
    ['K8S_POD_NAME', pod.name],
    ['K8S_POD_INFRA_CONTAINER_ID', pod.sandboxId],
    ['K8S_POD_UID', pod.uid],
    ...received.map(([key, value]): [string, string] => [key, value]),
  ];
  if (wish.mac !== undefined) pairs.push(['MAC', wish.mac]);
  if (wish.ips !== undefined && wish.ips.length > 0) pairs.push(['IP', wish.ips.join(',')]);
  return pairs;
}

/** `[<namespace>/]<network>[@<interface>]` */
function parseShort(piece: string, namespace: string): Selection {
  const match = /^(?:([a-z0-9-]+)\/)?([a-z0-9.-]+)(?:@([^\s/:]{1,15}))?$/.exec(piece);
  if (match === null) throw new Error(`not a network: '${piece}'`);
  const [, ownNamespace, name = '', interfaceName] = match;
  return {
    namespace: ownNamespace ?? namespace,
    name,
    ...(interfaceName === undefined ? {} : { interfaceName }),
  };
}

function parseList(text: string, namespace: string): Selection[] {
  const list: unknown = JSON.parse(text);
  if (!Array.isArray(list)) throw new Error('the networks annotation is JSON but not a list');
  return list.map((item: unknown) => parseElement(item, namespace));
}

function parseElement(item: unknown, namespace: string): Selection {
  const field = (key: string): unknown =>
    typeof item === 'object' && item !== null ? Reflect.get(item, key) : undefined;
  const text = (key: string): string | undefined => {
    const value = field(key);
    if (value === undefined || typeof value === 'string') return value;
    throw new Error(`${key} of a network is not text`);
  };
  const name = text('name');
  if (name === undefined) throw new Error('a network in the annotation has no name');
  const ips = field('ips');
  const args = field('cni-args');
  const [interfaceName, mac] = [text('interface'), text('mac')];
  return {
    namespace: text('namespace') ?? namespace,
    name,
    ...(interfaceName === undefined ? {} : { interfaceName }),
    ...(mac === undefined ? {} : { mac }),
    ...(Array.isArray(ips) ? { ips: ips.map(String) } : {}),
    ...(isRecord(args) ? { cniArgs: args } : {}),
  };
}

/** True for a JSON object. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
