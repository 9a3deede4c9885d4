// VERSION, and the lines for a person who runs the executable by hand.

import { SUPPORTED_VERSIONS, toVersionReply } from '../../shared/model/cni/version.ts';

/** What VERSION prints: one line of JSON. Standard input is not needed for it and not read. */
export function versionReply(): string {
  return `${JSON.stringify(toVersionReply())}\n`;
}

/** What is printed to standard error when there is no verb. */
export function banner(o: { readonly program: string; readonly version: string }): string {
  const versions = SUPPORTED_VERSIONS.join(', ');
  return `CNI ${o.program} plugin ${o.version}\nCNI protocol versions supported: ${versions}`;
}
