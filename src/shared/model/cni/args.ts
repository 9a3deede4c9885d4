// CNI_ARGS, read as the original's plugin does: pieces that are no pair are ignored and the last of
// several wins, because runtimes do repeat keys. Which addresses a pod asks for is the exception:
// there the first counts.

/** What CNI_ARGS says about the pod. Absent values are empty. */
export interface CniArgs {
  readonly podName: string;
  readonly podNamespace: string;
  readonly podUid: string;
  readonly infraContainerId: string;
  /** All pairs by key. */
  readonly pairs: ReadonlyMap<string, string>;
}

/** Reads `K=V` pairs joined by `;`. A value may contain `=`. Never fails. */
export function parseCniArgs(text: string): CniArgs {
  const pairs = new Map<string, string>();
  for (const piece of text.split(';')) {
    const equals = piece.indexOf('=');
    if (equals > 0) pairs.set(piece.slice(0, equals), piece.slice(equals + 1));
  }
  return {
    podName: pairs.get('K8S_POD_NAME') ?? '',
    podNamespace: pairs.get('K8S_POD_NAMESPACE') ?? '',
    podUid: pairs.get('K8S_POD_UID') ?? '',
    infraContainerId: pairs.get('K8S_POD_INFRA_CONTAINER_ID') ?? '',
    pairs,
  };
}

/**
 * Takes the first `IP=` piece out of CNI_ARGS: its addresses in order, and what is left for
 * delegates. An empty list of addresses is the same as none.
 */
export function takeStaticIps(text: string): { ips: string[]; remaining: string } {
  const pieces = text.split(';');
  const index = pieces.findIndex((piece) => piece.startsWith('IP='));
  const piece = pieces[index];
  if (piece === undefined) return { ips: [], remaining: text };
  const ips = piece
    .slice('IP='.length)
    .split(',')
    .filter((ip) => ip !== '');
  return { ips, remaining: pieces.toSpliced(index, 1).join(';') };
}
