// Which routes appear in a namespace without anybody asking for them.

/** rtm_protocol of redirects, of the kernel itself and of router advertisements. */
const automatic = new Set([1, 2, 9]);

/** True for protocol numbers of routes that the kernel makes by itself. */
export function isAutomaticProtocol(protocol: number): boolean {
  return automatic.has(protocol);
}
