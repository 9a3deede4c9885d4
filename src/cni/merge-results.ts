// Puts our part of a chain's result behind that of the plugins before us (CNI SPEC, ADD: prevResult
// is passed on).

import type { CniResult, ResultIp } from '../shared/model/cni/result.ts';

/**
 * One result of both: interfaces and addresses of `previous` first and unchanged, then ours with
 * their positions moved. DNS settings are ours if we have any. Neither argument is changed.
 */
export function mergeResults(previous: CniResult | undefined, own: CniResult): CniResult {
  if (previous === undefined) return own;
  const offset = previous.interfaces?.length ?? 0;
  const dns = own.dns ?? previous.dns;
  return {
    cniVersion: own.cniVersion,
    interfaces: [...(previous.interfaces ?? []), ...(own.interfaces ?? [])],
    ips: [...(previous.ips ?? []), ...(own.ips ?? []).map((ip) => moved(ip, offset))],
    routes: [...(previous.routes ?? []), ...(own.routes ?? [])],
    ...(dns === undefined ? {} : { dns }),
  };
}

function moved(ip: ResultIp, offset: number): ResultIp {
  return ip.interface === undefined ? ip : { ...ip, interface: ip.interface + offset };
}
