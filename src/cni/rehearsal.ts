// Lets the check of answers prove itself on two answers of our own, one right and one wrong, while
// the daemon works. The first run of code costs most, so this also takes 0.7 ms off what comes
// after the daemon's answer.

import type { Core } from '../../core-wasm/index.ts';
import { toResultVersion } from '../shared/model/cni/result.ts';
import type { CniReply } from '../shared/model/daemon-api.ts';
import { isDomainError } from '../shared/model/errors.ts';
import { type Expectations, verifyReply } from './verify-reply.ts';

const EXPECTED: Expectations = {
  ifName: 'net',
  netns: '/netns',
  poolsRequired: true,
  families: [4],
};

/** Throws an Error if the check is not to be trusted. */
export function rehearse(core: Core): void {
  toResultVersion(verifyReply(core, sampleReply('192.0.2.65/24'), EXPECTED), '0.3.0');
  try {
    verifyReply(core, sampleReply('192.0.2.64/24'), EXPECTED);
  } catch (error) {
    if (isDomainError(error, 'reply-invalid')) return;
    throw error;
  }
  throw new Error('the check of addresses accepted a network address as usable');
}

/** One interface with one address, of a block that is kept for documentation (RFC 5737). */
function sampleReply(address: string): CniReply {
  return {
    result: {
      cniVersion: '1.1.0',
      interfaces: [{ name: `${EXPECTED.ifName}-0`, sandbox: EXPECTED.netns }],
      ips: [{ address, interface: 0 }],
    },
    pools: [
      {
        name: 'sample',
        podCidr: '192.0.2.64/26',
        vlanCidr: '192.0.2.0/24',
        excludes: ['192.0.2.100/32'],
        addresses: [address],
      },
    ],
    families: [4],
  };
}
